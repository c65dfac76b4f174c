"""The kinds of value a configuration holds: how each is checked and what an error calls it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator
from pydantic_settings import NoDecode

_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_UID_LENGTH = 64
_DESCRIPTION_LENGTH = 50
_DESCRIPTION_FORBIDDEN = re.compile(r'[/*"$`\\;]|\.\.|[\x00-\x1f\x7f]')
_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_GROUP = re.compile(r"own|[1-9][0-9]{0,8}")
_INT = 2_147_483_647  # what waits for a socket is told how many milliseconds, and how many events, as a C int (poll(2))
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Variable(str):
    """A value from an environment variable: there everything is text, in a file text is no number."""

    __slots__ = ()


@dataclass(frozen=True)
class Kind:
    """What an error says the value is not."""

    says: str


@dataclass(frozen=True)
class Shown:
    """How a computed default is written down where machines differ."""

    default: str


def _number(convert: type[int] | type[float]) -> Callable[[object], object]:
    return lambda value: convert(value) if isinstance(value, Variable) else value


def _truth(value: object) -> object:
    return _TRUTH.get(value.lower(), value) if isinstance(value, Variable) else value


def _words(value: object) -> object:
    """A list in a variable is written with commas."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, Variable) else value


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("not text")  # noqa: TRY004  pydantic takes only ValueError for a wrong value
    return ip_network(value)


def _uid(value: str) -> str:
    """PS3.5 9.1: numeric components without leading zeros, at most 64 characters."""
    if len(value) > _UID_LENGTH or not _UID.fullmatch(value):
        raise ValueError("not a UID")
    return value


def _title(value: str) -> str:
    """PS3.5 6.2, AE: 1 to 16 characters of the default repertoire, surrounding spaces not significant."""
    if not _TITLE.fullmatch(value):
        raise ValueError("not an AE title")
    return value


def _path(value: Path) -> Path:
    if "\x00" in str(value) or value == Path():
        raise ValueError("not a path")
    return value


def _path_or_none(value: str) -> str:
    if "\x00" in value:
        raise ValueError("not a path")
    return value


def _certificate(value: str) -> str:
    """A fingerprint as hexadecimal digits without colons, a name in lower case, so that they can be compared."""
    plain = value.strip().casefold()
    digits = plain.replace(":", "")
    if _FINGERPRINT.fullmatch(digits):
        return digits
    if not plain or not plain.isprintable() or ":" in plain:
        raise ValueError("neither a fingerprint nor a name")
    return plain


def _description(value: str) -> str:
    if not value.strip() or len(value) > _DESCRIPTION_LENGTH or _DESCRIPTION_FORBIDDEN.search(value):
        raise ValueError("not a description")
    return value


def _group(value: object) -> object:
    """A number in a file, digits in a variable."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not _GROUP.fullmatch(text):
        raise ValueError("not a group")
    return text


def _frozen(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value))


_Whole = Annotated[int, BeforeValidator(_number(int)), Field(strict=True)]
_Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
_Uid = Annotated[str, AfterValidator(_uid)]
_Certificate = Annotated[str, AfterValidator(_certificate)]
_Description = Annotated[str, AfterValidator(_description)]

Port = Annotated[_Whole, Field(ge=1, le=65535), Kind("a port number (1-65535)")]
Count = Annotated[_Whole, Field(ge=1, le=_INT), Kind(f"a whole number from 1 to {_INT}")]
Group = Annotated[str, BeforeValidator(_group), Kind('a group id above 0, or "own"')]
Days = Annotated[_Whole, Field(ge=0), Kind("a whole number of days from 0")]
Bytes = Annotated[_Whole, Field(ge=1), Kind("a number of bytes above 0")]
Pdu = Annotated[_Whole, Field(ge=1, le=0xFFFFFFFF), Kind("a number of bytes from 1 to 4294967295 (PS3.8 D.1.1)")]
_Real = Annotated[float, BeforeValidator(_number(float)), Field(strict=True, gt=0, allow_inf_nan=False)]
Quiet = Annotated[_Real, Kind("a number of seconds above 0")]
Seconds = Annotated[
    _Real, Field(le=_INT // 1000), Kind(f"a number of seconds above 0 and at most {_INT // 1000} (24 days)")
]
Switch = Annotated[bool, BeforeValidator(_truth), Field(strict=True), Kind("true or false")]
Text = Annotated[str, Field(min_length=1), Kind("a text of at least one character")]
Folder = Annotated[Path, AfterValidator(_path), Kind("the path of a folder")]
File = Annotated[Path, AfterValidator(_path), Kind("the path of a file")]
OptionalFile = Annotated[str, AfterValidator(_path_or_none), Kind("the path of a file, or nothing")]
Title = Annotated[
    str, AfterValidator(_title), Kind("an AE title (1-16 ASCII characters, no backslash, no space around it)")
]
Networks = Annotated[
    tuple[_Network, ...],
    NoDecode,
    BeforeValidator(_words),
    Kind('a network like "10.1.0.0/16" (the address bits behind the prefix are 0)'),
]
Certificates = Annotated[
    tuple[_Certificate, ...], Kind("a SHA-256 fingerprint (64 hexadecimal digits) or a name in a certificate")
]
Uids = Annotated[tuple[_Uid, ...], NoDecode, BeforeValidator(_words), Kind("a UID (PS3.5 9.1)")]
Exports = Annotated[
    tuple[Literal["bids", "catalog", "nifti"], ...],
    NoDecode,
    BeforeValidator(_words),
    Kind('a list of "bids", "catalog" and "nifti"'),
]
Protocols = Annotated[
    Mapping[str, _Description],
    AfterValidator(_frozen),
    Kind(r'a series description (1-50 characters, none of / * " $ ` \ ; and no ".." )'),
]
Variables = Annotated[
    Mapping[str, Annotated[str, Field(min_length=1, max_length=64)]],
    AfterValidator(_frozen),
    Kind("a text of 1-64 characters"),
]
