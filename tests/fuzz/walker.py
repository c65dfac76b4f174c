"""Data sets that nobody would send through reading and de-identification: what is refused is refused by name.

Of any bytes either a Failure is raised, and nothing else, or a file comes out that pydicom reads again, that holds no
token planted in identifying attributes, and that the same plan leaves as it is but for what it writes anew.
"""

import random
import time
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pydicom
from conversations import CHANGES
from encoded import EXPLICIT, IMPLICIT, RLE, explicit, image, implicit, items, sequence
from factories import _TEXT, ct, encode, enhanced, mr, needles

from scp.dataset import DataSet, read
from scp.deidentify import dry
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions.tokens import is_uid
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load
from scp.instance import Arrival, Instance, Peer, Subject
from scp.outcome import Failure, Outcome

PLACES = f"mip,{Path(__file__).with_name('places.dicom')}"
BLANK = str(Path(__file__).with_name("blank.dicom"))
RECIPES = ("mip", "mip-strict", "research-mri", "research-mri,clean-structured-content,clean-graphics", PLACES, BLANK)
SYNTAXES = (EXPLICIT, IMPLICIT, RLE)
SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
PEER = Peer("MODALITY", "CLOAKROOM", "192.0.2.7")
UID_TAG, CLASS_TAG = 0x00080018, 0x00080016
NEEDLES = needles()
KEPT = frozenset({"CodeMeaning"})
PLANTED = frozenset(_TEXT) | {"PatientName", "RequestedProcedureID", "CodeMeaning"}
HANGS = 5.0
"""Seconds of one execution; the median is well below a hundredth of one."""


class Case(NamedTuple):
    """One execution: whose bytes, under which transfer syntax and recipe."""

    recipe: str
    syntax: str
    data: bytes


class Wrong(AssertionError):  # noqa: N818  a find
    """What may not happen; its text says what, and which case it was."""


def plans() -> Mapping[str, Plan]:
    """The shipped recipes, compiled."""
    return {name: compile_plan(load(name), Policy({})) for name in RECIPES}


def seeds() -> list[Case]:
    """Good ones, native and encapsulated, explicit and implicit, with sequences that are sent in every form."""
    frames = explicit(0x7FE00010, "OB", b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0",
                      0xFFFFFFFF)  # fmt: skip
    odd = image(
        sequence(0x00081140, explicit(0x00081155, "UI", "1.2.3.4"), vr="UN", undefined=True),
        sequence(0x00400275, explicit(0x00400007, "LO", "text"), undefined=True, undefined_items=True),
        explicit(0x00190010, "LO", "SIEMENS MR HEADER") + explicit(0x0019100A, "US", b"\1\0"),
    )
    name = sequence(0x0040A043, explicit(0x00080100, "SH", "121106") + explicit(0x00080102, "SH", "DCM"))
    item = explicit(0x0040A040, "CS", "TEXT") + name + explicit(0x0040A160, "UT", "axial")
    circle = explicit(0x00700022, "FL", bytes(16)) + explicit(0x00700023, "CS", "CIRCLE")
    cleaned = image(
        sequence(0x0040A730, item, sequence(0x0040A730, item, name), undefined=True),
        sequence(0x00700001, sequence(0x00700008, explicit(0x00700006, "ST", "x")) + sequence(0x00700009, circle)),
    )
    sent = [(EXPLICIT, encode(made)) for made in (mr(), ct(), enhanced())]
    sent += [(IMPLICIT, encode(made, IMPLICIT)) for made in (mr(), ct(), enhanced())]
    sent += [
        (EXPLICIT, odd),
        (EXPLICIT, cleaned),
        (EXPLICIT, owned()),
        (RLE, image(pixels=frames)),
        (IMPLICIT, implicit(0x00080018, "1.2.3")),
    ]
    return [Case(recipe, syntax, data) for recipe in RECIPES for syntax, data in sent]


def owned() -> bytes:
    """Private sequences and attributes in places, of one owner in several blocks and of nobody, and overlays."""
    name = "Philips Imaging DD 001"
    creator, other = explicit(0x20010010, "LO", name), explicit(0x20010011, "LO", name)
    codes = explicit(0x00080100, "SH", "T1") + explicit(0x00080102, "SH", "99X")
    inside = codes + creator + other + explicit(0x2001100A, "IS", "7 ") + explicit(0x20011120, "LO", "T1 AXIAL")
    stack = sequence(0x2001105F, inside + sequence(0x2001115F, codes, undefined=True), codes + creator)
    unknown = explicit(0x2001115F, "UN", items([implicit(0x00080100, "T1") + implicit(0x00080102, "99X")]))
    overlays = (explicit(tag, vr, b"X ") for tag, vr in ((0x60000022, "LO"), (0x60003000, "OW"), (0x60023000, "OW")))
    requests = sequence(0x00400275, creator + explicit(0x2001100A, "IS", "7 ") + explicit(0x20011020, "LO", "T1 AXIAL"))
    return image(creator, other, stack, unknown, explicit(0x2001125F, "SQ", b""), requests, *overlays)


def mutated(good: list[Case], seed: int, number: int) -> Case:
    """Case `number` of the campaign `seed`: one of the good ones, changed a little or a lot, or called otherwise."""
    chance = random.Random(f"{seed} {number}")  # noqa: S311  to be repeatable, not secret
    case = chance.choice(good)
    data = bytearray(case.data)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3, 8, 32))):
        chance.choice(CHANGES)(chance, data)
    if chance.random() < 0.2:
        del data[chance.randrange(len(data) + 1) :]
    syntax = chance.choice(SYNTAXES) if chance.random() < 0.1 else case.syntax
    return Case(case.recipe, syntax, bytes(data))


def decoded(data: bytes) -> Case:
    """The case that a fuzzer's bytes stand for: the first two choose recipe and syntax."""
    choice = data[:2].ljust(2, b"\0")
    return Case(RECIPES[choice[0] % len(RECIPES)], SYNTAXES[choice[1] % len(SYNTAXES)], data[2:])


def execute(plan: Plan, case: Case) -> bytes | None:
    """What the case becomes, None where it is refused. Raises Wrong, and whatever should not have been raised."""
    begun = time.monotonic()
    try:
        sent = _instance(case.data, case.syntax)
        out = b"".join(plan.apply(sent, SUBJECT).parts)
    except Failure:
        return None
    finally:
        if time.monotonic() - begun > HANGS:
            raise Wrong("it took seconds")
    _check(plan, case, out)
    return out


def _check(plan: Plan, case: Case, out: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = pydicom.dcmread(BytesIO(out)).file_meta
    if meta.MediaStorageSOPInstanceUID not in out.decode("latin-1"):
        raise Wrong("the file does not hold the UID that its meta information names")
    body = out[144 + int.from_bytes(out[140:144], "little") :]
    syntax = str(meta.TransferSyntaxUID)
    header = body[: _border(body)]
    for needle in NEEDLES:
        if needle in header and not _is_renamed(needle, plan, case, body):
            raise Wrong(f"{needle!r} is left")
    try:
        _check_again(plan, body, syntax)
    except Failure as failure:
        if failure.outcome is not Outcome.PIXELS_WITHHELD:  # the recipe may remove what the image was known by
            raise Wrong(f"a further pass fails: {failure}") from None


def _check_again(plan: Plan, body: bytes, syntax: str) -> None:
    """Neither adds nor takes away an element: tokens and months are made anew each time."""
    again = b"".join(plan.apply(_instance(body, syntax), SUBJECT).parts)
    thrice = b"".join(plan.apply(_instance(_body(again), syntax), SUBJECT).parts)
    changed = [change.where for change in dry.changes(_read(_body(again)), _read(_body(thrice))) if _is_new(change)]
    if changed:
        raise Wrong(f"a further pass changes {changed[0]}")


def _is_new(change: dry.Change) -> bool:
    """Whether an element came, went, or lost its value: tokens and months are made anew each time."""
    return (change.before is None) != (change.after is None)


def _is_renamed(needle: bytes, plan: Plan, case: Case, body: bytes) -> bool:
    """Whether a mutation made the attribute that held the token another one, which is kept, as sent.

    CodeMeaning is kept by a line of its own in research-mri.
    """
    sent = read(case.data, explicit=case.syntax != IMPLICIT)
    before, after = dict(_values(sent)), dict(_values(_read(body)))
    found = [where for where, value in after.items() if needle in value]
    allowed = KEPT if "CodeMeaning" in _kept(plan) else frozenset()
    names = {where: where.split()[-1] for where in found}
    return bool(found) and all(
        name in allowed or (before.get(where) == after[where] and name not in PLANTED) for where, name in names.items()
    )


def _values(dataset: DataSet) -> Iterator[tuple[str, bytes]]:
    """The values of elements that hold no others, by where they stand."""
    for where, element in dry._walk(dataset, dataset.elements, ""):
        if element.start not in dataset.nested:
            yield where, bytes(dataset.data[element.value : element.end])


def _kept(plan: Plan) -> list[str]:
    rule = plan.explain("CodeMeaning")[0]
    return ["CodeMeaning"] if rule.text == "KEEP CodeMeaning" else []


def _border(body: bytes) -> int:
    """Where pixel data begins, which mutations may have written needles into; the policy's, not the walker's."""
    found = next((one for one in _read(body).elements if one.tag >> 16 == 0x7FE0), None)
    return found.start if found else len(body)


def _body(out: bytes) -> bytes:
    return out[144 + int.from_bytes(out[140:144], "little") :]


def _read(body: bytes):
    return read(body, explicit=True)


def _instance(data: bytes, syntax: str) -> Instance:
    dataset = read(data, explicit=syntax != IMPLICIT)
    if not is_uid(dataset.text(CLASS_TAG)) or not is_uid(dataset.text(UID_TAG)):
        raise Failure(Outcome.MISMATCHED, "intake compares it with the command")
    arrival = Arrival(PEER, dataset.text(CLASS_TAG), dataset.text(UID_TAG), "", syntax, data)
    return Instance(arrival, dataset)
