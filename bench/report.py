"""docs/performance.md and its plot, from the figures of one run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure as Canvas

from bench.cells import CELLS
from bench.hostile import Verdict
from bench.kept import Kept
from bench.receivers import BARE, RECEIVERS
from bench.targets import TARGETS, Medians

PLOTTED = ("mr-1", "mr-8", "stock-1", "stock-4", "each-4")
COLOURS = ("#1b7837", "#7fbf7b", "#c7c7c7", "#8c8c8c", "#5a5a5a", "#c6dbef", "#6baed6", "#fdae6b")

_DURABLE = ("orthanc-tuned", "dcmtk-tuned")
_BESIDE = ((BARE[0].name, _DURABLE), (BARE[1].name, _DURABLE), (BARE[2].name, ("dcmtk-tuned",)))
NOTES = Path(__file__).parent / "notes.md"  # what a person says of the figures; it outlives a run
HEAD = """# Performance

Written by `make bench` from what is kept in `performance.json`; what stands beside each other was measured in one run
on one machine, so only the ratios mean something elsewhere.
"""

ROUNDS = """What a target is made of is the median of {rounds} rounds; the rest of the tables was measured once. Attacks
are each made once.
"""

METHOD = """## Method

Everything is on one machine, over loopback: senders and receiver share its CPUs. For each figure every receiver is
started anew in a fresh folder, answers a C-ECHO, is measured and stopped; the receivers take turns, round after round.
The *raw sender* is the bench's own: it maps instances encoded beforehand, sends each by one system call, in PDUs as
long as the receiver takes (at most 128 KiB), with Nagle's algorithm off, one process an association, at most three
seconds a run. `storescu` is timed with its own start, and sends less to receivers that make it stall. CPU is user and
system time of the receiver's whole process tree; memory is how much its largest process grew above idle. *Tuned* means
`TCP_NODELAY=1` and PDUs of 128 KiB; with more than one association `storescp` is started with `--fork`, because it
serves them one after the other without it.

The files that are imported are the raw sender's instances; `cloakroom import` takes them beside a running node and is
timed with its own start and end. The other way is one association's push of the same instances to another node.

**What the peers do not do.** None of them de-identifies. When they answer success, DCMTK and pynetdicom have
synced nothing; Orthanc has synced the file's data, but neither its folder nor its index. Cloakroom has applied the
recipe, synced file and folder, and committed the index. *Cloakroom, fsync off* is a build of the bench's own that syncs
nothing, for the comparison with those; the product has no such switch. On the other hand Orthanc computes an MD5 of
each file and indexes the identified attributes for its database, which Cloakroom does not; `storescp` decodes
and re-encodes the data set unless given `+B`. All receivers are Debian's or PyPI's releases named above; newer ones may
do better.
"""


PROMISE = """No node: it takes the bytes of each instance on one association, looks at nothing, writes and syncs a file
and its folder, commits one row, and answers, in this order (`bench/promise.py`). Instances a second, in brackets CPU
milliseconds for one; then both as shares of the peer's. Hardly any of it is Python's, nearly all the operating
system's: where a target is near these shares, nothing is left for what a node does beside that, whatever it is
written in. *With a log* is another promise: the bytes of the instance are synced in a log alone, and files, folder and
rows when 32 MiB of it are full, all at once; a power cut would be made good from it. No node here keeps that one.
"""


def write(folder: Path, kept: Kept, rounds: int, *, quick: bool) -> None:
    """Write performance.md and performance.png into `folder`."""
    medians = kept.medians
    plot(folder / "performance.png", medians)
    parts = [
        HEAD,
        "**A quick run: one short round, which only hints.**\n" if quick else ROUNDS.format(rounds=rounds),
        _table(("What", "Which"), kept.machine),
        "## Targets\n",
        _table(("Ratio to", "Target", "Measured", "Reached"), _targets(medians)),
        *[f"{remark}\n" for _, remarks in sorted(kept.remarks.items()) for remark in remarks],
        NOTES.read_text("utf-8"),
        "![Instances a second by receiver](performance.png)\n",
        "## Throughput\n",
        "Instances a second; in brackets the receiver's CPU milliseconds for one.\n",
        _table(("Run", *(receiver.title for receiver in RECEIVERS)), _rates(medians)),
        _table(("Receiver", "Durable when it answers success"), [(each.title, each.keeps) for each in RECEIVERS]),
        _promise(kept.medians),
        "## Memory\n",
        "MiB by which the receiver's largest process grew above idle.\n",
        _table(("Run", *(receiver.title for receiver in RECEIVERS)), _memories(medians)),
        _hostile(list(kept.verdicts.values())),
        "## When it was measured\n",
        _table(("When, and at which commit", "Runs and parts"), kept.times()),
        METHOD,
    ]
    (folder / "performance.md").write_text("\n".join(part for part in parts if part), encoding="utf-8")


def plot(path: Path, medians: Medians) -> None:
    """Instances a second of each receiver, on a logarithmic axis."""
    cells = [cell for cell in CELLS if cell.name in PLOTTED and (cell.name, "cloakroom", "rate") in medians]
    canvas = Canvas(figsize=(11, 5), layout="constrained")
    axes = canvas.subplots()
    width = 0.8 / len(RECEIVERS)
    for place, receiver in enumerate(RECEIVERS):
        rates = [medians.get((cell.name, receiver.name, "rate"), 0.0) for cell in cells]
        axes.bar(
            [at + (place - len(RECEIVERS) / 2) * width for at in range(len(cells))],
            rates, width, label=receiver.title, color=COLOURS[place],
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylabel("instances a second")
    axes.set_xticks(range(len(cells)), [cell.title.replace(", ", "\n") for cell in cells], fontsize=8)
    axes.legend(fontsize=8, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, dpi=120, metadata={"Software": None})


def plain(medians: Medians) -> list[str]:
    """The targets as lines for the terminal."""
    return [f"{title:62} {wanted:>8} {figure:>9} {reached}" for title, wanted, figure, reached in _targets(medians)]


def _targets(medians: Medians) -> list[tuple[str, str, str, str]]:
    rows = []
    for target in TARGETS:
        found = target.reached(medians)
        wanted = f"{'≤' if target.at_most else '≥'} {target.factor:g}"
        measured, reached = (f"{found[0]:.2f}", "yes" if found[1] else "**no**") if found else ("not measured", "")
        rows.append((target.title, wanted, measured, reached))
    return rows


def _rates(medians: Medians) -> list[tuple[str, ...]]:
    return [
        (
            cell.title,
            *(
                f"{_short(medians[cell.name, name, 'rate'])} ({medians[cell.name, name, 'cpu']:.2f})"
                if (cell.name, name, "rate") in medians
                else ""
                for name in (receiver.name for receiver in RECEIVERS)
            ),
        )
        for cell in CELLS
        if (cell.name, "cloakroom", "rate") in medians
    ]


def _promise(medians: Medians) -> str:
    """What is left of a ratio when a node does nothing but what it promises."""
    rows = [
        (cell.title, *(text for bare, peers in _BESIDE for text in _share(medians, cell.name, bare, peers)))
        for cell in CELLS
        if (cell.name, BARE[0].name, "rate") in medians
    ]
    peers = ("to Orthanc tuned", "to DCMTK tuned")
    heads = ("Run", "the bare promise", *peers, "with a log", *peers, "fsync off", peers[1])
    return "\n".join(("## The bare promise\n", PROMISE, _table(heads, rows))) if rows else ""


def _share(medians: Medians, cell: str, bare: str, peers: Sequence[str]) -> Iterator[str]:
    rate, cpu = (medians.get((cell, bare, measure), 0.0) for measure in ("rate", "cpu"))
    yield f"{_short(rate)} ({cpu:.2f})" if rate else "not measured"
    for peer in peers:
        others = [medians.get((cell, peer, measure), 0.0) for measure in ("rate", "cpu")]
        yield f"{rate / others[0]:.2f} ({cpu / others[1]:.2f})" if rate and all(others) else ""


def _memories(medians: Medians) -> list[tuple[str, ...]]:
    return [
        (
            cell.title,
            *(_memory(medians.get((cell.name, receiver.name, "memory"))) for receiver in RECEIVERS),
        )
        for cell in CELLS
        if cell.name in {"mr-1", "mr-8", "multiframe-1"} and (cell.name, "cloakroom", "rate") in medians
    ]


def _hostile(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return ""
    rows = [
        (
            verdict.title,
            verdict.ended,
            f"{verdict.seconds:.2f} s",
            f"{verdict.limit:g} s",
            f"{verdict.kept:.0%}",
            f"{verdict.memory:+.0f} MiB",
            "yes" if verdict.held else "**no**",
        )
        for verdict in verdicts
    ]
    heads = ("Attack", "How it ended", "After", "Limit", "Others keep", "Memory", "Held")
    text = (
        "Each attack runs, again and again, against a node while two honest senders push half of what they can (a\n"
        "node that is used up has nothing to leave alone); *others keep* is their throughput during the attack, as a\n"
        "share of that before and after it. The node's limits of time are shortened (header, body and idle 2 s, ARTIM\n"
        "3 s, instance 6 s; at most 256 MiB), so that they are met within the run. The attacker has the bandwidth of\n"
        "a gigabit network and the lowest priority on the machine that it shares with the node. *After* is the\n"
        "longest that one attempt lasted. Memory is of all the node's processes.\n"
    )
    return "\n".join(("## Hostile peers\n", text, _table(heads, rows)))


def _memory(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
