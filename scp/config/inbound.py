"""The settings of files as input."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scp.config.kinds import Bytes, Count, Kind, OptionalFile, Seconds, Title

Issuer = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f\\]{0,64}$"),
    Kind("at most 64 characters, none of them a backslash or a control character"),
]


class Inbound(BaseModel):
    """The watched folder, and what a ZIP may hold; what a data set may hold stands in [limits], as for peers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: OptionalFile = Field(default="", description="Folder whose in/ is watched for files; none means no folder.")
    settle_seconds: Seconds = Field(default=10.0, description="How long a file in in/ lies still before it is taken.")
    layout: Annotated[Literal["plain", "fedehr"], Kind('"plain" or "fedehr"')] = Field(
        default="plain",
        description="What the folder is: plain, originals in the clear; fedehr, out/ is export, the rest is sealed.",
    )
    after: Annotated[Literal["keep", "remove"], Kind('"keep" or "remove"')] = Field(
        default="keep", description="What becomes of an original that was taken: moved to done/, or removed."
    )
    ae_title: Title = Field(default="IMPORT", description="AE title that files in in/ are said to come from.")
    issuer: Issuer = Field(
        default="", description="IssuerOfPatientID of volumes whose sidecar has none, and of BIDS subject labels."
    )
    max_zip_entries: Count = Field(default=100_000, description="Entries of a ZIP; one with more is not opened.")
    max_zip_bytes: Bytes = Field(
        default=68_719_476_736, description="Bytes of a ZIP's entries, unpacked; one with more is not opened."
    )
