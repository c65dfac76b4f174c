"""The scorer: which of the answers were given, by action, and which were not."""

import hashlib
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO

from pydicom import Dataset, dcmread

from answers.key import ACTIONS, Answer

_STEP = re.compile(r"(\w+)\[(\d+)\]\.")


@dataclass
class Score:
    """Right and wrong answers; of the wrong ones, which."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: list[Answer] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Right ones of all."""
        return sum(self.right.values()) / (sum(self.right.values()) + len(self.wrong))

    def failed(self, action: str) -> list[Answer]:
        """The wrong answers of an action."""
        return [answer for answer in self.wrong if answer.action == action]

    def table(self) -> str:
        """A line for each action."""
        lines = [f"{'action':18} {'asked':>8} {'right':>8} {'share':>9}"]
        for action in ACTIONS:
            right, wrong = self.right[action], len(self.failed(action))
            share = f"{right / (right + wrong):9.3%}" if right + wrong else f"{'':9}"
            lines.append(f"{action:18} {right + wrong:8} {right:8} {share}")
        return "\n".join([*lines, f"{'all':18} {'':8} {sum(self.right.values()):8} {self.share:9.3%}"])


class Scorer:
    """Asks each answer of the file that came of the instance; None where it was quarantined and no file came."""

    def __init__(self, files: Mapping[str, bytes | None], recipe: str) -> None:
        self._files, self._recipe = files, recipe
        self._read = {name: dcmread(BytesIO(file)) for name, file in files.items() if file is not None}
        self._uids: dict[str, set[str]] = defaultdict(set)
        self._originals: dict[str, set[str]] = defaultdict(set)
        self._people: dict[str, set[str]] = defaultdict(set)
        self._subjects: dict[str, set[str]] = defaultdict(set)
        self._days: dict[str, Counter[int]] = defaultdict(Counter)

    def score(self, key: sqlite3.Connection) -> Score:
        """Every answer of the key; what has to be consistent is gathered over all files first."""
        found = [Answer(*row) for row in key.execute("SELECT * FROM answer")]
        for answer in found:
            self._gather(answer)
        score = Score()
        for answer in found:
            if self._is_right(answer):
                score.right[answer.action] += 1
            else:
                score.wrong.append(answer)
        return score

    def _gather(self, answer: Answer) -> None:
        dataset = self._read.get(answer.instance)
        if dataset is None:
            return
        came = _text(dataset, answer.path)
        if answer.action == "uid_consistent":
            self._uids[answer.value].add(came)
            self._originals[came].add(answer.value)
        elif answer.action == "patid_consistent":
            self._people[answer.subject].add(came)
            self._subjects[came].add(answer.subject)
        elif answer.action == "date_shifted" and (days := _between(answer.value, came)) is not None:
            self._days[answer.subject][days] += 1

    def _is_right(self, answer: Answer) -> bool:
        dataset = self._read.get(answer.instance)
        if dataset is None:  # what did not leave has hidden everything and kept nothing
            return answer.action in {"text_removed", "pixels_hidden"}
        return _CHECKS[answer.action](self, answer, dataset)

    def _shifted(self, answer: Answer, dataset: Dataset) -> bool:
        came, sent = _text(dataset, answer.path), answer.value
        if self._recipe == "mip":
            return came == (f"{sent[:4]}0101" if answer.path == "PatientBirthDate" else f"{sent[:6]}01")
        [(days, _)] = self._days[answer.subject].most_common(1) or [(0, 0)]
        return days != 0 and _between(sent, came) == days and came[8:] == sent[8:]

    def _changed(self, answer: Answer, dataset: Dataset) -> bool:
        came = _text(dataset, answer.path)
        return came not in {"", answer.value} and answer.value.encode() not in (self._files[answer.instance] or b"")

    def _consistent(self, answer: Answer, dataset: Dataset) -> bool:
        came = _text(dataset, answer.path)
        return self._uids[answer.value] == {came} and self._originals[came] == {answer.value}

    def _same_person(self, answer: Answer, dataset: Dataset) -> bool:
        came = _text(dataset, answer.path)
        return (
            came not in {"", answer.value} and self._people[answer.subject] == {came} and len(self._subjects[came]) == 1
        )

    def _removed(self, answer: Answer, _dataset: Dataset) -> bool:
        return answer.value.lower().encode("latin-1", "replace") not in (self._files[answer.instance] or b"").lower()

    def _retained(self, answer: Answer, dataset: Dataset) -> bool:
        came = _text(dataset, answer.path)
        return came == answer.value or answer.value in re.split("[ _]", came)

    def _present(self, answer: Answer, dataset: Dataset) -> bool:
        return answer.path in dataset

    def _filled(self, answer: Answer, dataset: Dataset) -> bool:
        return _text(dataset, answer.path) != ""

    def _pixels_same(self, answer: Answer, dataset: Dataset) -> bool:
        return "PixelData" in dataset and hashlib.sha256(dataset.PixelData).hexdigest() == answer.value

    def _pixels_blank(self, _answer: Answer, dataset: Dataset) -> bool:
        """Hidden is what was quarantined; what leaves has to be blank (with rectangles: blank inside them)."""
        return "PixelData" in dataset and not dataset.PixelData.strip(b"\0")


_CHECKS: Mapping[str, Callable[[Scorer, Answer, Dataset], bool]] = {
    "tag_retained": Scorer._present,
    "text_notnull": Scorer._filled,
    "text_retained": Scorer._retained,
    "text_removed": Scorer._removed,
    "date_shifted": Scorer._shifted,
    "uid_changed": Scorer._changed,
    "uid_consistent": Scorer._consistent,
    "patid_consistent": Scorer._same_person,
    "pixels_hidden": Scorer._pixels_blank,
    "pixels_retained": Scorer._pixels_same,
}


def _text(dataset: Dataset, path: str) -> str:
    """The value that a path leads to, "" where it leads nowhere."""
    while step := _STEP.match(path):
        items = dataset.get(step[1])
        if not items or len(items) <= int(step[2]):
            return ""
        dataset, path = items[int(step[2])], path[step.end() :]
    value = dataset.get(path)
    return "" if value is None else str(value)


def _between(sent: str, came: str) -> int | None:
    """Days from one date to another."""
    try:
        return (_day(came) - _day(sent)).days
    except ValueError:
        return None


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
