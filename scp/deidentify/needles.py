"""What identifies one instance, in its own values: the needles that may not be in what leaves."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from scp import charset, dictionary
from scp.dataset import BOUNDS
from scp.deidentify import profile
from scp.deidentify.functions.description import PROTOCOL_WORDS
from scp.deidentify.functions.original import Original
from scp.deidentify.sent import values
from scp.deidentify.step import Action, Step
from scp.table import Shapes

LONG = 6
"""Bytes from which on a needle does not stand anywhere by chance; shorter ones are looked for in texts only."""
SHORTEST = 3
_LETTERS_IN_ASCII = 2  # "Li" says nothing alone; two ideographs are a name
_WRITTEN_DATE = len("2024.02.15")  # behind it comes the time, which many frames have their own of
_DATE = re.compile(r"(\d{4})[.]?(\d\d)[.]?(\d\d)")
_DICOM_ROOT = b"1.2.840.10008."
_ONES = re.compile(r"[\\\r\n\f]+")  # values, and lines of an address
_SENT_PARTS = re.compile(rb"[\\^= ]+")
_PARTS = re.compile(r"[^\w]+|_+")
_NAMES = 2  # components of a person name that are put together: family and given name (PS3.5 6.2.1)
SEPARATORS = bytes(one for one in range(0x80) if not chr(one).isalnum())
"""What may stand between the letters and digits of a value that is written in another way."""
_SAY_NOTHING = frozenset(
    {"anonymous", "anonymized", "canon", "doctor", "dummy", "general electric", "generalelectric", "healthineers"}
    | {"hitachi", "hospital", "medical", "none", "patient", "phantom", "philips", "prof", "siemens", "systems", "test"}
    | {"toshiba", "unknown"}
) | frozenset(word.lower() for word in PROTOCOL_WORDS)
"""Words that every other instance may hold as well: makers, protocol words, what stands where there is no name."""


MAKE = (0x00080070, 0x00081090)
_STATIONS = frozenset({0x00081010, 0x00080055, 0x00400001, 0x00400010, 0x00400241, 0x00400242})
"""Names and AE titles of stations: many a site has left them as the make or model, which is no secret."""


class Kind(StrEnum):
    """What a value is, which decides how it is taken apart and what counts as the same."""

    NAME = "name"
    TEXT = "text"
    DATE = "date"
    UID = "UID"


class Needle(NamedTuple):
    """What a spelling is of; `tag` is the attribute that it came from.

    A `loose` one is letters and digits alone: whatever separates them in the output makes no difference.
    """

    tag: int
    kind: Kind
    loose: bool = False


class Spelling(NamedTuple):
    """One way to write a value, ASCII letters in lower case."""

    written: bytes
    loose: bool = False


Needles = dict[tuple[bytes, Kind], Needle]
"""By spelling, ASCII letters in lower case, and by what it is the spelling of."""


_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"), Kind.TEXT),
    **dict.fromkeys(("DA", "DT"), Kind.DATE),
    "PN": Kind.NAME,
    "UI": Kind.UID,
}


def identifying(decisions: Mapping[int, Step]) -> Mapping[int, Kind]:
    """The attributes that PS3.15 Table E.1-1 protects and the plan does not keep, by what they hold.

    Those it gives to Clean Descriptors are descriptions: their words name procedures, and other instances have them.
    Of what tells the time, only dates are one person's.
    """
    found = {}
    for tag, row in profile.by_tag().items():
        attribute, step = dictionary.find(tag), decisions.get(tag)
        kind = _KINDS.get(attribute.vrs[0]) if attribute else None
        if kind is None or row.options["clean-descriptors"] or (step and step.action is Action.KEEP):
            continue
        if kind is Kind.DATE or not row.options["modified-dates"]:
            found[tag] = kind
    return found


class Recent(threading.local):
    """The spellings of the values of the last instance that a thread has seen, and no longer than the thread lives.

    What follows on an association is nearly always of the same series: most of its values are the same.
    """

    def __init__(self) -> None:
        self.charset = b""
        self.spellings: dict[tuple[Kind, bytes], tuple[Spelling, ...]] = {}
        self.shapes = Shapes(BOUNDS.values)
        """The layouts of items in what left."""


def collect(kinds: Mapping[int, Kind], original: Original, recent: Recent) -> Needles:
    """Every spelling of the instance's own values of these attributes, at all depths."""
    return spelled(kinds, original, values(original.dataset, kinds), recent)


def spelled(
    kinds: Mapping[int, Kind], original: Original, sent: Iterable[tuple[int, bytes]], recent: Recent | None = None
) -> Needles:
    """Every spelling of these values of the instance, each with its attribute's tag."""
    dataset = original.dataset
    makes: tuple[bytes, bytes] | None = None
    characters = dataset.value(charset.TAG)
    known = recent.spellings if recent and recent.charset == characters else {}
    found: Needles = {}
    seen: dict[tuple[Kind, bytes], tuple[Spelling, ...]] = {}
    for tag, value in sent:
        kind = kinds[tag]
        key = kind, value.strip()[:_WRITTEN_DATE] if kind is Kind.DATE and b"\\" not in value else value
        if key in seen:
            continue
        spellings = known.get(key)
        if spellings is None:
            spellings = tuple(_spellings(*key, original))
        seen[key] = spellings
        if tag in _STATIONS and makes is None:
            make = b"\\".join(dataset.value(one) for one in MAKE).lower()
            makes = make, make.translate(None, SEPARATORS)
        for written, loose in spellings:
            if makes and tag in _STATIONS and written in makes[loose]:
                continue
            before = found.get((written, kind))
            if before is None or (loose and not before.loose):  # it finds all of it
                found[written, kind] = Needle(tag, kind, loose)
    if recent:
        recent.charset, recent.spellings = characters, seen
    return found


def _spellings(kind: Kind, sent: bytes, original: Original) -> Iterator[Spelling]:
    if kind is Kind.UID:
        yield from map(Spelling, _uids(sent))
        return
    text = original.decode(sent)
    own = () if text.isascii() else charset.encodings(charset.terms(original.dataset.value(charset.TAG)))
    for one in _ONES.split(text):
        if kind is Kind.DATE:
            yield from map(Spelling, _dates(one.strip()))
            continue
        whole, apart = (_names, _joined) if kind is Kind.NAME else (_texts, _bare)
        for word in whole(one.strip()):
            yield from map(Spelling, _encoded(word, own) if own else _ascii(word))
        for word in apart(one.strip()):
            yield from _loose(word, own, SHORTEST if kind is Kind.NAME else LONG)
    if own:
        parts = _SENT_PARTS.split(sent.strip(b" \0"))
        yield from (Spelling(part.lower()) for part in parts if len(part) >= LONG)


def _uids(sent: bytes) -> Iterator[bytes]:
    for one in sent.split(b"\\"):
        uid = one.strip(b" \0").lower()
        if len(uid) > LONG and not uid.startswith(_DICOM_ROOT):
            yield uid


def _names(value: str) -> Iterator[str]:
    """Each part of each name group."""
    for part in _PARTS.split(value):
        if part and _says_something(part, letters=SHORTEST if part.isalpha() else LONG):
            yield part


def _joined(value: str) -> Iterator[str]:
    """Family and given name in both orders, without what separates them."""
    for group in value.split("="):
        parts = [part for part in _PARTS.split(group) if part]
        components = ["".join(filter(str.isalnum, one)) for one in group.split("^")]
        if all(part.lower() in _SAY_NOTHING for part in parts):
            continue
        for names in {tuple(parts[:_NAMES]), tuple(components[:_NAMES])}:
            if len(names) == _NAMES and all(names):
                for joined in {"".join(names), "".join(reversed(names))}:
                    if _says_something(joined, letters=SHORTEST):
                        yield joined


def _texts(value: str) -> Iterator[str]:
    """The value where its letters and digits alone do not stand for it."""
    bare = "".join(filter(str.isalnum, value))
    mixed = any(map(str.isdigit, bare))
    if not value.isascii() or len(bare) < LONG or (bare.isdigit() and bare != value):
        for one in {value, bare}:
            if _says_something(one, letters=SHORTEST if mixed else LONG):
                yield one


def _bare(value: str) -> Iterator[str]:
    """Its letters and digits alone; a single word counts when it is long or a number is in it."""
    bare = "".join(filter(str.isalnum, value))
    if value.lower() not in _SAY_NOTHING and _says_something(bare, letters=LONG):
        yield bare


def _says_something(word: str, letters: int) -> bool:
    if not word.isascii():
        return len(word) >= _LETTERS_IN_ASCII
    if word.isdigit():
        return len(word) >= LONG and len(set(word)) > 1
    return len(word) >= letters and word.lower() not in _SAY_NOTHING


def _dates(value: str) -> Iterator[bytes]:
    if match := _DATE.match(value):
        year, month, day = match.groups()
        for spelling in (
            f"{year}{month}{day}",
            f"{year}-{month}-{day}",
            f"{year}.{month}.{day}",
            f"{year}/{month}/{day}",
            f"{day}.{month}.{year}",
            f"{day}/{month}/{year}",
            f"{month}/{day}/{year}",
        ):
            yield spelling.encode()


def _ascii(word: str) -> Iterator[bytes]:
    lower = word.lower()
    yield lower.encode()
    if len(lower) >= LONG:
        yield lower.encode("utf-16-le")[:-1]  # and so of big endian: the zeros stand between


def _encoded(word: str, own: Sequence[str]) -> Iterator[bytes]:
    """The same characters in the data set's own encodings, and in those that software writes."""
    for spelled in {word, word.lower(), word.upper()}:
        for encoding in {*own, "utf-8", "utf-16-le", "latin-1"}:
            encoded = spelled.encode(encoding, "replace")
            if b"?" not in encoded and len(encoded) >= SHORTEST:
                yield encoded.lower()


def _loose(word: str, own: Sequence[str], shortest: int) -> Iterator[Spelling]:
    """The word as it is found where everything but letters, digits and what is not ASCII was left out."""
    spellings = _encoded(word, own) if own else (word.lower().encode(),)
    for bare in {one.translate(None, SEPARATORS) for one in spellings}:
        if len(bare) >= shortest:
            yield Spelling(bare, loose=True)
