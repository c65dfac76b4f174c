"""`cloakroom recipe`: whether a recipe compiles, what it does to attributes, files and folders, what it weakens."""

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from scp import build
from scp.cli.output import NOT_FOUND, REFUSED, ConfigOption, JsonOption, listing, refuse
from scp.config import Config, load
from scp.deidentify import coverage as covering
from scp.deidentify import dry
from scp.deidentify.decision import Decision
from scp.deidentify.plan import Plan
from scp.outcome import Failure

app = typer.Typer(help="De-identification recipes, in deid's language, compiled to a plan.", no_args_is_help=True)

Recipe = Annotated[
    str | None,
    typer.Option("--recipe", "-r", help="A recipe's name or file; without it the one that is configured."),
]


@app.command()
def check(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[RECIPE]", help="A name in deid_recipes/ or a file; else the configured one."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compile a recipe and list what each line does; or say the line that is wrong and how to mend it (exit 2)."""
    plan = _plan(load(config), recipe)
    rows = [_row(decision) for decision in (*plan.summary(), *plan.images())]
    listing(rows, ["line", "attribute", "action", "text"], as_json=as_json, nothing="the recipe has no rules")
    if not as_json:
        typer.echo(f"\n{plan.recipe.path}: in order, {len(plan.recipe.rules)} rules, digest {plan.digest}")


@app.command()
def explain(
    tag: Annotated[
        str, typer.Argument(metavar="TAG", help='Keyword, (gggg,eeee), gggg,"CREATOR",ee or Sequence__Keyword.')
    ],
    recipe: Recipe = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what becomes of one attribute and which line of the recipe decided it; line 0 is no line: default deny."""
    plan = _plan(load(config), recipe)
    try:
        decisions = plan.explain(tag)
    except ValueError as error:
        raise refuse(str(error), REFUSED) from error
    rows = [_row(decision) for decision in decisions]
    listing(rows, ["attribute", "action", "path", "line", "text"], as_json=as_json, nothing="")


@app.command()
def coverage(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[RECIPE]", help="A name in deid_recipes/ or a file; else the configured one."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the rows of PS3.15 Table E.1-1 of which the recipe leaves more than the Basic Profile, and its reasons.

    Line 0 is no line: the attribute stays because nothing names it. Exit 1 where there are such rows.
    """
    weak = covering.weaknesses(_plan(load(config), recipe))
    rows = [asdict(weakness) for weakness in weak]
    columns = ["attribute", "code", "action", "line", "because"]
    listing(rows, columns, as_json=as_json, nothing="the recipe weakens no row of E.1-1")
    if any(not weakness.line for weakness in weak):
        raise typer.Exit(NOT_FOUND)


@app.command()
def diff(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DICOM file; it is read and nothing is written.")],
    recipe: Recipe = None,
    config: ConfigOption = None,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Show the values themselves; only on a terminal, never into a file or pipe."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a file before and after, side by side: what leaves, what stays, what is written; values are masked."""
    if reveal and (as_json or not sys.stdout.isatty()):
        raise refuse("--reveal shows a patient's values, so it works on a terminal only", REFUSED)
    plan = _plan(load(config), recipe)
    try:
        sent = dry.instance(file)
        changes = dry.changes(sent.dataset, dry.applied(plan, sent, dry.nobody()))
    except OSError as error:
        raise refuse(f"{file} cannot be read: {error.strerror}", NOT_FOUND) from error
    rows = [_change(change, reveal=reveal) for change in changes]
    columns = ["attribute", "vr", "before", "after", "change"]
    listing(rows, columns, as_json=as_json, nothing="the data set is empty")


@app.command("try")
def try_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of DICOM files; nothing is written.")],
    recipe: Recipe = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe over all files of a folder and say how many come through, and why others do not (then exit 1)."""
    plan = _plan(load(config), recipe)
    if not folder.is_dir():
        raise refuse(f"{folder} is no folder", NOT_FOUND)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found: Counter[tuple[str, str]] = Counter()
    shown = track(files, "trying", console=Console(stderr=True), transient=True, disable=as_json)
    for path in shown:
        found[_tried(plan, path)] += 1
    rows = [{"outcome": outcome, "why": why, "files": count} for (outcome, why), count in found.most_common()]
    listing(rows, ["outcome", "files", "why"], as_json=as_json, nothing="there are no files in this folder")
    if not found or any(outcome != _THROUGH for outcome, _ in found):
        raise typer.Exit(NOT_FOUND)


_THROUGH = "de-identified"


def _tried(plan: Plan, path: Path) -> tuple[str, str]:
    """The outcome and why: of what comes through, the labels by which its pixels are blanked."""
    try:
        sent = dry.instance(path)
        plan.identity(sent)  # without one a node has nobody to apply the recipe for
        plan.apply(sent, dry.nobody())
        labels = [label.name for label in plan.pixels.look(sent.dataset)]
    except Failure as failure:
        return failure.outcome.name.lower(), failure.why
    except OSError as error:
        return "unreadable", error.strerror or ""
    return _THROUGH, f"regions blanked: {', '.join(labels)}" if labels else ""


def _change(change: dry.Change, *, reveal: bool) -> dict[str, str]:
    if change.before is None or change.after is None:
        kind = "written" if change.before is None else "removed"
    else:
        kind = "kept" if change.same else "replaced" if change.after else "blanked"
    before, after = (_shown(value, reveal=reveal) for value in (change.before, change.after))
    return {"attribute": change.where, "vr": change.vr, "before": before, "after": after, "change": kind}


def _shown(value: str | None, *, reveal: bool) -> str:
    if not value:
        return "" if value is None else "(empty)"
    if reveal:
        return value
    return f"({value})" if isinstance(value, dry.Size) else f"({len(value)} characters)"


def _plan(config: Config, recipe: str | None) -> Plan:
    return build.recipe_of(config if recipe is None else config.model_copy(update={"recipe": recipe}))


def _row(decision: Decision) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(decision).items()}
