"""The log: one JSON object a line on stderr, from a closed list of fields, never a value that came from a patient."""

import json
import logging
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import TracebackType
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "json", "pretty"]

FIELDS = frozenset(
    {
        "address", "ae_title", "associations", "bytes", "children", "count", "delay", "dropped", "error", "event",
        "export", "file", "format", "http_port", "instances", "key", "level", "line", "limit", "messages", "module",
        "name", "outcome", "path", "pid", "port", "reason", "recipe", "rejection", "restarts", "result", "room",
        "seconds", "signal", "slot", "state", "status", "steps", "time", "url", "version", "visit", "visits",
        "where", "why", "worker", "workers",
    }
)  # fmt: skip

_LONGEST = 200
_ENCODER = json.JSONEncoder()
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(form: Format = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send the log to `stream` (stderr) and let nothing else of the process write values there; KeyError: no level."""
    _route(form, level, stream)
    warnings.showwarning = _warned
    logging.basicConfig(handlers=[_Muted()], level=logging.WARNING, force=True)
    sys.excepthook = _uncaught
    sys.unraisablehook = _unraisable
    threading.excepthook = _uncaught_in_thread


def get(room: str) -> Any:  # noqa: ANN401  structlog's loggers are typed by what they are asked
    """The logger of a room: `log.get("receive").info("association_accepted", count=3)`."""
    if not structlog.is_configured():
        _route("auto", "info", None)
    return _Room(room)


class _Room:
    """A room's logger, put together once for each configuration; structlog would do so for each line."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._made: tuple[object, Any] = None, None

    def __getattr__(self, method: str) -> Any:  # noqa: ANN401  as structlog types it
        configured, made = structlog.get_config()["processors"], self._made
        if made[0] is not configured:
            made = self._made = configured, structlog.get_logger(room=self._room).bind()
        return getattr(made[1], method)


def _route(form: Format, level: str, stream: TextIO | None) -> None:
    terminal = (stream or sys.stderr).isatty()
    pretty = form == "pretty" or (form == "auto" and terminal)
    render: Processor = structlog.dev.ConsoleRenderer(colors=terminal) if pretty else _json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _place_of_exception,
            _only_allowed,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time" if not pretty else "timestamp"),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=partial(_Output, stream, threading.Lock()),
        cache_logger_on_first_use=False,
    )


class _Output:
    """Writes whole lines; a log that nobody takes (full disk, closed pipe) must not change what the wire hears.

    Without a stream, to what stderr is at that moment: a bar on a terminal puts itself there, to go on below the line.
    """

    def __init__(self, stream: TextIO | None, lock: threading.Lock, *_room: object) -> None:
        self._stream = stream
        self._lock = lock

    def write(self, line: str) -> None:
        """One line, or nothing."""
        with self._lock, suppress(OSError):
            stream = self._stream or sys.stderr
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = write


def _place_of_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception becomes its type and where it was raised; its text may hold anything and is never written."""
    event.pop("stack_info", None)
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["where"] = place(error.__traceback__)
    return event


def place(trace: TracebackType | None) -> str:
    """`file:line` of the innermost frame of our own package, or of all when none is ours; empty without a trace."""
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if "/scp/" in frame.filename] or frames
    return f"{PurePath(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""


def _only_allowed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A field not on the list loses its value and is named; one that is, is made plain and short."""
    kept = {name: _plain(value) for name, value in event.items() if name in FIELDS}
    if not _EVENT.fullmatch(str(kept.get("event"))):
        kept["event"] = "unnamed"
    if not event.keys() <= FIELDS:
        kept["dropped"] = [_text(name) for name in sorted(event.keys() - FIELDS)]
    return kept


def _plain(value: object) -> object:
    if type(value) is str:
        return _text(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, (str, PurePath)):
        return _text(str(value))
    if isinstance(value, list | tuple | set | frozenset):
        return _several(value)
    return type(value).__name__


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _ENCODER.encode(event)  # which is made once: everything is plain already


def _several(values: Iterable[object]) -> list[object]:
    return [_plain(value) for value in list(values)[:20]]


def _text(value: str) -> str:
    """On one line whatever it holds: control characters are escaped, so that no peer forges a line."""
    if len(value) <= _LONGEST and value.isprintable():
        return value
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in value)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."


class _Muted(logging.Handler):
    """What libraries log holds values of elements: only who spoke, how loud and from where is kept."""

    def emit(self, record: logging.LogRecord) -> None:
        """One fixed line instead of the record's text."""
        get("library").warning(
            "library_message", module=record.name.split(".")[0], where=f"{record.filename}:{record.lineno}"
        )


def _warned(  # noqa: PLR0913, PLR0917  the signature is Python's
    message: Warning | str,  # noqa: ARG001  holds values
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    get("library").warning("library_warning", error=category.__name__, where=f"{PurePath(filename).name}:{lineno}")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    get("process").error("uncaught", exc_info=error.with_traceback(trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        get("process").error("uncaught", exc_info=args.exc_value)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        get("process").error("unraisable", exc_info=args.exc_value)
