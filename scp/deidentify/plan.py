"""The compiled recipe: says whose an instance is, makes the de-identified one, and explains each decision."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from scp import dictionary
from scp.dataset import DataSet
from scp.deidentify import blank, encoding, explain, native, part10, search
from scp.deidentify.cleaning import Cleaning
from scp.deidentify.decision import ACTION_OF, Decision
from scp.deidentify.fields import Named, Private, attribute
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.tokens import is_uid, uid
from scp.deidentify.groups import Searched
from scp.deidentify.guard import Guard, guard
from scp.deidentify.labels import Label
from scp.deidentify.placed import Placed
from scp.deidentify.places import Places
from scp.deidentify.policy import PixelPolicy
from scp.deidentify.recipe import Recipe, Rule
from scp.deidentify.repeated import PrivateSteps
from scp.deidentify.search import Search
from scp.deidentify.series import Series, Work
from scp.deidentify.splice import Splice, Tables
from scp.deidentify.step import Action, Step
from scp.instance import Arrival, DeidentifiedHead, DeidentifiedInstance, Identity, Instance, Part, Subject
from scp.outcome import Failure, Outcome
from scp.pixels import PIXELS

_SOP_INSTANCE_UID = 0x00080018
_PATIENT_ID, _ISSUER_OF_PATIENT_ID = 0x00100020, 0x00100021
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_SERIES_NUMBER, _INSTANCE_NUMBER = 0x00200011, 0x00200013
_IS = re.compile(r"\+?\d{1,12}", re.ASCII)
_LARGEST_IS = 2**31 - 1
_DIGITS_OF_RECIPE = 16


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
    unguarded: frozenset[int] = frozenset()
    pixels: PixelPolicy = field(default_factory=PixelPolicy)
    added_blanked: Mapping[int, Step] = field(default_factory=dict)
    cleaning: Cleaning = field(default_factory=Cleaning)
    places: Places = field(default_factory=Places)
    _tables: Tables = field(init=False)
    _tables_blanked: Tables = field(init=False)
    _guard: Guard = field(init=False)
    _work: Work | None = field(init=False)
    _series: Series = field(default_factory=Series, init=False, repr=False, compare=False)
    name: str = field(init=False)
    """The recipe's id, or the ids of those put on one another, with the beginning of the digest."""

    def __post_init__(self) -> None:
        """Put the decisions into the form they are executed in."""
        tables = Tables(
            public={tag: step for tag, step in self.decisions.items() if step.action is not Action.REMOVE},
            private=PrivateSteps({key: step for key, step in self.private.items() if step.action is not Action.REMOVE}),
            added=self.added,
            excluded=self.excluded,
        )
        object.__setattr__(self, "_tables", tables)
        object.__setattr__(self, "_tables_blanked", replace(tables, added=self.added_blanked))
        written = {**self.added, **self.places.written(self.decisions)}
        object.__setattr__(self, "_guard", guard(self.decisions, written, self.unguarded))
        held = self.searches or self.places.lines or self.cleaning != Cleaning()
        work = None if held else Work(tables, self.decisions, self.pixels, self._guard, self.protocols)
        object.__setattr__(self, "_work", work)
        ids = [word for one in self.recipe.directives if one.name == "id" for word in one.words]
        name = f"{'+'.join(ids) or self.recipe.path.stem}@{self.digest[:_DIGITS_OF_RECIPE]}"
        object.__setattr__(self, "name", name)

    def identity(self, instance: Instance) -> Identity:
        """Whose visit the instance belongs to. Raises Failure UNIDENTIFIED without PatientID or StudyInstanceUID."""
        text = instance.dataset.text
        identity = Identity(text(_PATIENT_ID), text(_ISSUER_OF_PATIENT_ID), text(_STUDY_INSTANCE_UID))
        if not identity.patient_id or not identity.study_uid:
            raise Failure(Outcome.UNIDENTIFIED, "PatientID or StudyInstanceUID is missing or empty")
        return identity

    def apply(self, instance: Instance, subject: Subject) -> DeidentifiedInstance:
        """The instance as a Part 10 file with new meta information; implicit VR leaves as explicit little endian.

        Raises Failure NOT_DEIDENTIFIED where a rule cannot hold, MALFORMED where pixel data and transfer syntax
        disagree, and what the pixel policy raises. Pixel data that is not blanked is a slice of the instance's own
        buffer, which has to stay as it is.
        """
        if known := self._series.of(self._work, instance, subject):
            known.check()
            original = known.original()
            head, written, hold = self._head(instance, original), known.parts(original), known.hold
        else:
            splice, head, _ = self._begin(instance, subject)
            original, written = splice.original, splice.parts()
            hold = partial(self.places.check, self._guard)
        front = b"".join([head, *written.front])
        encoding.check_written(front)
        hold(front, len(head), original)
        behind = b"".join(written.behind)
        encoding.check_written(behind)
        hold(behind, 0, original)
        parts = (front, *written.pixels, behind) if behind else (front, *written.pixels)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return self._made(instance.arrival, original, Content(digest.digest(), sum(map(len, parts)), parts))

    def deidentify(self, instance: Instance, subject: Subject) -> DeidentifiedInstance | DeidentifiedHead:
        """As `apply`; where the pixels are still coming, what the header says already.

        Those pixels have to be of a kind that `streams`.
        """
        pixels = instance.pixels
        if pixels is None:
            return self.apply(instance, subject)
        splice, head, labels = self._begin(instance, subject)
        original, tag = splice.original, pixels.tag

        def behind(dataset: DataSet) -> tuple[Part, ...]:
            followers = splice.behind(dataset).parts(range(tag + 1, 1 << 32))
            return (self._guarded([*followers.front, *followers.pixels, *followers.behind], 0, original),)

        written = splice.parts(range(tag))
        return DeidentifiedHead(
            pixels=pixels,
            parts=(self._guarded([head, *written.front], len(head), original), *written.pixels),
            behind=behind,
            finish=lambda digest, size: self._made(instance.arrival, original, Content(digest, size, ())),
            blank=native.of(instance.dataset, labels).take if labels else None,
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

    def _begin(self, instance: Instance, subject: Subject) -> tuple[Splice | Placed, bytes, tuple[Label, ...]]:
        """The work to be done, what stands before the data set in its file, and labels by which pixels are blanked."""
        dataset = instance.dataset
        encoding.check(dataset, instance.arrival.transfer_syntax, self.decisions)
        labels = self.pixels.look(dataset)
        if labels and instance.pixels is None:
            dataset = blank.blanked(dataset, instance.arrival.transfer_syntax, labels)
        cleaned, texts, gone = self.cleaning.apply(dataset)
        original = self.cleaning.retained(Original(dataset, subject, self.protocols), texts)
        head = self._head(instance, original)
        tables = self._tables_blanked if labels else self._tables
        places = self.places
        if self.searches:
            places = places.searched(tables, self.searches, original) if places.lines else places
            tables = search.tables(tables, self.searches, original)
        if places.lines:
            return Placed(places, tables, original, cleaned, gone), head, labels
        return Splice(tables, original, cleaned), head, labels

    def _head(self, instance: Instance, original: Original) -> bytes:
        """What stands before the data set in its file."""
        sop_instance_uid = self._uid(_SOP_INSTANCE_UID, original)
        if not sop_instance_uid:
            raise Failure(Outcome.NOT_DEIDENTIFIED, "there is no SOPInstanceUID to replace")
        return part10.head(instance.arrival.sop_class_uid, sop_instance_uid, _written_as(instance.arrival))

    def _guarded(self, parts: list[Part], start: int, original: Original) -> bytes:
        """The parts as one, held against the instance's own values; the data set begins at `start`."""
        output = b"".join(parts)
        encoding.check_written(output)
        self.places.check(self._guard, output, start, original)
        return output

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
            recipe=self.name,
            digest=content.digest,
            size=content.size,
            parts=content.parts,
            calling=arrival.peer.calling,
            moves=original.subject.moves,
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
        return explain.explain(self, tag_or_keyword)

    def summary(self) -> tuple[Decision, ...]:
        """What each line of the recipe does, in its order."""
        return tuple(
            Decision(_name(rule), _action(rule), rule.path, rule.line, rule.text) for rule in self.recipe.rules
        )

    def images(self) -> Iterator[Decision]:
        """What becomes of images: the labels of the pixel policy in the order they are asked, then all others."""
        for one in self.pixels.rulings:
            label = one.label
            yield Decision(f"LABEL {label.name}", one.verdict.value, label.path, label.line, f"%filter {label.group}")
        said = self.pixels.directive
        path, line = (said.path, said.line) if said else (self.recipe.path, 0)
        text = f"ADD {said.name} {said.words[0]}" if said else ""
        yield Decision("images without a label", self.pixels.otherwise.value, path, line, text)


def _written_as(arrival: Arrival) -> str:
    """The transfer syntax it leaves in."""
    return encoding.EXPLICIT if arrival.transfer_syntax == encoding.IMPLICIT else arrival.transfer_syntax


def _name(rule: Rule) -> str:
    if isinstance(rule.attributes, Named):
        return dictionary.write(rule.attributes.attribute.tag)
    return rule.name


def _action(rule: Rule) -> str:
    """What a line does; a sequence is kept with its items gone through, as `keep` says."""
    named = rule.attributes if isinstance(rule.attributes, Searched) else attribute(rule.attributes)
    if rule.verb == "KEEP" and isinstance(named, Named | Private) and named.attribute.vrs == ("SQ",):
        return Action.RECURSE.value
    return ACTION_OF[rule.verb]


def _number(text: str) -> int:
    """An IS value that can name a file: 0 where there is none, or one that IS cannot hold or that is negative."""
    number = int(text) if _IS.fullmatch(text) else 0
    return number if number <= _LARGEST_IS else 0
