"""The compiled recipe: says whose an instance is, makes the de-identified one, and explains each decision."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from scp import dictionary
from scp.dataset import PIXEL_DATA, DataSet
from scp.deidentify import fields, part10, search
from scp.deidentify.fields import Matching, Named, Private
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.tokens import is_uid, uid
from scp.deidentify.recipe import Recipe, Rule
from scp.deidentify.search import Search
from scp.deidentify.splice import Splice, Tables
from scp.deidentify.step import Action, Step
from scp.instance import Arrival, DeidentifiedHead, DeidentifiedInstance, Identity, Instance, Part, Subject
from scp.outcome import Failure, Outcome
from scp.pixels import PIXELS

_SOP_INSTANCE_UID = 0x00080018
_PATIENT_ID, _ISSUER_OF_PATIENT_ID = 0x00100020, 0x00100021
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_SERIES_NUMBER, _INSTANCE_NUMBER = 0x00200011, 0x00200013
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_UNREADABLE = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})  # deflated, big endian
_IS = re.compile(r"\+?\d{1,12}", re.ASCII)
_LARGEST_IS = 2**31 - 1
_DIGITS_OF_RECIPE = 16
_SMALL = 1 << 16
"""Parts below so many bytes are joined: a few large writes cost less than many small ones."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one attribute, and the line that decided; `line` is 0 and `text` empty where none did."""

    attribute: str
    action: str
    path: Path
    line: int
    text: str


class Content(NamedTuple):
    """What is written: its SHA-256, its size in bytes, and itself unless that is in a file already."""

    digest: bytes
    size: int
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """Every decision of a recipe, made once; immutable, shared by all threads."""

    recipe: Recipe
    digest: str
    protocols: Mapping[str, str]
    excluded: frozenset[str]
    decisions: Mapping[int, Step]
    private: Mapping[tuple[int, str, int], Step]
    added: Mapping[int, Step]
    searches: tuple[Search, ...] = ()
    _tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        """Put the decisions into the form they are executed in."""
        private = {key: step for key, step in self.private.items() if step.action is not Action.REMOVE}
        tables = Tables(
            public={tag: step for tag, step in self.decisions.items() if step.action is not Action.REMOVE},
            private=private,
            private_groups=frozenset(group for group, _, _ in private),
            added=self.added,
            excluded=self.excluded,
        )
        object.__setattr__(self, "_tables", tables)

    def identity(self, instance: Instance) -> Identity:
        """Whose visit the instance belongs to. Raises Failure UNIDENTIFIED without PatientID or StudyInstanceUID."""
        text = instance.dataset.text
        identity = Identity(text(_PATIENT_ID), text(_ISSUER_OF_PATIENT_ID), text(_STUDY_INSTANCE_UID))
        if not identity.patient_id or not identity.study_uid:
            raise Failure(Outcome.UNIDENTIFIED, "PatientID or StudyInstanceUID is missing or empty")
        return identity

    def apply(self, instance: Instance, subject: Subject) -> DeidentifiedInstance:
        """The instance as a Part 10 file with new meta information; implicit VR leaves as explicit little endian.

        Raises Failure NOT_DEIDENTIFIED where a rule cannot hold and MALFORMED where pixel data and transfer syntax
        disagree. Pixel data is a slice of the instance's own buffer, which has to stay as it is.
        """
        splice, head = self._begin(instance, subject)
        parts = tuple(_joined([head, *splice.parts()]))
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return self._made(instance.arrival, splice.original, Content(digest.digest(), sum(map(len, parts)), parts))

    def deidentify(self, instance: Instance, subject: Subject) -> DeidentifiedInstance | DeidentifiedHead:
        """As `apply`; where the pixels are still coming, what the header says already.

        Those pixels have to be of a kind that `streams`.
        """
        pixels = instance.pixels
        if pixels is None:
            return self.apply(instance, subject)
        splice, head = self._begin(instance, subject)
        original, tag = splice.original, pixels.tag

        def behind(dataset: DataSet) -> tuple[Part, ...]:
            return tuple(splice.behind(dataset).parts(range(tag + 1, 1 << 32)))

        return DeidentifiedHead(
            pixels=pixels,
            parts=tuple(_joined([head, *splice.parts(range(tag))])),
            behind=behind,
            finish=lambda digest, size: self._made(instance.arrival, original, Content(digest, size, ())),
        )

    @property
    def streams(self) -> frozenset[int]:
        """The kinds of pixel data that leave as they came, so that they need not be in memory.

        None where the recipe searches for values: they have to be looked for behind the pixels as well.
        """
        if self.searches:
            return frozenset()
        kept = (tag for tag in PIXELS if (step := self.decisions.get(tag)) and step.action is Action.KEEP)
        return frozenset(kept) - self.added.keys()

    def _begin(self, instance: Instance, subject: Subject) -> tuple[Splice, bytes]:
        """The work to be done, and what stands before the data set in its file."""
        _check_encoding(instance.dataset, instance.arrival.transfer_syntax)
        original = Original(instance.dataset, subject, self.protocols)
        sop_instance_uid = self._uid(_SOP_INSTANCE_UID, original)
        if not sop_instance_uid:
            raise Failure(Outcome.NOT_DEIDENTIFIED, "there is no SOPInstanceUID to replace")
        head = part10.head(instance.arrival.sop_class_uid, sop_instance_uid, _written_as(instance.arrival))
        tables = search.tables(self._tables, self.searches, original) if self.searches else self._tables
        return Splice(tables, original), head

    def _made(self, arrival: Arrival, original: Original, content: Content) -> DeidentifiedInstance:
        return DeidentifiedInstance(
            pseudonym=original.subject.pseudonym,
            scan_research_id=original.subject.scan_research_id,
            series_uid=self._uid(_SERIES_INSTANCE_UID, original),
            sop_instance_uid=self._uid(_SOP_INSTANCE_UID, original),
            sop_class_uid=arrival.sop_class_uid,
            transfer_syntax=_written_as(arrival),
            series_number=_number(original.text(_SERIES_NUMBER)),
            instance_number=_number(original.text(_INSTANCE_NUMBER)),
            recipe=self.digest[:_DIGITS_OF_RECIPE],
            digest=content.digest,
            size=content.size,
            parts=content.parts,
            calling=arrival.peer.calling,
        )

    def _uid(self, tag: int, original: Original) -> str:
        """The UID that leaves: the sent one only where the recipe keeps it (Retain UIDs Option) and it is one."""
        sent, step = original.text(tag), self.decisions.get(tag)
        if step is None or step.action is not Action.KEEP:
            return uid(sent, original)
        if sent and not is_uid(sent):
            raise Failure(Outcome.NOT_DEIDENTIFIED, f"{dictionary.write(tag)} is kept and is no UID")
        return sent

    def explain(self, tag_or_keyword: str) -> tuple[Decision, ...]:
        """What becomes of an attribute named as recipes name them, at the top and, if different, inside sequences.

        Raises ValueError with a sentence where no attribute is named.
        """
        named = fields.parse(tag_or_keyword)
        if isinstance(named, Matching):
            raise ValueError(f"{tag_or_keyword} is an expression; name one attribute")  # noqa: TRY004  a text is wrong
        if isinstance(named, Private):
            step = self.private.get((named.group, named.creator, named.element))
            return (self._decision(tag_or_keyword, step),)
        tag = named.attribute.tag
        step = self.decisions.get(tag)
        name = dictionary.write(tag)
        if added := self.added.get(tag):
            return (self._decision(name, added), self._decision(f"{name} inside sequences", step))
        return (self._decision(name, step),)

    def summary(self) -> tuple[Decision, ...]:
        """What each line of the recipe does, in its order."""
        return tuple(
            Decision(_name(rule), _ACTION_OF[rule.verb], rule.path, rule.line, rule.text) for rule in self.recipe.rules
        )

    def _decision(self, name: str, step: Step | None) -> Decision:
        action = step.action.value if step else Action.REMOVE.value
        rule = step.rule if step else None
        if rule is None:
            return Decision(name, action, self.recipe.path, 0, "")
        return Decision(name, action, rule.path, rule.line, rule.text)


_ACTION_OF: Mapping[str, str] = {
    "KEEP": Action.KEEP.value,
    "BLANK": Action.BLANK.value,
    "REPLACE": Action.REPLACE.value,
    "JITTER": Action.REPLACE.value,
    "ADD": Action.ADD.value,
    "REMOVE": Action.REMOVE.value,
}


def _written_as(arrival: Arrival) -> str:
    """The transfer syntax it leaves in."""
    return _EXPLICIT if arrival.transfer_syntax == _IMPLICIT else arrival.transfer_syntax


def _name(rule: Rule) -> str:
    if isinstance(rule.attributes, Named):
        return dictionary.write(rule.attributes.attribute.tag)
    return rule.name


def _check_encoding(dataset: DataSet, transfer_syntax: str) -> None:
    if transfer_syntax in _UNREADABLE:
        raise Failure(Outcome.NOT_DEIDENTIFIED, "deflated and big endian data sets are not read")
    pixels = dataset.find(PIXEL_DATA)
    if pixels and (pixels.end == pixels.stop) != (transfer_syntax in {_IMPLICIT, _EXPLICIT}):
        raise Failure(Outcome.MALFORMED, "the pixel data is not encoded as the transfer syntax says")


def _joined(parts: list[Part]) -> Iterator[Part]:
    """The same bytes in few parts: small neighbours joined, large ones as they are."""
    small: list[Part] = []
    for part in parts:
        if len(part) < _SMALL:
            small.append(part)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield part
    if small:
        yield b"".join(small)


def _number(text: str) -> int:
    """An IS value that can name a file: 0 where there is none, or one that IS cannot hold or that is negative."""
    number = int(text) if _IS.fullmatch(text) else 0
    return number if number <= _LARGEST_IS else 0
