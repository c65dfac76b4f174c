"""Re-sends in random order, three in ten cut off: in small here, `resend.py` has them by the hundred thousand."""

import random

import pytest
import resend
from house import instance

pytestmark = pytest.mark.timeout(300)


def test_a_send_is_an_association_with_one_instance():
    said = resend.spoken(3)
    assert said[:1] == b"\1"
    assert instance(3).sop_instance_uid.encode() in said
    assert resend.spoken(3) == said != resend.spoken(4)


def test_a_status_is_found_where_there_is_one():
    assert resend.status(b"xx\x00\x00\x00\x09\x02\x00\x00\x00\x00\xa7") == 0xA700
    assert resend.status(b"nothing yet") is None


def test_each_instance_is_there_once_and_nothing_leaks(tmp_path):
    said = []
    assert resend.resent(tmp_path, 600, seed=random.Random(4).randrange(9), heard=said.append) == []  # noqa: S311
    assert "'cut': " in said[-1]
    assert "'0x0000': " in said[-1]
    assert "'0xC001': " in said[-1]
