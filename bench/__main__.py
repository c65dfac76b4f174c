"""`make bench`: every receiver under every sender, idle and hostile peers, and docs/performance.md."""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import (
    cells,
    deidentify,
    files,
    hostile,
    idle,
    kept,
    machine,
    report,
    scraping,
    steward,
    wire,
    workloads,
)
from bench.progress import steps
from bench.receivers import BY_NAME, ROOT, BenchError
from bench.targets import NEEDED, Medians

ROUNDS, QUICK_ROUNDS, QUICK_SCALE = 5, 1, 0.3
PARTS = ("deidentify", "steward", "push", "files", "idle", "scraping", "hostile")
PLAIN_FILES = ("mr",)  # what storescu sends, which takes files

Samples = dict[tuple[str, str, str], list[float]]
Remarks = dict[str, list[str]]


def main() -> int:
    """Measure and write; exit code 2 when a peer is not installed and cannot be."""
    asked = _arguments()
    if (absent := machine.missing()) and not machine.install(absent):
        print(f"bench: install {' and '.join(absent)}; on Debian, as root: apt-get install {' '.join(absent)}")
        return 2
    samples: Samples = defaultdict(list)
    verdicts: list[hostile.Verdict] = []
    remarks: Remarks = defaultdict(list)
    with _place() as place, suppress(KeyboardInterrupt):  # ^C: what there is by then is written
        if "deidentify" in asked.parts:
            remarks["deidentify"].append(deidentify.section(quick=asked.quick))
        if "steward" in asked.parts:
            remarks["steward"].append(_steward(place, samples, asked))
        if {"push", "idle", "scraping", "hostile"} & set(asked.parts):
            _pushed(place, samples, remarks["push"], verdicts, asked)
        if "files" in asked.parts:
            _files(place, samples, remarks["files"], asked)
    medians: dict[tuple[str, str, str], float] = {key: statistics.median(found) for key, found in samples.items()}
    _tell(asked, medians, verdicts, remarks)
    return 0


def _pushed(
    place: Path, samples: Samples, remarks: list[str], verdicts: list[hostile.Verdict], asked: argparse.Namespace
) -> None:
    """What is measured by pushing the workloads."""
    made = _workloads(place, asked.scale)
    if "push" in asked.parts:
        _push(place, made, samples, remarks, asked)
    if "idle" in asked.parts:
        _idle(place, made["mr"], samples, asked)
    if "scraping" in asked.parts:
        _scraping(place, made["mr"], samples, asked)
    if "hostile" in asked.parts:
        wanted = tuple(part for part in asked.attacks.split(",") if part)
        attacks = [each for each in hostile.ATTACKS if not wanted or each.name.startswith(wanted)]
        with steps(len(attacks)) as progress:
            for verdict in hostile.run(place, made["tiny"], attacks, progress, quick=asked.quick):
                verdicts.append(verdict)  # noqa: PERF402  those there are stay when it is stopped


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="one short round; figures that only hint")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"default {','.join(PARTS)}")
    parser.add_argument("--cells", default="", help="only runs whose name begins so (comma-separated)")
    parser.add_argument("--attacks", default="", help="only attacks whose name begins so (comma-separated)")
    parser.add_argument("--receivers", default="", help="only these receivers (comma-separated)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="where performance.md goes; default docs")
    asked = parser.parse_args()
    asked.rounds = asked.rounds or (QUICK_ROUNDS if asked.quick else ROUNDS)
    asked.scale = QUICK_SCALE if asked.quick else 1.0
    asked.parts = asked.parts.split(",")
    return asked


@contextmanager
def _place() -> Iterator[Path]:
    """A folder whose folders the file system spreads, and that is emptied only at the end.

    Files made after many have been deleted beside them are dearer on ext4, which would punish whoever comes later.
    """
    place = Path(tempfile.mkdtemp(prefix="cloakroom-bench-", dir="/var/tmp"))  # never a tmpfs: fsync counts
    if shutil.which("chattr"):
        subprocess.run(["chattr", "+T", str(place)], check=False, capture_output=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _workloads(place: Path, scale: float) -> dict[str, Path]:
    made = {}
    for workload in workloads.WORKLOADS:
        count = max(4, int(workload.count * min(1.0, scale * 2)))
        folder = place / f"workload-{workload.name}"
        made[workload.name] = workloads.make(workload, folder, count=count, files=workload.name in PLAIN_FILES)
    return made


def _steward(place: Path, samples: Samples, asked: argparse.Namespace) -> str:
    with steps(steward.PARTS + 1) as progress:
        visits = steward.VISITS // 10 if asked.quick else steward.VISITS
        figures = steward.measure(place / "steward", progress, visits)
    samples["steward", "cloakroom", "growth"].append(figures.growth)
    samples["steward", "cloakroom", "publishing"] += figures.large
    asked.out.mkdir(exist_ok=True)
    steward.plot(asked.out, figures)
    return steward.section(figures)


def _push(place: Path, made: dict[str, Path], samples: Samples, remarks: list[str], asked: argparse.Namespace) -> None:
    wanted = tuple(part for part in asked.cells.split(",") if part)
    chosen = [cell for cell in cells.CELLS if not wanted or cell.name.startswith(wanted)]
    only = set(asked.receivers.split(",")) if asked.receivers else set(BY_NAME)
    runs = [(cell, name) for cell in chosen for name in cell.receivers if name in only]
    again = [(cell, name) for cell, name in runs if (cell.name, name) in NEEDED]
    with steps(len(runs) + len(again) * (asked.rounds - 1)) as progress:
        for round_ in range(asked.rounds):  # by turns, so that what else the machine does meets all alike
            for cell, name in again if round_ else runs:
                progress.step(f"round {round_ + 1}: {cell.title}: {name}")
                folder = place / f"run-{cell.name}-{name}-{round_}"
                try:
                    figure = cells.run(cell, BY_NAME[name], made[cell.workload], folder, scale=asked.scale)
                except BenchError as error:
                    remarks.append(f"Not measured in every round: {cell.title}, {BY_NAME[name].title}: {error}.")
                    continue
                for measure in ("rate", "cpu", "memory"):
                    samples[cell.name, name, measure].append(getattr(figure, measure))


def _files(place: Path, samples: Samples, remarks: list[str], asked: argparse.Namespace) -> None:
    [mr] = [workload for workload in workloads.WORKLOADS if workload.name == "mr"]
    made = workloads.make(mr, place / "workload-files", count=int(files.COUNT * asked.scale), files=True)
    said = []
    with steps(asked.rounds) as progress:
        for round_ in range(asked.rounds):
            progress.step(f"{files.COUNT * asked.scale:.0f} files, round {round_ + 1}")
            try:
                found = files.run(made, place / f"files-{round_}", first=files.Rates._fields[round_ % 2])
            except BenchError as error:
                remarks.append(f"Not measured in every round: files as input: {error}.")
                continue
            samples["files", "cloakroom", "share"].append(found.imported / found.pushed)
            said.append(f"{found.imported:.0f} beside {found.pushed:.0f}")
    remarks.append(f"Files imported a second beside the same pushed on one association, by round: {', '.join(said)}.")


def _idle(place: Path, workload: Path, samples: Samples, asked: argparse.Namespace) -> None:
    with steps(asked.rounds) as progress:
        for round_ in range(asked.rounds):
            progress.step(f"{idle.ASSOCIATIONS} idle associations, round {round_ + 1}")
            try:
                found = idle.run(workload, place / f"idle-{round_}", seconds=3.0 * asked.scale)
            except (BenchError, OSError, wire.WireError) as error:
                print(f"not measured: {error}")
                continue
            for measure in ("kept", "core", "memory"):
                samples["idle", "cloakroom", measure].append(getattr(found, measure))


def _scraping(place: Path, workload: Path, samples: Samples, asked: argparse.Namespace) -> None:
    pairs = scraping.QUICK_PAIRS if asked.quick else scraping.PAIRS
    with steps(1) as progress:
        progress.step(f"scraped under {scraping.SENDERS} associations")
        found = scraping.run(workload, place / "scraping", pairs=pairs)
    for measure in found._fields:
        samples["scraping", "cloakroom", measure].append(getattr(found, measure))


def _tell(asked: argparse.Namespace, medians: Medians, verdicts: list[hostile.Verdict], remarks: Remarks) -> None:
    """A quick run says what it found and nothing else; any other renews its part of what is kept beside the page."""
    asked.out.mkdir(exist_ok=True)
    path = asked.out / "performance.json"
    versions = machine.versions()
    found = kept.Kept([list(row) for row in versions]) if asked.quick else kept.read(path, versions)
    found.renew(medians, verdicts, remarks, kept.now())
    if not asked.quick:
        found.write(path)
    report.write(asked.out, found, asked.rounds, quick=asked.quick)
    said = [line for lines in remarks.values() for line in lines]
    print("\n".join([*said, *report.plain(found.medians), f"written: {asked.out / 'performance.md'}"]))


if __name__ == "__main__":
    sys.exit(main())
