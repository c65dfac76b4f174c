"""`cloakroom visit`: what has arrived, where it stands, what the gates say of it, and a person's word on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from scp import build
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, record, refuse, when
from scp.config import Config, load
from scp.db.index import Index, Quiet
from scp.metrics import declare
from scp.state import State
from scp.steward.page import page
from scp.steward.report import Reports
from scp.steward.steward import Steward, UnfitError
from scp.store.staging import Staging

_LONGEST_REASON = 200

app = typer.Typer(help="Visits by their scan_research_id; no name of a patient is known here.", no_args_is_help=True)

Visit = Annotated[
    str, typer.Argument(metavar="SCAN_RESEARCH_ID", help="The visit's number, as `visit list` prints it.")
]


def checked_reason(text: str) -> str:
    """A reason as it is kept; raises BadParameter where it is none."""
    if not text.strip() or len(text) > _LONGEST_REASON or not text.isprintable():
        raise typer.BadParameter(f"a reason is 1-{_LONGEST_REASON} printable characters")
    return text.strip()


Reason = Annotated[
    str,
    typer.Option(
        "--reason", help="Why, for the record; it is kept as it is, so name no patient.", callback=checked_reason
    ),
]


def index_of(config: Config) -> Index:
    """The index of a node that has run; exits with 1 where there is none yet."""
    if not config.index_path.exists():
        raise refuse(f"{config.index_path}: no node has run here yet", NOT_FOUND)
    return Index(config.index_path)


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List visits, the latest arrival first.

    The states stand in docs/visits.md. A visit to which instances came after it was published is reopened;
    `deliveries` counts how often it was opened.
    """
    found = [_dated(row) for row in index_of(load(config)).listing("visits")]
    columns = ["scan_research_id", "pseudonym", "state", "series", "instances", "deliveries", "last_arrival", "path"]
    listing(found, columns, as_json=as_json, nothing="no visit has arrived yet")


@app.command()
def show(visit: Visit, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show one visit: its deliveries with their folders, its series, and when it came into each state and why."""
    index = index_of(load(config))
    found = next((row for row in index.listing("visits") if row["scan_research_id"] == visit), None)
    if found is None:
        raise refuse(f"there is no visit {visit}", NOT_FOUND)
    deliveries = [_dated(row) for row in index.listing("visit_deliveries", scan_research_id=visit)]
    series = index.listing("visit_series", scan_research_id=visit)
    states = [_dated(row) for row in index.listing("visit_states", scan_research_id=visit)]
    if as_json:
        in_all = {"in_deliveries": deliveries, "in_series": series, "in_states": states}
        record({**_dated(found), **in_all}, as_json=True)
        return
    record(_dated(found), as_json=False)
    typer.echo()
    listing(deliveries, ["number", "state", "instances", "last_arrival", "path"], as_json=False, nothing="")
    typer.echo()
    listing(series, ["series_uid", "instances", "bytes", "transfer_syntax", "recipe"], as_json=False, nothing="")
    typer.echo()
    listing(states, ["number", "state", "entered_at", "why"], as_json=False, nothing="")


@app.command()
def publish(visit: Visit, config: ConfigOption = None) -> None:
    """Say that a visit is complete: its gates are asked now, and it is published unless one of them holds it."""
    settings = load(config)
    _said(settings, visit, _asked(lambda steward: steward.publish_now(visit), settings))


@app.command()
def approve(visit: Visit, reason: Reason, config: ConfigOption = None) -> None:
    """Let a visit through that its gates hold, or that waits for approval; it is published at once."""
    settings = load(config)
    _said(settings, visit, _asked(lambda steward: steward.decide(visit, State.APPROVED, reason), settings))


@app.command()
def reject(visit: Visit, reason: Reason, config: ConfigOption = None) -> None:
    """Keep a visit in staging; if more of it comes, it still waits for `visit approve`."""
    settings = load(config)
    _asked(lambda steward: steward.decide(visit, State.REJECTED, reason), settings)
    typer.echo(f"rejected {visit}")


@app.command()
def report(
    visit: Visit,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with a picture of each series here instead.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the gates found in a visit's latest delivery: per finding its gate, what it weighs, and why."""
    settings = load(config)
    entries = index_of(settings).of_visit(visit)
    reports = Reports(settings.reports)
    found = next((held for entry in reversed(entries) if (held := reports.read(entry.delivery))), None)
    if found is None:
        raise refuse(f"there is no report of visit {visit}; its gates have not been asked", NOT_FOUND)
    if html is not None:
        entry = next(entry for entry in entries if entry.delivery.number == found["delivery"])
        if entry.state in {State.EXPIRING, State.EXPIRED}:
            raise refuse(f"the pictures of visit {visit} are gone: its time was over", NOT_FOUND)
        told = page(found, folder_of(settings, entry))
        try:
            html.write_text(told, encoding="utf-8")
        except OSError as error:
            raise refuse(f"{html}: cannot be written: {error.strerror}", NOT_FOUND) from None
        record({"wrote": str(html)}, as_json=True) if as_json else typer.echo(f"wrote {html}")
        return
    _print_report({**found, "checked_at": when(found["checked_at"])}, as_json=as_json)


def folder_of(config: Config, entry: Quiet) -> Path:
    """Where the files of a delivery stand now: in staging while it is open, then in the export tree."""
    staged = Staging(config.export).root / entry.delivery.folder
    return staged if entry.path is None or staged.exists() else config.export / entry.path


def _print_report(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        record(found, as_json=True)
        return
    record({name: found[name] for name in ("scan_research_id", "delivery", "checked_at", "verdict")}, as_json=False)
    typer.echo()
    findings = [{**finding, "files": len(finding["files"])} for finding in found["findings"]]
    listing(findings, ["verdict", "gate", "files", "why"], as_json=False, nothing="the gates found nothing")
    typer.echo()
    series = [{**one, "files": len(one["files"])} for one in found["series"]]
    columns = ["number", "description", "modality", "pixel_spacing", "slice_thickness", "files"]
    listing(series, columns, as_json=False, nothing="")


def _asked(ask: Callable[[Steward], State], config: Config) -> State:
    index_of(config)
    try:
        return ask(build.steward(config, declare()))
    except UnfitError as error:
        raise refuse(str(error), NOT_FOUND) from None


def _said(config: Config, visit: str, state: State) -> None:
    """Where it stands, or, with exit code 1, what holds it."""
    index = index_of(config)
    if state is not State.PUBLISHED:
        why = index.listing("visit_states", scan_research_id=visit)[-1]["why"]
        raise refuse(f"visit {visit} is {state.label}: {why}", NOT_FOUND)
    found = next(row for row in index.listing("visits") if row["scan_research_id"] == visit)
    typer.echo(f"published {config.export / found['path']}")


def _dated(row: dict[str, Any]) -> dict[str, Any]:
    times = ("first_arrival", "last_arrival", "published_at", "entered_at")
    return {name: when(value) if name in times else value for name, value in row.items()}
