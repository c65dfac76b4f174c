"""What is made of published visits besides the DICOM tree; a new export is one file and one line here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from scp.exports import catalog as table
from scp.exports import dataset
from scp.exports.bids import bids
from scp.exports.catalog import catalog
from scp.exports.nifti import nifti
from scp.exports.removal import Removal, folders
from scp.exports.visit import ExportError, Surroundings, Visit

__all__ = ["EXPORTS", "REMOVALS", "Export", "ExportError", "Removal", "Surroundings", "Visit"]

Export = Callable[[Visit, Surroundings], str | None]
"""Makes its files durable, or raises ExportError or Failure; made twice, the second takes the first one's place.

What it says is a sentence, without any value of the visit, of what is not in them.
"""

EXPORTS: Mapping[str, Export] = MappingProxyType({"bids": bids, "catalog": catalog, "nifti": nifti})

REMOVALS: Mapping[str, Removal] = MappingProxyType(
    {"bids": dataset.forget, "catalog": table.forget, "nifti": folders("NIFTI/*/*")}
)
"""How what was made of a visit is taken away again when the visit's time is over: one for each export."""
