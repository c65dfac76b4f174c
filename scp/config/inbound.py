"""The settings of files as input."""

from pydantic import BaseModel, ConfigDict, Field

from scp.config.kinds import Bytes, Count


class Inbound(BaseModel):
    """What a ZIP may hold; what a data set may hold stands in [limits], for files as for the front door."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_zip_entries: Count = Field(default=100_000, description="Entries of a ZIP; one with more is not opened.")
    max_zip_bytes: Bytes = Field(
        default=68_719_476_736, description="Bytes of a ZIP's entries, unpacked; one with more is not opened."
    )
