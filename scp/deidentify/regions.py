"""Which pixels of one image are hidden: the labels' rectangles on its rows and columns, row by row.

Nothing is remembered from one instance to the next: the regions of an ultrasound image are its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from scp.dataset import DataSet
from scp.deidentify.labels import ULTRASOUND_REGIONS, Label, Region
from scp.outcome import Failure, Outcome
from scp.table import Item, find

Box = tuple[int, int, int, int]
Runs = tuple[tuple[int, int], ...]
"""Hidden columns of one row: from, to, without the last."""

_CORNERS = (
    0x00186018,
    0x0018601A,
    0x0018601C,
    0x0018601E,
)  # RegionLocationMinX0, MinY0, MaxX1, MaxY1 (PS3.3 C.8.5.5.1)
_UL_SIZE = 4
_MOST = 64
"""Rectangles of one image; more are nobody's layout of a screen."""


class _Change(NamedTuple):
    """A rectangle becomes shown or hidden."""

    keep: bool
    box: Box


def hidden(labels: Iterable[Label], dataset: DataSet, rows: int, columns: int) -> list[Runs]:
    """The hidden columns of each row.

    Within a label a later line holds over an earlier one, and one that begins with what is kept hides the rest. What
    any label hides is hidden. Raises Failure PIXELS_WITHHELD where no pixel would be, or regions are not understood.
    """
    whole = (0, 0, columns, rows)
    layers = [_changes(label, dataset, whole) for label in labels]
    boxes = [change.box for layer in layers for change in layer]
    if len(boxes) > _MOST:
        raise withheld(f"there are more than {_MOST} regions to blank or to keep")
    xs = sorted({0, columns, *(x for box in boxes for x in box[::2])})
    ys = sorted({0, rows, *(y for box in boxes for y in box[1::2])})
    lines: list[Runs] = []
    for top, bottom in pairwise(ys):
        runs = tuple(_runs(layers, xs, top))
        lines += [runs] * (bottom - top)
    if not any(lines):
        raise withheld("the regions to blank lie outside the image")
    return lines


def withheld(why: str) -> Failure:
    """The one answer to what cannot be blanked for sure."""
    return Failure(Outcome.PIXELS_WITHHELD, why)


def _changes(label: Label, dataset: DataSet, whole: Box) -> list[_Change]:
    changes: list[_Change] = []
    for region in label.regions:
        keep = region.keep or region.source is not None
        if keep and not changes:
            changes.append(_Change(keep=False, box=whole))
        changes += (_Change(keep, _clipped(box, whole)) for box in _boxes(region, dataset, whole))
    return changes


def _boxes(region: Region, dataset: DataSet, whole: Box) -> list[Box]:
    if region.source is not None:
        return [_of_item(item, dataset) for item in _items(dataset)]
    return [region.box or whole]


def _items(dataset: DataSet) -> tuple[Item, ...]:
    element = dataset.find(ULTRASOUND_REGIONS)
    nested = dataset.nested.get(element.start) if element else None
    if nested is None or not nested.items:
        raise withheld("SequenceOfUltrasoundRegions has no item that says what to keep")
    return nested.items


def _of_item(item: Item, dataset: DataSet) -> Box:
    """The pixels of a region, its last row and column included, as PS3.3 C.8.5.5.1 counts them."""
    corners = []
    for tag in _CORNERS:
        element = find(item.elements, tag)
        if element is None or element.end - element.value != _UL_SIZE:
            raise withheld("an item of SequenceOfUltrasoundRegions does not say where it lies")
        corners.append(int.from_bytes(dataset.data[element.value : element.end], "little"))
    left, top, right, bottom = corners
    return left, top, right + 1, bottom + 1


def _clipped(box: Box, whole: Box) -> Box:
    left, top, right, bottom = box
    left, top = min(left, whole[2]), min(top, whole[3])
    return left, top, max(left, min(right, whole[2])), max(top, min(bottom, whole[3]))


def _runs(layers: Sequence[Sequence[_Change]], xs: Sequence[int], y: int) -> Iterator[tuple[int, int]]:
    """The hidden columns of row `y`, neighbours joined."""
    begin = None
    for x, end in pairwise(xs):
        if any(_is_hidden(layer, x, y) for layer in layers):
            begin = x if begin is None else begin
        elif begin is not None:
            yield begin, x
            begin = None
        last = end
    if begin is not None:
        yield begin, last


def _is_hidden(layer: Sequence[_Change], x: int, y: int) -> bool:
    for keep, (left, top, right, bottom) in reversed(layer):
        if left <= x < right and top <= y < bottom:
            return not keep
    return False
