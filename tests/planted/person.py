"""Made-up people whose every identifying value is a needle: words, numbers and dates that stand nowhere by chance."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from random import Random

from planted.scripts import SCRIPTS

KINDS = ("person", "institution", "device", "uid", "date", "time", "age")
_ROOT = "1.2.826.0.1.3680043.9.7391846"
_CONSONANTS, _VOWELS = "bdfghklmnprstvwxz", "aeiou"
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True)
class Person:
    """Somebody between 92 and 98, and one study of theirs."""

    seed: int

    def word(self, what: str) -> str:
        """Ten letters that no language has."""
        random = self._random(what)
        return "Zq" + "".join(random.choice(_VOWELS) + random.choice(_CONSONANTS) for _ in range(4))

    def uid(self, what: str) -> str:
        """A UID below a root of this corpus."""
        return f"{_ROOT}.{self._random(what).randrange(10**11, 10**12)}.{len(what)}"

    def native(self, script: str) -> tuple[str, str]:
        """Family and given name, six letters each, of a script."""
        random = self._random(script)
        family, given = ("".join(random.choices(SCRIPTS[script].letters, k=6)) for _ in range(2))
        return family, given

    @cached_property
    def family(self) -> str:
        return self.word("family")

    @cached_property
    def given(self) -> str:
        return self.word("given")

    @cached_property
    def id(self) -> str:
        return "ZQ" + hashlib.sha256(f"id {self.seed}".encode()).hexdigest()[:7].upper() + "K"

    @cached_property
    def born(self) -> date:
        random = self._random("born")
        return date(random.randrange(1927, 1931), random.randrange(2, 13), random.randrange(2, 29))

    @cached_property
    def scanned(self) -> date:
        random = self._random("scanned")
        return date(random.randrange(2024, 2026), random.randrange(2, 13), random.randrange(2, 29))

    @cached_property
    def time(self) -> str:
        return f"134502.{self._random('time').randrange(10**5, 10**6)}"

    @cached_property
    def age(self) -> str:
        return f"{self.scanned.year - self.born.year - 1:03}Y"

    def _random(self, what: str) -> Random:
        return Random(f"{self.seed} {what}")  # noqa: S311  made-up people need no secrets


def written(day: date) -> dict[str, str]:
    """A day as people write it, by the name of the format."""
    month = _MONTHS[day.month - 1]
    return {
        "YYYYMMDD": f"{day:%Y%m%d}",
        "YYYY-MM-DD": f"{day:%Y-%m-%d}",
        "YYYY.MM.DD": f"{day:%Y.%m.%d}",
        "DD.MM.YYYY": f"{day:%d.%m.%Y}",
        "MM/DD/YYYY": f"{day:%m/%d/%Y}",
        "DDMonYYYY": f"{day.day:02}{month.upper()}{day.year}",
        "Month D, YYYY": f"{month} {day.day}, {day.year}",
    }


WORDS = {
    "person": ("middle", "accession", "street", "phone", "physician", "free"),
    "institution": ("institution", "department"),
    "device": ("station", "serial"),
}
"""The words of a person by kind, beside the name and the id."""


class Needles:
    """What may stand in no byte of what leaves: asked for one person, for some kinds, in some script."""

    def __init__(self, person: Person, kinds: frozenset[str], script: str = "") -> None:
        self._folded = [form for word in _words(person, kinds) for form in _encoded(word.lower())]
        self._exact: list[bytes] = []
        self._numbers: list[bytes] = []
        if script:
            self._exact += SCRIPTS[script].forms(*person.native(script))
        if "uid" in kinds:
            self._exact.append(f"{_ROOT}.".encode())
        if "time" in kinds:
            self._exact.append(person.time.encode())
        if "age" in kinds:
            self._exact.append(person.age.encode())
        if "date" in kinds:
            for day in (person.born, person.scanned):
                number, *texts = written(day).values()
                self._numbers.append(number.encode())
                self._folded += [text.lower().encode() for text in texts]
                self._exact.append(f"{number}{person.time[:6]}".encode())

    def __len__(self) -> int:
        return len(self._folded) + len(self._exact) + len(self._numbers)

    def forms(self) -> Iterator[tuple[bytes, bool]]:
        """All but the dates of eight digits, each with whether small and capital letters are the same in it."""
        yield from ((form, True) for form in self._folded)
        yield from ((form, False) for form in self._exact)

    def found(self, data: bytes) -> list[bytes]:
        """Those that stand in the bytes; eight digits count only where no other digit touches them."""
        folded = data.lower()
        return [
            *(needle for needle in self._folded if needle in folded),
            *(needle for needle in self._exact if needle in data),
            *(needle for needle in self._numbers if needle in data and _alone(needle, data)),
        ]


def _words(person: Person, kinds: frozenset[str]) -> Iterator[str]:
    if "person" in kinds:
        yield from (person.family, person.given, person.id)
    for kind, words in WORDS.items():
        if kind in kinds:
            yield from map(person.word, words)


def _encoded(word: str) -> tuple[bytes, ...]:
    return word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be")


def _alone(number: bytes, data: bytes) -> bool:
    return re.search(rb"(?<!\d)" + number + rb"(?!\d)", data) is not None
