"""Connections that come to nothing are paced by address; those that become associations never are."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.config import Limits
from scp.receive import pace
from scp.receive.guests import Guests
from scp.receive.pace import BURST_SECONDS, Pace
from scp.receive.register import Register

A, B = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def now(monkeypatch):
    """The clock, which stands still until a test moves it."""
    clock = [1000.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    return clock


def paced(rate):
    return Pace(Limits(max_fruitless_per_second=rate))


def come(shared, address, count):
    return [shared.come(address) for _ in range(count)].count(True)


def test_a_burst_may_come_and_then_so_many_a_second(now):
    shared = paced(10)
    assert come(shared, A, 100) == 10 * BURST_SECONDS
    now[0] += 1.0
    assert come(shared, A, 100) == 10
    now[0] += 3600.0
    assert come(shared, A, 100) == 10 * BURST_SECONDS, "no more is saved up than the burst"


def test_one_address_pays_for_itself_only(now):
    shared = paced(1)
    come(shared, A, 10)
    assert not shared.come(A)
    assert shared.come(B)


def test_what_becomes_an_association_costs_nothing_however_fast(now):
    shared = paced(1)
    for _ in range(1000):
        assert shared.come(A)
        shared.associate(A)
    assert not shared._debts, "an address that owes nothing is not remembered"


def test_who_was_turned_away_owes_nothing_for_it(now):
    shared = paced(1)
    come(shared, A, 1000)
    now[0] += 1.0
    assert shared.come(A)


def test_strangers_addresses_fill_no_memory(now, monkeypatch):
    monkeypatch.setattr(pace, "_ADDRESSES", 5)
    shared = paced(10)
    for number in range(4):
        shared.come(f"198.51.100.{number}")
    now[0] += 1.0
    come(shared, A, 20)
    assert shared.come(B)
    assert set(shared._debts) == {A, B}, "who owes nothing is forgotten first"
    for number in range(50):
        assert shared.come(f"203.0.113.{number}")
        assert len(shared._debts) <= 5


steps = st.lists(st.tuples(st.sampled_from(["come", "associate", "wait"]), st.sampled_from([A, B])), max_size=60)


@given(steps=steps, rate=st.integers(1, 5))
def test_never_more_than_the_burst_and_the_rate(steps, rate):
    clock = [0.0]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pace, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        shared, waiting, fruitless = paced(rate), {A: 0, B: 0}, {A: 0, B: 0}
        for step, address in steps:
            if step == "wait":
                clock[0] += 0.25
            elif step == "come" and shared.come(address):
                waiting[address] += 1
                fruitless[address] += 1
            elif step == "associate" and waiting[address]:
                shared.associate(address)
                waiting[address] -= 1
                fruitless[address] -= 1
            assert fruitless[address] <= rate * BURST_SECONDS + rate * clock[0]


def test_guests_that_never_associate_meet_the_limit_and_others_do_not(now):
    register = Register(1, 10)
    guests = Guests(Limits(max_fruitless_per_second=2), register, 0)
    for _ in range(20):
        assert not guests.come(A)
        assert not guests.associate(A, "PACS")
        guests.go(A, "PACS")
    for _ in range(4):
        assert not guests.come(A)
        guests.go(A, None)
    assert guests.come(A) == "max_fruitless_per_second"
    assert not guests.come(B)
    guests.go(B, None)
    assert guests.gone(0, 0), "who was turned away is not waited for"
    register.close()
