"""Sequences that were sent as UN: their items are read like those of any other."""

from scp.dataset import DataSet, Reader, Span
from scp.table import Element


def read_unknown(dataset: DataSet, element: Element) -> DataSet:
    """The data set again, with the items of a sequence that was sent as UN of defined length (PS3.5 6.2.2 note 2).

    They are implicit VR little endian. Raises Failure INCOMPLETE or MALFORMED where the value is no such thing.
    """
    reader = Reader(dataset.data)
    reader.items(element.start, element.value, Span(element.end, 1, explicit=False, delimited=False))
    return DataSet(dataset.data, dataset.explicit, dataset.elements, reader.nested)
