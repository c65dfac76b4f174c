"""Every setting of a node, with its default and what it is for; each is documented in docs/configuration.md."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from scp.config.bids import DEFAULT, Bids
from scp.config.file import KeyPath
from scp.config.inbound import Inbound
from scp.config.kinds import (
    Bytes,
    Certificates,
    Count,
    Exports,
    Folder,
    Group,
    Kind,
    Networks,
    OptionalFile,
    Pdu,
    Port,
    Protocols,
    Quiet,
    Seconds,
    Shown,
    Switch,
    Text,
    Title,
    Uids,
    Variables,
)
from scp.config.security import Tls, UserIdentity
from scp.config.visits import Gates, Retention

PREFIX = "CLOAKROOM_"


def _workers() -> int:
    return min(4, len(os.sched_getaffinity(0)))


class Limits(BaseModel):
    """What the front door takes from a stranger before it hangs up; the reasons stand in docs/configuration.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pdu_bytes: Pdu = Field(default=131_072, description="Longest P-DATA-TF PDU received, advertised to the peer.")
    max_instance_bytes: Bytes = Field(default=2_147_483_648, description="Longest data set received.")
    max_bytes_in_flight: Bytes = Field(
        default=1_073_741_824, description="Bytes of data sets that one worker holds in memory at once."
    )
    in_flight_seconds: Seconds = Field(
        default=10.0, description="How long a data set waits for that room, unread, before it is answered A700."
    )
    stream_bytes: Bytes = Field(
        default=4_194_304, description="Longest data set held in memory; of longer ones only what is not pixel data."
    )
    max_associations: Count = Field(default=1024, description="Associations open at once on the node.")
    max_associations_per_title: Count = Field(default=256, description="The same, of one calling AE title.")
    max_unassociated: Count = Field(default=256, description="Connections in one worker that have no association yet.")
    max_unassociated_per_address: Count = Field(default=16, description="The same, from one source address.")
    max_fruitless_per_second: Count = Field(
        default=100, description="Connections of one address to one worker that come to no association; twice at once."
    )
    tls_handshake_seconds: Seconds = Field(default=10.0, description="From the connection to its TLS session.")
    artim_seconds: Seconds = Field(default=30.0, description="From there to a complete A-ASSOCIATE-RQ.")
    header_seconds: Seconds = Field(default=10.0, description="From the first byte of a PDU to its complete header.")
    body_seconds: Seconds = Field(default=10.0, description="For the body of a PDU, besides 1 s for each 64 KiB.")
    idle_seconds: Seconds = Field(default=300.0, description="Between two messages of an association.")
    instance_seconds: Seconds = Field(default=900.0, description="For one whole C-STORE request.")
    min_bytes_per_second: Bytes = Field(
        default=10_240, description="The slowest a data set may come, on average, once its first 30 s are over."
    )
    max_depth: Count = Field(default=32, description="Sequences inside one another in a data set.")
    max_elements: Count = Field(default=500_000, description="Elements, items and fragments of a data set.")
    max_values: Count = Field(default=1_000_000, description="Values of one element.")
    max_header_bytes: Bytes = Field(
        default=67_108_864, description="Bytes of a data set besides its pixels, spectra and encapsulated document."
    )
    hung_seconds: Seconds = Field(
        default=60.0, description="A worker or index writer silent for so long is killed and replaced."
    )
    drain_seconds: Seconds = Field(default=30.0, description="For open associations to end after SIGTERM.")


class PeerRule(BaseModel):
    """One calling AE title that may associate, and from where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ae_title: Title = Field(description="Calling AE title, compared without the spaces around it.")
    networks: Networks = Field(default=(), description="Source networks of this title; none means any.")
    certificates: Certificates = Field(
        default=(), description="Certificates this title must show over TLS: fingerprints or names; none means any."
    )
    quiet_seconds: Annotated[Quiet | None, Kind("a number of seconds above 0")] = Field(
        default=None, description="visit_quiet_seconds for visits that this title sends."
    )


class Config(BaseSettings):
    """Every setting of a node: `load` makes it from the surroundings, `Config(...)` from what is passed."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__")

    ae_title: Title = Field(default="CLOAKROOM", description="The node's own AE title.")
    host: Text = Field(default="127.0.0.1", description="Address the DICOM port is bound to.")
    port: Port = Field(default=11112, description="DICOM port.")
    http_host: Text = Field(default="127.0.0.1", description="Address the status port is bound to.")
    http_port: Port = Field(default=8080, description="Status port: status page, /metrics, /healthz, /readyz.")
    http_token: OptionalFile = Field(
        default="", description="File of a bearer token that the status page and /metrics then ask for."
    )
    workers: Annotated[Count, Shown("the CPUs it may use, at most 4")] = Field(
        default_factory=_workers, description="Worker processes that serve associations."
    )
    state: Folder = Field(
        default=Path("var/state"), description="Folder of databases, keys and quarantine: identified."
    )
    export: Folder = Field(
        default=Path("var/export"), description="Folder that holds DICOM/, the tree of published visits: de-identified."
    )
    recipe: Text = Field(default="mip", description="De-identification recipe: a name in deid_recipes/ or a file.")
    visit_quiet_seconds: Quiet = Field(default=300.0, description="A visit is published when nothing came for so long.")
    grouping: Annotated[
        Literal["study", "day", "accession", "hours"], Kind('"study", "day", "accession" or "hours"')
    ] = Field(
        default="study",
        description="What one visit is: a study, or a patient's studies of a day, an accession number or some hours.",
    )
    grouping_hours: Count = Field(default=12, description='How many hours with grouping = "hours".')
    visit_approval: Switch = Field(
        default=False, description="Whether every visit waits for `visit approve` after its gates."
    )
    steward_seconds: Seconds = Field(default=1.0, description="How often the steward looks for quiet visits.")
    commit_instances: Count = Field(default=64, description="Instances whose rows are committed together, at most.")
    commit_seconds: Seconds = Field(
        default=0.005, description="For a commit to gather as many rows as the last one had; a lone one never waits."
    )
    layout: Text = Field(default="dated", description="Shape of the export tree: dated, daily or flat.")
    exports: Exports = Field(default=(), description="What is made of published visits besides: bids, catalog, nifti.")
    nifti_gzip: Switch = Field(default=False, description="Whether the export nifti writes .nii.gz instead of .nii.")
    export_group: Group = Field(
        default="own", description="Group id of what is published: the Data Factory's; own: that of the node."
    )
    consent: Annotated[Literal["assumed"], Kind('"assumed"')] = Field(
        default="assumed", description="Where consent is known from; assumed: the peers send only consented patients."
    )
    require_called_ae_title: Switch = Field(
        default=True, description="Whether an association must call the node by its own AE title."
    )
    peers: Annotated[tuple[PeerRule, ...], Kind("a list of [[peers]] tables")] = Field(
        default=(),
        description="Who may call: [[peers]] of ae_title, networks, certificates, quiet_seconds; none means anybody.",
    )
    networks: Networks = Field(default=(), description="Source networks connections are accepted from; none means any.")
    sop_classes: Uids = Field(default=(), description="SOP Class UIDs accepted; none means every storage class.")
    transfer_syntaxes: Uids = Field(default=(), description="Transfer Syntax UIDs accepted, best first; none: all.")
    protocols: Protocols = Field(
        default_factory=dict, description='Series descriptions kept: "as sent" = "as written", one a line.'
    )
    bids: Bids = Field(
        default_factory=lambda: DEFAULT,
        description='Where series stand in the export bids: "description pattern" = "anat/T1w", one a line.',
    )
    variables: Variables = Field(
        default_factory=dict, description='Constants that recipes call var:NAME: NAME = "text", one a line.'
    )
    min_free_bytes: Bytes = Field(
        default=268_435_456, description="Room that stays free on the disks; below it C-STORE is answered A700."
    )
    log_format: Annotated[Literal["auto", "json", "pretty"], Kind('"auto", "json" or "pretty"')] = Field(
        default="auto", description="Form of the log on stderr; auto: pretty on a terminal, else JSON lines."
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Kind('"debug", "info", "warning" or "error"')
    ] = Field(default="info", description="Least level that is logged.")
    limits: Annotated[Limits, Kind("a [limits] table")] = Field(
        default_factory=Limits, description="Limits of the front door."
    )

    tls: Annotated[Tls, Kind("a [tls] table")] = Field(default_factory=Tls, description="Associations over TLS.")
    user_identity: Annotated[UserIdentity, Kind("a [user_identity] table")] = Field(
        default_factory=UserIdentity, description="User identity of associations."
    )
    gates: Annotated[Gates, Kind("a [gates] table")] = Field(
        default_factory=Gates, description="Gates between a complete visit and the Data Factory."
    )
    inbound: Annotated[Inbound, Kind("an [inbound] table")] = Field(
        default_factory=Inbound, description="Files as input."
    )
    retention: Annotated[Retention, Kind("a [retention] table")] = Field(
        default_factory=Retention, description="How long what is kept is kept."
    )

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value that is no default came from: `file:line` or the variable's name, by dotted key."""
        return self._origins

    @classmethod
    def settings_customise_sources(  # noqa: D102  pydantic-settings' own hook
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # only `load` looks around, so that Config() is the same everywhere

    @field_validator("export")
    @classmethod
    def _apart(cls, export: Path, info: ValidationInfo) -> Path:
        """Identified and de-identified trees hold nothing of each other."""
        state = info.data.get("state")
        if state is not None:
            ours, theirs = (Path(os.path.realpath(path)) for path in (export, state))  # of a loop of links, too
            if ours == theirs or ours in theirs.parents or theirs in ours.parents:
                raise PydanticCustomError("state_and_export", "export and state must not lie inside each other")
        return export

    @property
    def keys(self) -> Path:
        """Folder of the key files."""
        return self.state / "keys"

    @property
    def quarantine(self) -> Path:
        """Folder of the sealed originals."""
        return self.state / "quarantine"

    @property
    def index_path(self) -> Path:
        """Database of the pseudonymous index."""
        return self.state / "index.db"

    @property
    def reports(self) -> Path:
        """Folder of what the gates found, one JSON file a delivery."""
        return self.state / "reports"

    @property
    def manifests(self) -> Path:
        """Folder of the digests of what was published, one file a delivery."""
        return self.state / "manifests"

    def quiet_seconds(self, calling: tuple[str, ...]) -> float:
        """How long a visit that these AE titles sent has to be quiet: the longest of theirs."""
        own = {peer.ae_title: peer.quiet_seconds for peer in self.peers}
        return max((own.get(title) or self.visit_quiet_seconds for title in calling), default=self.visit_quiet_seconds)

    @property
    def index_socket(self) -> Path:
        """Where the workers reach the index writer."""
        return self.state / "run" / "index.sock"

    @property
    def linkage_path(self) -> Path:
        """Database of the linkage: identified, encrypted."""
        return self.state / "linkage.db"

    @property
    def metrics_dir(self) -> Path:
        """Folder through which the node's processes add up their metrics."""
        return self.state / "run" / "metrics"


TABLES: Mapping[str, type[BaseModel]] = {
    "limits": Limits,
    "tls": Tls,
    "user_identity": UserIdentity,
    "gates": Gates,
    "inbound": Inbound,
    "retention": Retention,
}


def settings() -> Iterator[tuple[KeyPath, FieldInfo]]:
    """Every setting with its path of keys, those of a table one by one, in the order they are documented."""
    for name, field in Config.model_fields.items():
        if name in TABLES:
            yield from (((name, inner), inner_field) for inner, inner_field in TABLES[name].model_fields.items())
        else:
            yield (name,), field


def variable(key: KeyPath) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(part) for part in key).upper()
