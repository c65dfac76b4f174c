"""What is made of published visits besides the DICOM tree; a new export is one file and one line here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scp.exports.bids import bids
from scp.exports.catalog import catalog
from scp.exports.nifti import nifti
from scp.exports.visit import ExportError, Surroundings, Visit

__all__ = ["EXPORTS", "Export", "ExportError", "Surroundings", "Visit"]

Export = Callable[[Visit, Surroundings], str | None]
"""Makes its files durable, or raises ExportError or Failure; made twice, the second takes the first one's place.

What it says is a sentence, without any value of the visit, of what is not in them.
"""

EXPORTS: Mapping[str, Export] = MappingProxyType({"bids": bids, "catalog": catalog, "nifti": nifti})
