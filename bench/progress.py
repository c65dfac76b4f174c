"""Where a long run is: a bar on a terminal, a line for each step elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Steps:
    """Told of each step as it begins."""

    def __init__(self, total: int, bar: Progress | None) -> None:
        self._total, self._bar, self._done, self._begun = total, bar, 0, time.monotonic()
        self._task = bar.add_task("", total=total) if bar else None

    def step(self, what: str) -> None:
        """The next step begins."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, description=what)
        else:
            print(f"{time.monotonic() - self._begun:6.0f} s {self._done:4}/{self._total} {what}", flush=True)
        self._done += 1


@contextmanager
def steps(total: int) -> Iterator[Steps]:
    """So many steps."""
    if not sys.stdout.isatty():
        yield Steps(total, None)
        return
    columns = (TextColumn("{task.description:60}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar:
        yield Steps(total, bar)
