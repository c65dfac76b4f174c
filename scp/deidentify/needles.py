"""What identifies one instance, in its own values: the needles that may not be in what leaves."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from scp import charset, dictionary
from scp.dataset import DataSet
from scp.deidentify import profile
from scp.deidentify.functions.description import PROTOCOL_WORDS
from scp.deidentify.functions.original import Original
from scp.deidentify.step import Action, Step

if TYPE_CHECKING:
    from scp.table import Element, Shape

LONG = 6
"""Bytes from which on a needle does not stand anywhere by chance; shorter ones are looked for in texts only."""
SHORTEST = 3
_LETTERS_IN_ASCII = 2  # "Li" says nothing alone; two ideographs are a name
_DATE = re.compile(r"(\d{4})[.]?(\d\d)[.]?(\d\d)")
_UID_ROOT = 20
_DICOM_ROOT = b"1.2.840.10008."
_ONES = re.compile(r"[\\\r\n\f]+")  # values, and lines of an address
_SENT_PARTS = re.compile(rb"[\\^= ]+")
_PARTS = re.compile(r"[^\w]+|_+")
_NAMES = 2  # components of a person name that are put together: family and given name (PS3.5 6.2.1)
_SAY_NOTHING = frozenset(
    {"anonymous", "anonymized", "canon", "doctor", "general electric", "healthineers", "hitachi", "hospital", "medical"}
    | {"none", "patient", "phantom", "philips", "prof", "siemens", "systems", "test", "toshiba", "unknown"}
) | frozenset(word.lower() for word in PROTOCOL_WORDS)
"""Words that every other instance may hold as well: makers, protocol words, what stands where there is no name."""


_MAKE = (0x00080070, 0x00081090)
_STATIONS = frozenset({0x00081010, 0x00080055, 0x00400001, 0x00400010, 0x00400241, 0x00400242})
"""Names and AE titles of stations: many a site has left them as the make or model, which is no secret."""


class Kind(StrEnum):
    """What a value is, which decides how it is taken apart and what counts as the same."""

    NAME = "name"
    TEXT = "text"
    DATE = "date"
    UID = "UID"


class Needle(NamedTuple):
    """One spelling of a value; `tag` is the attribute that it came from."""

    tag: int
    kind: Kind


Needles = dict[bytes, Needle]
"""Spellings, ASCII letters in lower case."""

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
        self.spellings: dict[tuple[Kind, bytes], tuple[bytes, ...]] = {}


def collect(kinds: Mapping[int, Kind], original: Original, recent: Recent) -> Needles:
    """Every spelling of the instance's own values of these attributes, at all depths."""
    dataset = original.dataset
    make = b"\\".join(dataset.value(tag) for tag in _MAKE).lower()
    characters = dataset.value(charset.TAG)
    known = recent.spellings if recent.charset == characters else {}
    found: Needles = {}
    seen: dict[tuple[Kind, bytes], tuple[bytes, ...]] = {}
    for tag, sent in _sent(dataset, kinds):
        key = kinds[tag], sent
        if key in seen:
            continue
        spellings = known.get(key)
        if spellings is None:
            spellings = tuple(_spellings(*key, original))
        seen[key] = spellings
        needle = Needle(tag, key[0])
        for spelling in spellings:
            if not (tag in _STATIONS and spelling in make):
                found.setdefault(spelling, needle)
    recent.charset, recent.spellings = characters, seen
    return found


def _sent(dataset: DataSet, kinds: Mapping[int, Kind]) -> Iterator[tuple[int, bytes]]:
    """The values of these attributes at all depths, each with its tag; a layout says where for all its items."""
    data = dataset.data
    tables = [dataset.elements]
    alike: dict[Shape, list[Element]] = {}
    for held in dataset.nested.values():
        for item in held.items:
            if (shape := item.shape) is None:
                tables.append(item.elements)
                continue
            chosen = alike.get(shape)
            if chosen is None:
                chosen = alike[shape] = [element for element in shape.everywhere if element[0] in kinds]
            at = item.start
            for element in chosen:
                yield element[0], bytes(data[at + element[3] : at + element[4]])
    for elements in tables:
        for element in elements:
            if element[0] in kinds:
                yield element[0], bytes(data[element[3] : element[4]])


def _spellings(kind: Kind, sent: bytes, original: Original) -> Iterator[bytes]:
    if kind is Kind.UID:
        yield from _uids(sent)
        return
    text = original.decode(sent)
    own = () if text.isascii() else charset.encodings(charset.terms(original.dataset.value(charset.TAG)))
    for one in _ONES.split(text):
        if kind is Kind.DATE:
            yield from _dates(one.strip())
            continue
        for word in _names(one) if kind is Kind.NAME else _texts(one.strip()):
            yield from _encoded(word, own) if own else _ascii(word)
    if own:
        parts = _SENT_PARTS.split(sent.strip(b" \0"))
        yield from (part.lower() for part in parts if len(part) >= LONG)


def _uids(sent: bytes) -> Iterator[bytes]:
    for one in sent.split(b"\\"):
        uid = one.strip(b" \0").lower()
        if len(uid) > LONG and not uid.startswith(_DICOM_ROOT):
            yield uid


def _names(value: str) -> Iterator[str]:
    """Each part of each name group, and family and given name without anything between, in both orders."""
    for group in value.split("="):
        parts = [part for component in group.split("^") for part in _PARTS.split(component) if part]
        for part in parts:
            if _says_something(part, letters=SHORTEST if part.isalpha() else LONG):
                yield part
        if len(parts) >= _NAMES:
            first, second = parts[:_NAMES]
            yield first + second
            yield second + first


def _texts(value: str) -> Iterator[str]:
    """The value, and its letters and digits alone; a single word counts when it is long or a number is in it."""
    bare = "".join(character for character in value if character.isalnum())
    mixed = any(character.isdigit() for character in bare)
    for one in {value, bare}:
        if _says_something(one, letters=SHORTEST if mixed else LONG):
            yield one


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


def root(uid: bytes) -> bytes:
    """The beginning of a UID, which those of one scanner share."""
    return uid[:_UID_ROOT]
