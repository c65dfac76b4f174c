"""Reads the CLOAKROOM_* environment variables; one that is no setting's is an error, not a silence."""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic_settings import EnvSettingsSource

from scp.config.fields import PREFIX, Config, settings, variable
from scp.config.file import ConfigError
from scp.config.kinds import Variable

FILE_VARIABLE = PREFIX + "CONFIG"

_JSON = tuple(variable((key,)) for key in ("peers", "protocols", "bids", "variables"))
_SERVICE_LINK = re.compile(r"(?:CLOAKROOM_SERVICE_(?:HOST|PORT)|CLOAKROOM_PORT_\d+_(?:TCP|UDP))(?:_\w+)?")


class Variables(EnvSettingsSource):
    """The variables' values by field; raises ConfigError for an unknown one and for JSON that is none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
        self._given.pop(FILE_VARIABLE, None)
        for name in sorted(self._given):
            _check(name, self._given[name])
        super().__init__(Config)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): Variable(text) for name, text in self._given.items()}

    def values(self) -> dict[str, Any]:
        """What the variables say, in the shape of the file's tables."""
        return self()


def _check(name: str, text: str) -> None:
    known = [variable(key) for key, _ in settings()]
    if name not in known:
        raise ConfigError(f"{name}: unknown variable{_hint(name, known)}")
    if name in _JSON:
        try:
            json.loads(text)
        except json.JSONDecodeError:
            raise ConfigError(f"{name}: is not JSON") from None


def _hint(name: str, known: list[str]) -> str:
    """Kubernetes puts the address of a Service called cloakroom into variables that look like ours."""
    if _SERVICE_LINK.fullmatch(name):
        return "; Kubernetes sets it for a Service of that name: set enableServiceLinks: false in the pod"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f": did you mean {near[0]}?" if near else ""
