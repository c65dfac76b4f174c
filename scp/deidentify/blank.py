"""Blanks the regions that labels name: native pixel data where it lies, encapsulated where that loses nothing (RLE)."""

from collections.abc import Iterable

from scp.dataset import DataSet
from scp.deidentify import native, rle
from scp.deidentify.labels import Label


def blanked(dataset: DataSet, transfer_syntax: str, labels: Iterable[Label]) -> DataSet:
    """The data set with its regions black; the one sent stays as it was. Raises Failure PIXELS_WITHHELD."""
    element = native.pixel_data(dataset)
    if element.end != element.stop:
        return rle.blanked(dataset, element, transfer_syntax, labels)
    blanking = native.of(dataset, labels)
    data = bytearray(dataset.data)
    data[element.value : element.end] = blanking.take(dataset.data[element.value : element.end], 0)
    return DataSet(memoryview(data), dataset.explicit, dataset.elements, dataset.nested)
