"""The settings of visits: how much a finding of each gate weighs, and how long what is kept is kept."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scp.config.kinds import Days, Kind

Weight = Annotated[
    Literal["pass", "warn", "hold", "quarantine"], Kind('"pass", "warn", "hold" or "quarantine"')
]  # as scp.steward.gates.Verdict orders them


class Gates(BaseModel):
    """What a finding of each gate does to its visit: nothing, a note in the report, a person's word, or quarantine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mandatory: Weight = Field(
        default="warn", description="An attribute that the Data Factory cannot do without is missing."
    )
    primary: Weight = Field(default="warn", description="ImageType is missing or does not say PRIMARY.")
    consistent: Weight = Field(
        default="hold", description="PatientID, StudyID, sex, birth date or age differ within the visit."
    )
    t1: Weight = Field(default="warn", description="No series is a T1-weighted one by its description.")
    resolution: Weight = Field(default="warn", description="No T1 series has pixels and slices of at most 1.5 mm.")
    slices: Weight = Field(default="warn", description="No T1 series has 40 slices or more.")
    gaps: Weight = Field(default="warn", description="Slices of a series are missing, or stand at one position.")
    protocol: Weight = Field(
        default="warn", description="A series' description is not in [protocols]; asked where that names any."
    )
    dcm2niix: Weight = Field(
        default="pass", description="No volume comes of a series with dcm2niix; it has to be installed."
    )


class Retention(BaseModel):
    """After how many days what is kept is taken away; 0 keeps it for ever."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    published_days: Days = Field(
        default=0, description="Days that a published visit is kept, and what was exported of it; 0: for ever."
    )
    staged_days: Days = Field(
        default=0, description="Days that a visit stays held, quarantined by a gate or rejected; 0: for ever."
    )
    quarantine_days: Days = Field(default=0, description="Days that a sealed original is kept; 0: for ever.")
    reports_days: Days = Field(default=0, description="Days that a report of the gates is kept; 0: for ever.")
    manifests_days: Days = Field(default=0, description="Days that a manifest of digests is kept; 0: for ever.")
