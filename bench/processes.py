"""What a receiver costs: CPU and memory of its process tree, as /proc tells them."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all its descendants that live."""
    found, rest = [], [pid]
    while rest:
        one = rest.pop()
        found.append(one)
        for task in _children(one):
            rest += [int(child) for child in task.split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, children that have been waited for included."""
    ticks = 0
    for one in tree(pid):
        text = _read(one, "stat")
        if text:
            ticks += sum(int(field) for field in text.rpartition(")")[2].split()[11:15])
    return ticks / TICKS


def resident(pid: int) -> int:
    """Bytes resident, of all processes of the tree together; pages shared by them count for each."""
    return sum(_status(one, "VmRSS") for one in tree(pid))


def proportional(pid: int) -> int:
    """Bytes resident, of all processes of the tree together; a page shared by n of them counts 1/n for each."""
    return sum(_field(_read(one, "smaps_rollup"), "Pss") for one in tree(pid))


def reset_peaks(pid: int) -> dict[int, int]:
    """Begin the peaks anew, and the bytes resident of each process now."""
    now = {}
    for one in tree(pid):
        now[one] = _status(one, "VmRSS")
        try:
            Path(f"/proc/{one}/clear_refs").write_text("5", encoding="ascii")
        except OSError:
            continue  # gone, or not ours to reset: then its peak is that of its whole life
    return now


def peak_growth(pid: int, before: dict[int, int]) -> int:
    """Bytes by which that process of the tree grew most that grew most; a new one counts from its parent's size."""
    least = min(before.values())
    return max((_status(one, "VmHWM") - before.get(one, least) for one in tree(pid)), default=0)


def descriptors(pid: int) -> int:
    """Open file descriptors of the tree."""
    count = 0
    for one in tree(pid):
        try:
            count += len(os.listdir(f"/proc/{one}/fd"))  # noqa: PTH208  /proc
        except OSError:
            continue
    return count


def threads(pid: int) -> int:
    """Threads of the tree."""
    return sum(_field(_read(one, "status"), "Threads", unit=1) for one in tree(pid))


def _children(pid: int) -> list[str]:
    try:
        return [path.read_text("ascii") for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", "replace")
    except OSError:
        return ""


def _status(pid: int, key: str) -> int:
    return _field(_read(pid, "status"), key)


def _field(text: str, key: str, unit: int = 1024) -> int:
    for line in text.splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * unit
    return 0
