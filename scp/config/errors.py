"""Says what is wrong with a setting in one sentence, and where it stands."""

import difflib
import json
from collections.abc import Iterable, Mapping
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import ErrorDetails

from scp.config.fields import TABLES, Config, PeerRule, variable
from scp.config.file import KeyPath, line_of, stands
from scp.config.kinds import Kind

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_SHOWN_CHARACTERS = 60
_SHAPES = {"tuple_type": "a list", "mapping_type": "a table", "dict_type": "a table", "model_type": "a table"}
_INNER: Mapping[str, dict[str, "FieldInfo"]] = {
    "peers": PeerRule.model_fields,
    **{name: table.model_fields for name, table in TABLES.items()},
}


class Places:
    """Where each setting was given: in a variable, which wins, or on a line of the file."""

    def __init__(self, source: Path | None, text: str, variables: Iterable[str]) -> None:
        self._source = source
        self._text = text
        self._variables = frozenset(variables)

    def given(self, key: KeyPath) -> bool:
        """Whether it was given at all."""
        return variable(key) in self._variables or stands(self._text, key)

    def of(self, key: KeyPath) -> str:
        """The variable's name or `file:line`."""
        for depth in (1, 2):
            if (name := variable(key[:depth])) in self._variables:
                return name
        return f"{self._source}:{line_of(self._text, key)}"


def sentence(error: ErrorDetails, places: Places) -> str:
    """One of pydantic's errors as `place: what is wrong`."""
    key = error["loc"]
    if error["type"] == "state_and_export" and not places.given(key):
        key = ("state",)  # then this one was: the defaults lie apart
    if error["type"] == "extra_forbidden":
        return unknown(key, places)
    place = places.of(key)
    named = "" if place == variable(key) else ".".join(part for part in key if isinstance(part, str)) + ": "
    return f"{place}: {_what(error, key, named)}"


def unknown(key: KeyPath, places: Places) -> str:
    """That there is no such setting, as `place: unknown key`."""
    return f'{places.of(key)}: unknown key "{key[-1]}"{_near(key)}'


def _what(error: ErrorDetails, key: KeyPath, named: str) -> str:
    if error["type"] == "missing":
        return f'"{key[-1]}" is missing'
    if error["type"] == "state_and_export":
        return error["msg"]
    if error["type"] in _SHAPES:
        return f"{named}{_shown(error['input'])} is not {_SHAPES[error['type']]}"
    return f"{named}{_shown(error['input'])} is not {_kind(key)}"


def _kind(key: KeyPath) -> str:
    """What the kind of the innermost field on the path says."""
    fields: dict[str, FieldInfo] = Config.model_fields
    says = ""
    for part in key:
        field = fields.get(str(part))
        if field is not None:
            says = next((marker.says for marker in field.metadata if isinstance(marker, Kind)), says)
            fields = _INNER.get(str(part), {})
    return says


def _near(key: KeyPath) -> str:
    """A key that may have been meant."""
    beside = _INNER[str(key[0])] if len(key) > 1 else Config.model_fields
    near = difflib.get_close_matches(str(key[-1]), beside, n=1, cutoff=0.6)
    return f': did you mean "{near[0]}"?' if near else ""


def _shown(value: Any) -> str:  # noqa: ANN401  whatever stood in the file
    text = str(value) if isinstance(value, date | time) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."
