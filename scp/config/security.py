"""The settings of TLS and of user identity: the two tables that say who a peer has to prove to be."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scp.config.kinds import File, Kind, Port, Switch


class Tls(BaseModel):
    """TLS for associations (PS3.15 B.12); the files are read at start, and again when they change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: Switch = Field(default=False, description="Whether the node listens for associations over TLS.")
    port: Port = Field(default=2762, description="DICOM port for TLS.")
    plain_port: Switch = Field(default=True, description="Whether the port without TLS is open as well.")
    certificate: File = Field(
        default=Path("tls/certificate.pem"), description="PEM file of the node's certificate and its chain."
    )
    key: File = Field(default=Path("tls/key.pem"), description="PEM file of its private key, closed to others.")
    client_ca: File = Field(
        default=Path("tls/client-ca.pem"), description="PEM file of the authorities that peers' certificates come from."
    )
    require_client_certificate: Switch = Field(
        default=True, description="Whether a peer without a certificate is turned away during the handshake."
    )


class UserIdentity(BaseModel):
    """User identity negotiation (PS3.7 D.3.3.7)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: Annotated[Literal["none", "username", "password"], Kind('"none", "username" or "password"')] = Field(
        default="none",
        description="What a user identity must show: nothing, a known name, or a known name with its password.",
    )
    required: Switch = Field(
        default=True, description="Whether, when identities are checked, an association without one is rejected."
    )
    passwords: File = Field(
        default=Path("tls/passwords"), description="File of the known names, each with its password's scrypt hash."
    )
