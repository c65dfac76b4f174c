import hmac
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import AlreadyFinalized
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from scp.db.fingerprint import Fingerprint, Whole

BULK, KEY = bytes(range(32)), bytes(range(32, 64))


def of(*pieces, bulk=BULK, key=KEY):
    fingerprint = Fingerprint(bulk, key)
    for piece in pieces:
        fingerprint.update(piece)
    return fingerprint.digest()


@given(st.lists(st.binary(max_size=100)))
def test_it_does_not_matter_in_which_pieces_bytes_come(pieces):
    whole = b"".join(pieces)
    assert of(*pieces) == of(whole) == of(bytearray(whole)) == of(memoryview(whole))


@given(st.binary(max_size=200))
def test_it_is_the_hmac_of_the_tag_that_another_implementation_makes(data):
    tag = AESGCM(BULK).encrypt(bytes(12), b"", data)
    assert of(data) == hmac.digest(KEY, tag, "sha256")
    assert tag not in of(data)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_one_bit_makes_another_one(data, draw):
    changed = bytearray(data)
    changed[draw.draw(st.integers(0, len(data) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    assert of(data) != of(changed)


@given(st.binary(max_size=64), st.integers(1, 40))
def test_zeros_behind_the_bytes_count(data, zeros):
    assert of(data) != of(data + bytes(zeros))


def test_both_keys_count():
    found = {of(b"data"), of(b"data", bulk=KEY), of(b"data", key=BULK), of(b"data", bulk=KEY, key=BULK)}
    assert len(found) == 4
    assert {len(each) for each in found} == {32}


def test_it_is_asked_as_often_as_one_likes_and_then_takes_nothing_more():
    fingerprint = Fingerprint(BULK, KEY)
    fingerprint.update(b"data")
    assert fingerprint.digest() == fingerprint.digest() == of(b"data")
    with pytest.raises(AlreadyFinalized):
        fingerprint.update(b"more")


@given(st.binary(max_size=200))
def test_of_bytes_that_are_all_there_it_is_the_same(data):
    whole = Whole(BULK, KEY)
    assert whole(data) == whole(bytearray(data)) == whole(memoryview(data)) == of(data)


def test_more_than_is_taken_at_once_goes_piece_by_piece(monkeypatch):
    monkeypatch.setattr("scp.db.fingerprint._MOST", 10)
    whole = Whole(BULK, KEY)
    whole._mac = None  # nothing is asked of it
    assert whole(b"eleven byte") == of(b"eleven byte")


def test_threads_do_not_meet_in_it():
    whole = Whole(BULK, KEY)
    data = [bytes([number]) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(whole, data * 20))
    assert found == [of(each) for each in data] * 20
