"""Trying a plan on files without a node: nothing is stored, no linkage is asked, and the tokens belong to nobody."""

import secrets
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info

from scp import dictionary
from scp.dataset import DataSet, read
from scp.deidentify.functions.tokens import is_uid
from scp.deidentify.plan import Plan
from scp.instance import Arrival, Instance, Peer, Subject
from scp.outcome import Failure, Outcome
from scp.table import Element

_PREFIX_END, _META_LENGTH_END = 132, 144
_IMPLICIT = "1.2.840.10008.1.2"
_NOBODY = Peer("", "", "")
_ERRORS = (
    AttributeError, BytesLengthException, EOFError, InvalidDicomError, NotImplementedError, TypeError, ValueError
)  # fmt: skip
"""What pydicom raises for file meta information that is none; some of it only when a value is asked for."""


class Size(str):
    """What is shown in place of a value that is no text, or a long one; it tells nothing but how much there is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """One attribute of a file before and after, None where it is not; `where` names the items around it."""

    where: str
    vr: str
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)
    same: bool


def nobody() -> Subject:
    """A subject for one dry run, with a secret that is forgotten."""
    return Subject("P0000000", "10", secrets.token_bytes(32))


def instance(path: Path) -> Instance:
    """The instance in a Part 10 file. Raises Failure MALFORMED or INCOMPLETE where there is none, and OSError."""
    data = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's repeat the value
            meta = read_file_meta_info(path)
            length = int(meta.FileMetaInformationGroupLength)
            transfer_syntax = str(meta.TransferSyntaxUID)
            sop_class_uid = str(meta.get("MediaStorageSOPClassUID", ""))
            sop_instance_uid = str(meta.get("MediaStorageSOPInstanceUID", ""))
    except _ERRORS:
        raise Failure(Outcome.MALFORMED, "it is no DICOM file with complete file meta information") from None
    if not is_uid(sop_class_uid):
        raise Failure(Outcome.MALFORMED, "its file meta information names no SOP class")
    arrival = Arrival(
        peer=_NOBODY,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        context_class="",
        transfer_syntax=transfer_syntax,
        data=data[_META_LENGTH_END + length :],
    )
    return Instance(arrival, read(arrival.data, explicit=transfer_syntax != _IMPLICIT))


def applied(plan: Plan, sent: Instance, subject: Subject) -> DataSet:
    """What the plan makes of an instance, read again. Raises what the plan raises."""
    data = b"".join(plan.apply(sent, subject).parts)
    length = int.from_bytes(data[_META_LENGTH_END - 4 : _META_LENGTH_END], "little")
    return read(data[_META_LENGTH_END + length :], explicit=True)


def changes(before: DataSet, after: DataSet) -> list[Change]:
    """Both data sets side by side, in the order of tags, items inside their sequences."""
    sent = {where: (element, before) for where, element in _walk(before, before.elements, "")}
    came = {where: (element, after) for where, element in _walk(after, after.elements, "")}
    return [_change(where, sent.get(where), came.get(where)) for where in sorted({*sent, *came})]


_Found = tuple[Element, DataSet]


def _change(where: str, sent: _Found | None, came: _Found | None) -> Change:
    vr = came[0].vr if came else sent[0].vr if sent else ""
    before, after = _value(sent), _value(came)
    return Change(where, vr, before, after, same=before == after and (vr == "SQ" or _bytes(sent) == _bytes(came)))


def _walk(dataset: DataSet, elements: tuple[Element, ...], above: str) -> Iterator[tuple[str, Element]]:
    for element in elements:
        where = above + dictionary.write(element.tag)
        yield where, element
        if nested := dataset.nested.get(element.start):
            for number, item in enumerate(nested.items):
                yield from _walk(dataset, item.elements, f"{where}[{number}] ")


def _bytes(found: _Found | None) -> bytes:
    if found is None:
        return b""
    element, dataset = found
    return bytes(dataset.data[element.value : element.end])


def _value(found: _Found | None) -> str | None:
    if found is None:
        return None
    element, dataset = found
    value = _bytes(found)
    if not value:
        return ""
    if element.start in dataset.nested:
        return Size(f"{len(dataset.nested[element.start].items)} items")
    if element.vr in _BINARY or len(value) > _LONGEST_SHOWN:
        return Size(f"{len(value)} bytes")
    try:
        return dataset.decode(value, "replace").strip(" \0")
    except Failure:
        return Size(f"{len(value)} bytes")


_LONGEST_SHOWN = 1024
_BINARY = frozenset(
    {"AT", "FD", "FL", "OB", "OD", "OF", "OL", "OV", "OW", "SL", "SQ", "SS", "SV", "UL", "UN", "US", "UV"}
)
