import ast
import json
import logging
import sys
import threading
import warnings
from enum import Enum
from io import StringIO
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import scp
from scp import log

NEEDLE = "QzSMITH^JOHN"


@pytest.fixture(autouse=True)
def restored():
    """The log changes the process; each test gives it back."""
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    sys.excepthook, sys.unraisablehook, threading.excepthook, warnings.showwarning = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    log._route("auto", "info", None)


@pytest.fixture
def stream():
    stream = StringIO()
    log.configure("json", "debug", stream)
    return stream


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_room_level_and_utc_time(stream):
    log.get("intake").info("refused", outcome="burned_in", bytes=3)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"room": "intake", "event": "refused", "level": "info", "outcome": "burned_in", "bytes": 3}


def test_a_field_not_on_the_list_is_named_without_its_value(stream):
    log.get("intake").info("refused", patient_name=NEEDLE, count=1)
    (line,) = lines(stream)
    assert line["dropped"] == ["patient_name"]
    assert NEEDLE not in stream.getvalue()
    assert line["count"] == 1


def test_an_event_that_is_no_name_is_not_written(stream):
    log.get("intake").info(f"refused {NEEDLE}")
    assert lines(stream)[0]["event"] == "unnamed"
    assert NEEDLE not in stream.getvalue()


def test_an_exception_is_its_type_and_its_place_only(stream):
    try:
        int(NEEDLE)  # its message holds the text
    except ValueError as error:
        log.get("intake").exception("broke")
        log.get("intake").error("broke", exc_info=error)
        log.get("intake").error("broke", exc_info=(type(error), error, error.__traceback__), stack_info=True)
    for line in lines(stream):
        assert line["error"] == "ValueError"
        assert line["where"].startswith("test_log.py:")
    assert NEEDLE not in stream.getvalue()


def test_the_place_is_the_innermost_of_our_own_frames():
    try:
        log.configure("json", "no such level")
    except KeyError as error:
        place = log.place(error.__traceback__)
    assert place.startswith("log.py:")
    assert log.place(None) == ""


def test_nothing_is_logged_below_the_level(stream):
    log.configure("json", "warning", stream)
    log.get("intake").info("quiet")
    log.get("intake").warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


class Colour(Enum):
    RED_ONE = 1


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (True, True),
        (2.5, 2.5),
        (Colour.RED_ONE, "red_one"),
        (Path("a/b"), "a/b"),
        (["x", 1], ["x", 1]),
        (list(range(50)), list(range(20))),
        (b"bytes", "bytes"),
        ({"a": 1}, "dict"),
        ("x" * 300, "x" * 200 + "..."),
    ],
)
def test_values_are_plain_and_short(stream, value, written):
    log.get("web").info("shown", why=value)
    assert lines(stream)[0]["why"] == written


@pytest.mark.parametrize("form", ["json", "pretty"])
@given(text=st.text())
def test_no_value_makes_a_second_line(form, text):
    stream = StringIO()
    log.configure(form, "info", stream)
    log.get("web").info("shown", why=text, address=text)
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().endswith("\n")
    assert "\x1b" not in stream.getvalue()


def test_auto_is_pretty_only_on_a_terminal():
    stream = StringIO()
    log.configure("auto", "info", stream)
    log.get("web").info("shown")
    assert stream.getvalue().startswith("{")
    stream = StringIO()
    stream.isatty = lambda: True
    log.configure("auto", "info", stream)
    log.get("web").info("shown")
    assert not stream.getvalue().startswith("{")
    assert "shown" in stream.getvalue()


def test_libraries_are_heard_without_their_words(stream):
    logging.getLogger("pydicom.values").warning("Invalid value %r", NEEDLE)
    logging.getLogger("pydicom").info("reading %s", NEEDLE)
    (line,) = lines(stream)
    assert line["event"] == "library_message"
    assert line["module"] == "pydicom"
    assert NEEDLE not in stream.getvalue()


def test_warnings_are_heard_without_their_words(stream):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = log._warned
        warnings.warn(f"Invalid value for VR UI: {NEEDLE}", UserWarning, stacklevel=1)
    (line,) = lines(stream)
    assert (line["event"], line["error"]) == ("library_warning", "UserWarning")
    assert NEEDLE not in stream.getvalue()


def test_what_nobody_caught_is_told_without_its_words(stream, capsys):
    error = KeyError(NEEDLE)
    sys.excepthook(KeyError, error, None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    threading.excepthook(threading.ExceptHookArgs((KeyError, error, None, None)))
    threading.excepthook(threading.ExceptHookArgs((KeyError, None, None, None)))

    class Unraisable:
        exc_value = error

    sys.unraisablehook(Unraisable())
    Unraisable.exc_value = None
    sys.unraisablehook(Unraisable())
    assert [line["event"] for line in lines(stream)] == ["uncaught", "uncaught", "unraisable"]
    assert {line["error"] for line in lines(stream)} == {"KeyError"}
    assert NEEDLE not in stream.getvalue() + capsys.readouterr().err


def test_a_room_that_speaks_before_configuration_is_no_less_careful(capsys):
    structlog.reset_defaults()
    log.get("intake").info("early", patient_name=NEEDLE)
    captured = capsys.readouterr()
    assert NEEDLE not in captured.err + captured.out
    assert '"dropped": ["patient_name"]' in captured.err


def calls_of_loggers():
    """Every `_logger.level("event", field=...)` of the package."""
    for path in sorted(Path(scp.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"debug", "info", "warning", "error", "exception"}
                and ast.unparse(node.func.value) in {"_logger", "logger", "get('library')", "get('process')"}
            ):
                yield path.name, node


def test_every_event_is_a_literal_name_and_every_field_is_on_the_list():
    found = list(calls_of_loggers())
    assert len(found) > 5
    for name, call in found:
        assert isinstance(call.args[0], ast.Constant), f"{name}:{call.lineno}"
        assert log._EVENT.fullmatch(call.args[0].value), f"{name}:{call.lineno}"
        fields = {keyword.arg for keyword in call.keywords} - {"exc_info"}
        assert fields <= log.FIELDS, f"{name}:{call.lineno} {fields - log.FIELDS}"


def test_a_logger_goes_with_each_new_configuration(stream):
    logger = log.get("intake")
    logger.info("first")
    again = StringIO()
    log.configure("json", "warning", again)
    logger.info("second")
    logger.warning("third")
    assert [line["event"] for line in lines(stream)] == ["first"]
    assert [line["event"] for line in lines(again)] == ["third"]
    assert lines(again)[0]["room"] == "intake"


def test_a_logger_is_put_together_once(stream, monkeypatch):
    logger, made, real = log.get("intake"), [], structlog.get_logger
    monkeypatch.setattr(structlog, "get_logger", lambda **room: made.append(room) or real(**room))
    for count in range(3):
        logger.info("counted", count=count)
    assert [line["count"] for line in lines(stream)] == [0, 1, 2]
    assert made == [{"room": "intake"}]


@given(
    st.dictionaries(
        st.sampled_from(sorted(log.FIELDS - {"event", "level", "time", "room"})),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False),
            st.text(),
            st.lists(st.integers()),
            st.binary(),
        ),
    )
)
def test_whatever_is_said_is_one_line_of_json(fields):
    stream = StringIO()
    log.configure("json", "debug", stream)
    log.get("intake").error("said", **fields)
    (line,) = lines(stream)
    assert line.keys() == fields.keys() | {"event", "level", "time", "room"}
