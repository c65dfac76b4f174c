"""Each dialogue speaks to a worker of its own, which must leave nothing behind."""

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pydicom.config
import pytest
from peer import NEEDLE, PATIENCE, Node
from running import descriptors

from scp import log
from scp.receive.negotiation import quieten


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = pydicom.config.settings.reading_validation_mode
    quieten()
    yield
    pydicom.config.settings.reading_validation_mode = before


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """What the log says while the test runs; no test's needle may be in it."""
    stream = io.StringIO()
    log._route("json", "debug", stream)
    yield stream
    log._route("json", "info", sys.stderr)
    assert NEEDLE.decode() not in stream.getvalue()


@pytest.fixture
def node(told: io.StringIO) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []
    threads, opened = set(threading.enumerate()), descriptors()

    def start(**parts: Any) -> Node:
        nodes.append(Node(**parts))
        return nodes[-1]

    yield start
    for each in nodes:
        each.stop()
    nodes.clear()
    deadline = time.monotonic() + PATIENCE  # pynetdicom's requestors take a moment to end theirs
    while set(threading.enumerate()) - threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= opened
