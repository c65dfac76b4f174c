"""Reads cloakroom.toml and says on which line a key stands, so that an error can point at it."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KeyPath = tuple[str | int, ...]

_NAME = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_TABLE = re.compile(rf"^\s*(?P<open>\[\[?)\s*(?P<name>{_DOTTED})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"^\s*(?P<name>{_DOTTED})\s*=")
_TOML_PLACE = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


class ConfigError(ValueError):
    """A configuration that is not understood, in one sentence that names file and line, or the variable."""


def read(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a TOML file and its text; raises ConfigError for what cannot be read or is not TOML."""
    try:
        text = path.read_text("utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from None
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}:{_explain(error, text)}") from None


def line_of(text: str, wanted: KeyPath) -> int:
    """Line, from 1, of the key or of the nearest table around it; 1 when neither stands in the text."""
    best, line = 0, 1
    for number, path in _assignments(text):
        depth = len(path)
        if depth > best and path == wanted[:depth]:
            best, line = depth, number
    return line


def stands(text: str, wanted: KeyPath) -> bool:
    """Whether the key stands in the text."""
    return any(path == wanted for _, path in _assignments(text))


def _assignments(text: str) -> Iterator[tuple[int, KeyPath]]:
    """Every table header and key with its line; an array of tables counts its members as in the parsed data."""
    table: KeyPath = ()
    seen: Counter[KeyPath] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _split(header["name"])
            if header["open"] == "[[":
                seen[table] += 1
                table = (*table, seen[table] - 1)
            yield number, table
        elif key := _KEY.match(line):
            yield number, table + _split(key["name"])


def _split(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_NAME, dotted))


def _explain(error: tomllib.TOMLDecodeError, text: str) -> str:
    """The parser's words with the line put in front, as compilers do."""
    place = _TOML_PLACE.match(str(error))
    if place is None:
        return f" is not TOML: {error}"
    line = place["line"] or str(max(1, len(text.splitlines())))
    what = place["what"]
    return f"{line}: is not TOML: {what[:1].lower()}{what[1:]}"
