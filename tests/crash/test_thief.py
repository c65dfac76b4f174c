"""A stolen disk in small: `make planted` has ten thousand instances on it."""

import os
import re

import needles
import pytest
import sealed
import thief
from hypothesis import given
from hypothesis import strategies as st
from needles import Needle, Search
from planted import Needles, Person
from pyrage import encrypt, passphrase, x25519

pytestmark = pytest.mark.timeout(300)

FEW = st.binary(min_size=3, max_size=5).map(lambda some: bytes(byte & 3 | 0x60 for byte in some))
MANY = st.binary(max_size=60).map(lambda some: bytes(byte & 3 | byte & 0x20 | 0x40 for byte in some))


def test_no_identifier_is_on_the_device_and_nobody_opens_what_is_sealed(tmp_path):
    said = []
    assert thief.stolen(tmp_path, 240, 2, seed=3, heard=said.append) == []
    assert "2 kills" in said[-3]
    assert "240 sends" in said[-2]
    told = dict(re.findall(r"'([^']+)': (\d+)", said[-3]))
    wrong = sum(int(count) for answer, count in told.items() if answer != "0x0000")
    assert wrong >= 120
    assert len(told) > 5
    assert int(said[-1].split()[0]) > 50


def test_what_stands_on_the_device_is_told(tmp_path, monkeypatch):
    """A needle that the node writes into its log: it is found, in every life."""
    monkeypatch.setattr(thief, "PRIVATE_KEY", b"node_ready")
    wrong = thief.stolen(tmp_path, 24, 1, seed=3, heard=lambda _line: None)
    assert wrong
    assert all("node_ready" in line and "of the device" in line for line in wrong)


def test_half_of_it_goes_wrong_each_in_its_way():
    plans = [thief.planned(number) for number in range(64)]
    assert [bool(plan.wrong) for plan in plans] == [False, True] * 32
    assert {plan.wrong for plan in plans} == {"", *thief.WRONG}
    assert thief.planned(5) == thief.planned(5)
    conflicting = next(number for number, plan in enumerate(plans) if plan.wrong == "conflicting")
    assert plans[conflicting].sent.sop_instance_uid == plans[conflicting - 1].sent.sop_instance_uid
    assert plans[conflicting].sent.data != plans[conflicting - 1].sent.data


def test_each_person_has_needles_in_every_encoding():
    looked_for = {needle.bytes for needle in thief.needles(1)}
    family = Person(thief.FIRST).family.lower()
    assert {family.encode(), family.encode("utf-16-le"), family.encode("utf-16-be")} <= looked_for
    assert len(thief.needles(len(thief.HIDING) + 1)) > 1.5 * len(looked_for)
    assert not any(re.fullmatch(rb"\d{8}", needle) for needle in looked_for)


def test_a_persons_forms_are_what_is_found_of_them():
    asked = Needles(Person(3), frozenset({"person", "uid"}))
    for form, folded in asked.forms():
        assert form in asked.found(b"..." + form + b"...")
        assert bool(asked.found(form.swapcase())) or not folded


@given(st.lists(FEW, min_size=1, max_size=4, unique=True), MANY, st.integers(1, 20))
def test_the_search_finds_what_is_there_and_nothing_else(tmp_path_factory, wanted, data, chunk):
    file = tmp_path_factory.getbasetemp() / "searched"
    file.write_bytes(data)
    for folded in (False, True):
        looked_at = data.lower() if folded else data
        found, size = Search([Needle(needle, folded) for needle in wanted], chunk).file(file)
        assert size == len(data)
        assert found == {needle: looked_at.find(needle) for needle in wanted if needle in looked_at}


def test_what_is_too_short_is_no_needle():
    with pytest.raises(ValueError, match="by chance"):
        Search([Needle(b"ab")])


def test_nothing_is_found_in_nothing(tmp_path):
    (tmp_path / "empty").write_bytes(bytes(1000))
    assert Search([Needle(b"abc")]).file(tmp_path / "empty") == ({}, 1000)
    assert list(Search([Needle(b"abc")]).data(b"ab")) == []


def test_32_bytes_are_the_private_key_that_they_are():
    """Bech32 by hand: its checksum is right, and one key is not another."""
    first, second = sealed.identity(bytes(range(32))), sealed.identity(os.urandom(32))
    assert str(first).startswith("AGE-SECRET-KEY-1")
    assert str(first.to_public()) != str(second.to_public())
    assert sealed._opens(encrypt(b"x", [first.to_public()]), first)
    assert not sealed._opens(encrypt(b"x", [first.to_public()]), second)


def test_a_key_that_opens_is_told(tmp_path):
    """The officer's own key below the service's keys, or a passphrase that lies there."""
    officer = x25519.Identity.generate()
    (tmp_path / "officer.key").write_text(str(officer))
    (tmp_path / "linkage.key").write_text("ab" * 32)
    tried = dict(sealed.held(tmp_path))
    assert set(tried) == {
        "officer.key", "officer.key as a passphrase", "linkage.key as a passphrase", "linkage.key as a private key",
    }  # fmt: skip
    data = encrypt(b"x", [officer.to_public()])
    assert [name for name, identity in tried.items() if sealed._opens(data, identity)] == ["officer.key"]
    data = passphrase.encrypt(b"x", "ab" * 32)
    assert [name for name, identity in tried.items() if sealed._opens(data, identity)] == [
        "linkage.key as a passphrase"
    ]


def test_a_chunk_is_large_enough_for_every_needle():
    assert 100 * max(len(needle.bytes) for needle in thief.needles(1)) < needles._CHUNK
