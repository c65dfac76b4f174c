"""`cloakroom day`: saying that nothing more comes to a day's folder."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated

import typer

from scp import build, handover
from scp.cli.output import NOT_FOUND, ConfigOption, refuse
from scp.config import Config, load
from scp.db.index import Index
from scp.state import State
from scp.steward.publish import HalfADayError, close_day
from scp.store.staging import Staging

app = typer.Typer(help="Days of the export tree.", no_args_is_help=True)

_ANY_VISIT = "1000000000"


@app.command()
def close(
    day: Annotated[
        datetime, typer.Argument(metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="The day as its folder says it.")
    ],
    config: ConfigOption = None,
) -> None:
    """Write a day's own `.ready`: what is complete later goes to the next day, and so does what comes late.

    The Data Factory's scanner processes past days anyway and takes the present one only with this marker. A day to
    which nothing was published has no folder and gets none.
    """
    settings = load(config)
    folder = build.layout_of(settings)(_ANY_VISIT, day.date()).parent
    if settings.layout == "flat":
        raise refuse("the layout flat has no days", NOT_FOUND)
    if not settings.index_path.exists():
        raise refuse(f"{settings.index_path}: no node has run here yet", NOT_FOUND)
    try:
        closed = _closed(settings, folder)
    except HalfADayError as error:
        raise refuse(str(error), NOT_FOUND) from None
    if not closed:
        raise refuse(f"nothing was published on {day:%Y-%m-%d}: there is no {settings.export / folder}", NOT_FOUND)
    typer.echo(f"closed {settings.export / folder}")


def _closed(settings: Config, folder: PurePosixPath) -> bool:
    index = Index(settings.index_path)

    def begun() -> list[str | None]:
        return [entry.path for entry in index.in_state(State.PUBLISHING)]

    return close_day(settings.export, Staging(settings.export), folder, handover.group_of(settings), begun)
