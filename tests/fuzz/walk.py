"""Mutated data sets through the walker: `walk.py [COUNT [SEED]]`, or `walk.py --atheris [SECONDS]`; exit 1 on a find.

The second form is guided by coverage (atheris); it takes its first inputs from the good cases.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "dialogues"), str(TESTS / "fuzz")]

if "--atheris" in sys.argv:  # it has to see the import of what it is to guide itself by
    import atheris

    with atheris.instrument_imports(include=["scp"]):
        import walker  # noqa: F401

import beside  # noqa: E402  the path comes first
import varied  # noqa: E402
from walker import RECIPES, SYNTAXES, Case, Wrong, decoded, execute, mutated, plans, seeds  # noqa: E402  the path comes first

from scp.deidentify.plan import Plan  # noqa: E402

BATCH = 500
EVERY = 20
"""With one in so many cases two series go: each of their instances alone and beside the others."""


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def batch(seed: int, numbers: range) -> tuple[int, list[str]]:
    """Execute these; how many came through, and what was wrong. A process keeps its plans from batch to batch."""
    compiled, good = _prepared()
    through, wrong = 0, []
    for number in numbers:
        case = mutated(good, seed, number)
        try:
            through += execute(compiled[case.recipe], case) is not None
            if number % EVERY == 0:
                _series(compiled, good, seed, number)
        except Wrong as find:
            wrong.append(f"case {number} of seed {seed}: {find}")
        except Exception as error:  # noqa: BLE001  that any other is raised is the find
            wrong.append(f"case {number} of seed {seed}: {type(error).__name__}: {error}")
    return through, wrong


def _series(compiled: Mapping[str, Plan], good: list[Case], seed: int, number: int) -> None:
    """Two series, and the last one of the second by itself, where its recipe lets no planted token through."""
    for kind in (beside, varied):
        of, sent = kind.series(good, seed, number)
        beside.agree(compiled[of.recipe], of, sent)
    if of.recipe in RECIPES:
        execute(compiled[of.recipe], of._replace(syntax=sent[-1].syntax, data=sent[-1].data))


def _prepared(made: list = []):  # noqa: B006  once a process
    if not made:
        made.append(({**plans(), **varied.plans()}, seeds()))
    return made[0]


def campaign(count: int, seed: int) -> tuple[int, list[str]]:
    """How many of `count` mutated cases came through, and what was wrong; says how it goes."""
    begun = said = time.monotonic()
    through, wrong = 0, []
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        work = [pool.submit(batch, seed, range(at, min(at + BATCH, count))) for at in range(0, count, BATCH)]
        for done, each in enumerate(work, start=1):
            came, finds = each.result()
            through, wrong = through + came, wrong + finds
            if time.monotonic() - said > 10 or done == len(work):
                said = time.monotonic()
                executed = min(done * BATCH, count)
                rate = executed / (said - begun)
                say(f"{said - begun:6.0f} s {executed}/{count}, {rate:.0f} a second, {through} through")
    return through, wrong


def guided(seconds: int) -> None:
    """Let atheris look for inputs; ends the process."""
    compiled = plans()

    def one(data: bytes) -> None:
        case = decoded(data)
        execute(compiled[case.recipe], case)

    with tempfile.TemporaryDirectory(prefix="cloakroom-walk-") as folder:
        for number, case in enumerate(seeds()):
            choice = bytes((RECIPES.index(case.recipe), SYNTAXES.index(case.syntax)))
            Path(folder, str(number)).write_bytes(choice + case.data)
        atheris.Setup([sys.argv[0], folder, f"-max_total_time={seconds}", "-max_len=16384", "-timeout=10"], one)
        atheris.Fuzz()


def main() -> int:
    """The command."""
    if sys.argv[1:2] == ["--atheris"]:
        guided(int(sys.argv[2]) if len(sys.argv) > 2 else 60)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    _, wrong = campaign(count, seed)
    say("\n".join(wrong[:50]) or "nothing found")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
