"""The node's configuration: frozen, read from cloakroom.toml and CLOAKROOM_* once, every value checked at start."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from scp.config.errors import Places, sentence, unknown
from scp.config.fields import TABLES, Config, Limits, PeerRule, settings, variable
from scp.config.file import ConfigError, KeyPath, read
from scp.config.inbound import Inbound
from scp.config.kinds import Shown
from scp.config.security import Tls, UserIdentity
from scp.config.variables import FILE_VARIABLE, Variables

__all__ = [
    "Config", "ConfigError", "Inbound", "Limits", "PeerRule", "Row", "Tls", "UserIdentity", "find", "load",
    "prepare_process", "rows",
]  # fmt: skip

DEFAULT_FILE = Path("cloakroom.toml")


class Row(NamedTuple):
    """One setting as `cloakroom config show` and docs/configuration.md write it."""

    key: str
    variable: str
    value: str
    default: str
    origin: str
    description: str


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration from the file and the CLOAKROOM_* variables over it.

    The file is `path`, else what CLOAKROOM_CONFIG names, else ./cloakroom.toml if there is one. Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    source = find(path, environ)
    data, text = read(source) if source else ({}, "")
    variables = Variables(environ).values()
    places = Places(source, text, environ)
    for key in (
        key for key in data if key not in Config.model_fields
    ):  # BaseSettings would take "_env_file" for its own option
        raise ConfigError(unknown((key,), places))
    merged = _merge(data, variables)
    try:
        config = Config(**merged)
    except ValidationError as error:
        raise ConfigError(sentence(error.errors(include_url=False)[0], places)) from None
    given = (key for key, _ in settings() if _contains(merged, key))
    config._origins = {".".join(map(str, key)): places.of(key) for key in given}  # noqa: SLF001  set once, here
    return config


def rows(config: Config) -> list[Row]:
    """Every setting with its value, default, origin and description, in the order of docs/configuration.md."""
    table = []
    for key, field in settings():
        name = ".".join(map(str, key))
        value = config
        for part in key:
            value = getattr(value, str(part))
        origin = config.origins.get(name, "default")
        table.append(Row(name, variable(key), _written(value), _default(field), origin, field.description or ""))
    return table


def prepare_process(config: Config) -> None:
    """Tell prometheus_client in which folder the node's processes add up their metrics; before any is declared."""
    config.metrics_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(config.metrics_dir)
    os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "true"


def find(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that `load` reads; None where it reads none."""
    environ = os.environ if environ is None else environ
    if path is not None:
        return path
    if named := environ.get(FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _merge(data: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A variable of one table's key leaves the file's others; what is no table is left for the check to refuse."""
    merged = data | over
    for table in TABLES:
        if isinstance(data.get(table), dict) and isinstance(over.get(table), dict):
            merged[table] = data[table] | over[table]
    return merged


def _contains(data: object, key: KeyPath) -> bool:
    for part in key:
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _default(field: FieldInfo) -> str:
    shown = next((marker.default for marker in field.metadata if isinstance(marker, Shown)), None)
    return shown or _written(field.get_default(call_default_factory=True, validated_data={}))


def _written(value: object) -> str:
    """A value as TOML would have it, near enough to read."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        held = {name: getattr(value, name) for name in type(value).model_fields}
        return {name: _plain(inner) for name, inner in held.items() if inner is not None}  # TOML has no nothing
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else str(value)
