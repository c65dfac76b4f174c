"""`cloakroom visit merge` and `visit split`: which visit instances belong to, by an operator's word."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from scp import build, handover, walks
from scp.cli.output import NOT_FOUND, ConfigOption, JsonOption, listing, record, refuse
from scp.cli.visit import Visit, checked_reason, index_of
from scp.config import Config, load
from scp.db.moves import UnmovableError
from scp.moving import Moving, Study

Other = Annotated[str, typer.Argument(metavar="OTHER", help="The visit that becomes part of it, and is closed.")]
Studies = Annotated[
    list[str] | None,
    typer.Option(
        "--study",
        metavar="UID",
        help="StudyInstanceUID, as it left, of what becomes a visit; given again, they become one together. "
        "Without it, the studies are listed.",
    ),
]
Why = Annotated[
    str,
    typer.Option(
        "--reason", help="Why, for the record; it is kept as it is, so name no patient.", callback=checked_reason
    ),
]


def merge(visit: Visit, other: Other, reason: Why = "an operator says so", config: ConfigOption = None) -> None:
    """Make two visits of one subject one, before either is published: OTHER becomes part of SCAN_RESEARCH_ID.

    Its staged files are made anew under the number that stays, its gates are asked again, and whatever comes later for
    either comes to that one visit. Stopped at any moment, the node finishes what was begun.
    """
    with _moving(load(config)) as moving:
        count = moving.merge(visit, other, reason)
    typer.echo(f"merged {other} into {visit}: {count} instances")


def split(
    visit: Visit,
    study: Studies = None,
    reason: Why = "an operator says so",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make studies of a visit a visit of their own, before it is published; without --study, list its studies.

    Their staged files are made anew under a new number, the gates of both are asked again, and whatever comes later for
    the studies comes to the new visit. Stopped at any moment, the node finishes what was begun.
    """
    with _moving(load(config)) as moving:
        if not study:
            listing([one._asdict() for one in moving.studies(visit)], Study._fields, as_json=as_json, nothing="")
            return
        number, count = moving.split(visit, study, reason)
    if as_json:
        record({"scan_research_id": number, "split_off": visit, "instances": count}, as_json=True)
    else:
        typer.echo(f"split {number} off {visit}: {count} instances")


@contextmanager
def _moving(config: Config) -> Iterator[Moving]:
    """Beside a node or without one; a start that puts right what a crash left waits for it, as for an import."""
    index = index_of(config)
    try:
        with walks.importing(config.state), walks.instance(config.state):
            yield handover.moving(config, index, build.bounds(config))
    except UnmovableError as error:
        raise refuse(str(error), NOT_FOUND) from None
    except walks.Busy:
        raise build.StartError(f"{config.state}: a command that changes keys or databases runs here") from None
