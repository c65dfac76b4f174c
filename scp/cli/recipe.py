"""`cloakroom recipe`: whether a recipe compiles, and what it does to an attribute."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from scp import build
from scp.cli.output import REFUSED, ConfigOption, JsonOption, listing, refuse
from scp.config import Config, load
from scp.deidentify.plan import Decision, Plan

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
    rows = [_row(decision) for decision in plan.summary()]
    listing(rows, ["line", "attribute", "action", "text"], as_json=as_json, nothing="the recipe has no rules")
    if not as_json:
        typer.echo(f"\n{plan.recipe.path}: in order, {len(rows)} rules, digest {plan.digest}")


@app.command()
def explain(
    tag: Annotated[
        str, typer.Argument(metavar="TAG", help='Keyword, (gggg,eeee), or a private attribute as gggg,"CREATOR",ee.')
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


def _plan(config: Config, recipe: str | None) -> Plan:
    return build.recipe_of(config if recipe is None else config.model_copy(update={"recipe": recipe}))


def _row(decision: Decision) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(decision).items()}
