"""Whether an image has a label of `%filter`: its criteria, asked of one data set's top level.

The words are deid's, their meaning too where it is one: `contains` is a regular expression searched in the whole value,
without regard to case; terms and lines are joined from left to right. What deid never finds is found here: `equals`
holds for one of several values (ImageType), for all of them with backslashes, and for one of several alternatives
(`equals Modality CT|MR`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from struct import iter_unpack

from scp import dictionary
from scp.dataset import DataSet
from scp.deidentify.labels import Criterion, Label, Term
from scp.deidentify.values import TEXT_VRS

Held = Callable[[DataSet], bool]

_NUMBERS: Mapping[str, str] = {"FD": "<d", "FL": "<f", "SL": "<i", "SS": "<h", "UL": "<I", "US": "<H"}
_SIZES: Mapping[str, int] = {"<d": 8, "<f": 4, "<i": 4, "<h": 2, "<I": 4, "<H": 2}


def meets(label: Label) -> Held:
    """Whether a data set meets the label's criteria; one that has only coordinates is every image's."""
    if not label.criteria:
        return lambda _: True
    return _joined([_line(criterion) for criterion in label.criteria], [one.operator for one in label.criteria])


def text(dataset: DataSet, tag: int) -> str:
    """The value as criteria see it: text, or numbers as digits, several with backslashes between; "" for others."""
    element = dataset.find(tag)
    if element is None:
        return ""
    vr = dictionary.vr(tag) if element.vr == "UN" else element.vr
    if form := _NUMBERS.get(vr):
        value = bytes(dataset.data[element.value : element.end])
        whole = len(value) - len(value) % _SIZES[form]
        return "\\".join(str(number) for (number,) in iter_unpack(form, value[:whole]))
    if vr not in TEXT_VRS:
        return ""
    value = bytes(dataset.data[element.value : element.end])
    return "\\".join(one.strip(" \0") for one in dataset.decode(value, "replace").split("\\"))


def _line(criterion: Criterion) -> Held:
    return _joined([_term(term) for term in criterion.terms], ["", *criterion.between])


def _joined(held: Sequence[Held], operators: Sequence[str]) -> Held:
    """All of them, from left to right; the first operator joins nothing, and a line without one is one more `and`."""
    first, *others = held
    pairs = list(zip(operators[1:], others, strict=True))

    def joined(dataset: DataSet) -> bool:
        holds = first(dataset)
        for operator, other in pairs:
            holds = (holds or other(dataset)) if operator == "or" else (holds and other(dataset))
        return holds

    return joined


def _term(term: Term) -> Held:
    tag = term.tag
    if term.value is None:
        return _WITHOUT_VALUE[term.criterion](tag)
    found = _contains(tag, term.value) if term.criterion.endswith("contains") else _equals(tag, term.value)
    if term.criterion.startswith("not"):
        return lambda dataset: not found(dataset)
    return found


_WITHOUT_VALUE: Mapping[str, Callable[[int], Held]] = {
    "missing": lambda tag: lambda dataset: dataset.find(tag) is None,
    "present": lambda tag: lambda dataset: dataset.find(tag) is not None,
    "empty": lambda tag: lambda dataset: _is_empty(dataset, tag),
}


def _is_empty(dataset: DataSet, tag: int) -> bool:
    element = dataset.find(tag)
    if element is None:
        return False
    value = dataset.value(tag)
    vr = dictionary.vr(tag) if element.vr == "UN" else element.vr
    return not (value.strip(b" \0") if vr in TEXT_VRS else value)  # a number 0 is a value


def _contains(tag: int, value: str) -> Held:
    search = re.compile(value, re.IGNORECASE).search
    return lambda dataset: dataset.find(tag) is not None and search(text(dataset, tag)) is not None


def _equals(tag: int, value: str) -> Held:
    wanted = frozenset(one.strip().casefold() for one in value.split("|"))

    def equals(dataset: DataSet) -> bool:
        sent = text(dataset, tag).casefold()
        return dataset.find(tag) is not None and (sent in wanted or not wanted.isdisjoint(sent.split("\\")))

    return equals
