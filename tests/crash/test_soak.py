"""The soak in small: it finds what rises, and nothing that does in a node; `make soak` has an hour of it."""

import os
import random
import threading

import pytest
import soak
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.timeout(300)
MINUTE = [float(second) for second in range(60)]


def test_what_stays_is_flat():
    chance = random.Random(1)  # noqa: S311
    assert soak.drift(MINUTE, [1000 + chance.randrange(-5, 6) for _ in MINUTE]).is_flat(0.02)
    assert soak.drift(MINUTE, [7] * len(MINUTE)).is_flat(0.0)


def test_what_sinks_is_no_leak():
    assert soak.drift(MINUTE, [1000 - int(at) for at in MINUTE]).is_flat(0.0)


@given(leak=st.integers(1, 1000), noise=st.integers(0, 20), seed=st.integers(0, 100))
def test_what_rises_is_found(leak, noise, seed):
    chance = random.Random(seed)  # noqa: S311
    values = [1000 + leak * 2 * int(at) + chance.randint(-noise, noise) for at in MINUTE]
    found = soak.drift(MINUTE, values)
    assert not found.is_flat(0.02)
    assert found.rise == pytest.approx(leak * 2 * 59, rel=0.5)


def test_what_a_process_holds_is_what_the_kernel_says():
    before = soak.of(os.getpid())
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    reading, writing = os.pipe()
    after = soak.of(os.getpid())
    waiting.set()
    thread.join()
    for descriptor in (reading, writing):
        os.close(descriptor)
    assert after[2] == before[2] + 1
    assert after[1] >= before[1] + 2
    assert after[0] > 2**20


def test_a_process_that_is_gone_holds_nothing():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    assert soak.of(child) is None


def test_nothing_is_lost_in_a_short_one_and_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "SLIGHT", dict.fromkeys(soak.SLIGHT, 10.0))  # so short, caches still fill
    said = []
    wrong = soak.soaked(tmp_path, 0.1, seed=2, picture=tmp_path / "soak.png", heard=said.append)
    assert wrong == []
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
    assert [line.split(":")[0] for line in said[-3:]] == ["bytes", "descriptors", "threads"]


def test_a_rise_is_said(tmp_path, monkeypatch):
    seen = iter(range(10**6))

    def look(held, _node, seconds):
        held.at.append(seconds)
        for values in (held.bytes, held.descriptors, held.threads):
            values.append(1000 + next(seen))

    monkeypatch.setattr(soak.Held, "look", look)
    wrong = soak.soaked(tmp_path, 0.02, seed=3, heard=lambda _line: None)
    assert wrong == ["bytes rise", "descriptors rise", "threads rise"]
