"""What was measured so far: a run of some parts renews those, and the page says of each figure when it was made.

A cell is renewed whole, so that each ratio is of one run. What another machine has measured is not kept.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.hostile import Verdict, summary
from bench.receivers import ROOT

Key = tuple[str, str, str]
"""Cell, receiver, measure."""
ATTACKS = "hostile"


@dataclass
class Kept:
    """Figures, attacks by name, remarks by part; `made` says of each cell and part when, and at which commit."""

    machine: list[list[str]]
    medians: dict[Key, float] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)

    def renew(
        self, medians: Mapping[Key, float], verdicts: Iterable[Verdict], remarks: Mapping[str, Sequence[str]], now: str
    ) -> None:
        """Put what was measured just now in place of what was there of the same cells, attacks and parts."""
        cells = {cell for cell, _, _ in medians}
        self.medians = {key: value for key, value in self.medians.items() if key[0] not in cells} | dict(medians)
        attacks = {verdict.name: verdict for verdict in verdicts}
        self.verdicts |= attacks
        self.remarks |= {part: list(lines) for part, lines in remarks.items() if lines}
        self.made |= dict.fromkeys((*cells, *(part for part, lines in remarks.items() if lines)), now)
        if attacks.keys() == self.verdicts.keys():
            self.made = {what: when for what, when in self.made.items() if not what.startswith(ATTACKS)}
            self.made |= {ATTACKS: now} if attacks else {}
        else:
            self.made |= {f"{ATTACKS}-{name}": now for name in attacks}
        worst = summary(list(self.verdicts.values()))
        self.medians |= {(ATTACKS, "cloakroom", name): value for name, value in worst.items()}

    def times(self) -> list[tuple[str, str]]:
        """When what was measured, those of one time together."""
        found: dict[str, list[str]] = {}
        for what, when in sorted(self.made.items()):
            found.setdefault(when, []).append(what)
        return [(when, ", ".join(what)) for when, what in sorted(found.items())]

    def write(self, path: Path) -> None:
        """As JSON, a figure a line."""
        plain: dict[str, Any] = asdict(self)
        plain["medians"] = {"/".join(key): value for key, value in sorted(self.medians.items())}
        path.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read(path: Path, machine: Sequence[Sequence[str]]) -> Kept:
    """What a file has of this very machine; nothing where there is none."""
    here = [list(row) for row in machine]
    with suppress(FileNotFoundError):
        plain = json.loads(path.read_text("utf-8"))
        if plain["machine"] == here:
            plain["medians"] = {_key(name): value for name, value in plain["medians"].items()}
            plain["verdicts"] = {name: Verdict(**row) for name, row in plain["verdicts"].items()}
            return Kept(**plain)
    return Kept(here)


def now() -> str:
    """This minute and the commit that is measured."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}" + (f" at {commit}" if commit else "")


def _key(name: str) -> Key:
    cell, receiver, measure = name.split("/")
    return cell, receiver, measure
