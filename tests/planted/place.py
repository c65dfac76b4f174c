"""What a hiding place is: a way to write a person into an instance where a de-identifier may not look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from random import Random
from struct import pack

from encoded import EXPLICIT, IMPLICIT, MR, explicit, implicit, items, ordered

from planted.person import Person
from scp.dataset import SHORT_VRS, UNDEFINED
from scp.dictionary import TAGS

BOTH = (EXPLICIT, IMPLICIT)


@dataclass(frozen=True)
class Plant:
    """Who is hidden, and how the elements around are encoded."""

    person: Person
    random: Random
    uid: str
    explicit: bool = True
    undefined: bool = False

    def element(self, tag: int | str, vr: str, value: bytes | str = b"") -> bytes:
        """An element; too long for its VR it becomes UN (PS3.5 6.2.2)."""
        number = TAGS[tag] if isinstance(tag, str) else tag
        raw = value.encode("latin-1") if isinstance(value, str) else value
        raw += (b"\0" if vr in {"UI", "OB", "OW", "UN"} else b" ") * (len(raw) & 1)
        if not self.explicit:
            return implicit(number, raw)
        return explicit(number, "UN" if vr in SHORT_VRS and len(raw) > 0xFFFE else vr, raw)

    def sequence(self, tag: int | str, *contents: bytes) -> bytes:
        """A sequence of these items, all lengths defined or all undefined."""
        number = TAGS[tag] if isinstance(tag, str) else tag
        value = items(contents, undefined=self.undefined, undefined_items=self.undefined)
        length = UNDEFINED if self.undefined else None
        return explicit(number, "SQ", value, length) if self.explicit else implicit(number, value, length)

    def private(self, group: int, creator: str, *elements: tuple[int, str, bytes | str]) -> bytes:
        """A private block (PS3.5 7.8.1)."""
        body = self.element(group << 16 | 0x10, "LO", creator)
        return body + b"".join(
            self.element(group << 16 | 0x1000 | tag, vr, value)
            for tag, vr, value in sorted(elements, key=itemgetter(0))
        )

    @property
    def name(self) -> str:
        """The name as DICOM writes it."""
        return f"{self.person.family}^{self.person.given}"


@dataclass(frozen=True)
class Hidden:
    """The elements that hide somebody, and what else is not as in a plain MR image."""

    elements: Sequence[bytes] = ()
    sop_class: str = MR
    pixels: bytes | None = None
    tail: bytes = b""
    preamble: bytes = bytes(128)
    meta: bytes = b""
    terms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """One member of the corpus.

    `kind` is what of a person is hidden; each of `paths` leads through attributes that a recipe may keep, `private` are
    such private ones; `unfold` finds in a file's bytes those that were folded into others; `broken`
    says that the data set breaks PS3.5 or contradicts itself, so that it may be refused. Where `beyond` has a sentence,
    the place is inside what only a pixel policy opens, and it says so.
    """

    name: str
    make: Callable[[Plant], Hidden]
    kind: str = "person"
    script: str = ""
    syntaxes: tuple[str, ...] = BOTH
    paths: tuple[tuple[int, ...], ...] = ()
    private: tuple[tuple[int, str, int], ...] = ()
    unfold: Callable[[bytes], bytes] | None = None
    broken: bool = False
    refusable: bool = False
    beyond: str = ""


@dataclass(frozen=True)
class Sent:
    """An instance of the corpus as it would come."""

    place: Place
    person: Person
    sop_class: str
    sop_instance_uid: str
    transfer_syntax: str
    data: bytes = field(repr=False)
    preamble: bytes = field(default=bytes(128), repr=False)
    meta: bytes = field(default=b"", repr=False)


def send(place: Place, seed: int) -> Sent:
    """The instance that hides the person of this seed there."""
    random = Random(f"{place.name} {seed}")  # noqa: S311  a corpus is the same on every run
    person = Person(seed)
    syntax = random.choice(place.syntaxes)
    uid = person.uid(f"instance {place.name}")
    plant = Plant(person, random, uid, explicit=syntax != IMPLICIT, undefined=random.random() < 0.5)
    hidden = place.make(plant)
    data = ordered(*_plain(plant, hidden), *hidden.elements) + hidden.tail  # what hides goes over what is plain
    return Sent(place, person, hidden.sop_class, uid, syntax, data, hidden.preamble, hidden.meta)


def _plain(plant: Plant, hidden: Hidden) -> list[bytes]:
    """An MR image of 2 x 2 pixels of the person, with what every scanner writes of them."""
    person, element = plant.person, plant.element
    terms = "\\".join(hidden.terms)
    day, born = f"{person.scanned:%Y%m%d}", f"{person.born:%Y%m%d}"
    found = [
        element(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M"),
        element(0x00080016, "UI", hidden.sop_class),
        element(0x00080018, "UI", plant.uid),
        *(element(tag, "DA", day) for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023)),
        *(element(tag, "TM", person.time) for tag in (0x00080030, 0x00080031, 0x00080032)),
        element(0x00080050, "SH", person.word("accession")),
        element(0x00080060, "CS", "MR"),
        element(0x00080070, "LO", "PHANTOM"),
        element(0x00080080, "LO", person.word("institution")),
        element(0x00080090, "PN", person.word("physician")),
        element(0x00081010, "SH", person.word("station")),
        element(0x00081040, "LO", person.word("department")),
        element(0x00100010, "PN", plant.name),
        element(0x00100020, "LO", person.id),
        element(0x00100030, "DA", born),
        element(0x00100040, "CS", "F"),
        element(0x00101010, "AS", person.age),
        element(0x00101040, "LO", f"1 {person.word('street')} Lane"),
        element(0x00102154, "SH", person.word("phone")),
        element(0x00181000, "LO", person.word("serial")),
        element(0x0020000D, "UI", person.uid("study")),
        element(0x0020000E, "UI", person.uid("series")),
        element(0x00200010, "SH", person.word("free")),
        element(0x00200011, "IS", "3"),
        element(0x00200013, "IS", "7"),
        element(0x00200052, "UI", person.uid("frame of reference")),
        *(element(tag, "US", pack("<H", value)) for tag, value in _IMAGE.items()),
        element(0x00280004, "CS", "MONOCHROME2"),
        hidden.pixels if hidden.pixels is not None else element(0x7FE00010, "OW", bytes(range(8))),
    ]
    return [*found, element(0x00080005, "CS", terms)] if terms else found


_IMAGE = {
    0x00280002: 1, 0x00280010: 2, 0x00280011: 2, 0x00280100: 16, 0x00280101: 12, 0x00280102: 11, 0x00280103: 0,
}  # fmt: skip
