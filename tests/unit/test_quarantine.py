import json
import os

import pytest
from pyrage import DecryptError, decrypt, x25519

from scp.instance import Arrival, Peer
from scp.outcome import Failure, Outcome
from scp.store import files
from scp.store.quarantine import Quarantine

OFFICER = x25519.Identity.generate()
FAILURE = Failure(Outcome.INCOMPLETE, "the data set ends in (0010,0010)")
DATA = b"PLANTED^NAME and pixels"


@pytest.fixture
def quarantine(tmp_path):
    quarantine = Quarantine(tmp_path / "quarantine", str(OFFICER.to_public()))
    quarantine.prepare()
    return quarantine


def arrival():
    return Arrival(
        peer=Peer("PLANTED-PACS", "CLOAKROOM", "192.0.2.7"),
        context_class="1.2.3",
        sop_class_uid="1.2.3",
        sop_instance_uid="1.2.3.77",
        transfer_syntax="1.2.840.10008.1.2.1",
        data=DATA,
    )


def test_the_officer_reads_it_back_whole(quarantine):
    entry = quarantine.seal(arrival(), FAILURE, (DATA,))
    opened = decrypt((quarantine.root / "incomplete" / f"{entry}.age").read_bytes(), [OFFICER])
    head, _, data = opened.partition(b"\n")
    assert data == DATA
    assert json.loads(head)["why"] == FAILURE.why
    assert json.loads(head)["sop_instance_uid"] == "1.2.3.77"


def test_nobody_else_does(quarantine):
    entry = quarantine.seal(arrival(), FAILURE, (bytearray(DATA),))
    sealed = (quarantine.root / "incomplete" / f"{entry}.age").read_bytes()
    for word in (b"PLANTED", b"1.2.3.77", b"192.0.2.7", b"pixels"):
        assert word not in sealed
    with pytest.raises(DecryptError):
        decrypt(sealed, [x25519.Identity.generate()])


def test_names_tell_nothing(quarantine):
    first, second = (quarantine.seal(arrival(), FAILURE, (DATA,)) for _ in range(2))
    assert first != second
    names = [name for _, folders, found in os.walk(quarantine.root) for name in folders + found]
    assert sorted(names) == sorted(["incomplete", f"{first}.age", f"{second}.age"])


def test_forget_takes_one_away(quarantine):
    first, second = (quarantine.seal(arrival(), FAILURE, (DATA,)) for _ in range(2))
    quarantine.forget("incomplete", first)
    quarantine.forget("incomplete", first)
    assert [path.stem for path in (quarantine.root / "incomplete").iterdir()] == [second]


def test_prepare_removes_what_was_half_written(quarantine):
    entry = quarantine.seal(arrival(), FAILURE, (DATA,))
    (quarantine.root / "incomplete" / f"{files.TEMPORARY}1-1").write_bytes(b"half")
    quarantine.prepare()
    assert [path.stem for path in (quarantine.root / "incomplete").iterdir()] == [entry]


def test_a_disk_that_refuses_is_a_failure(quarantine, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "writev", full)
    with pytest.raises(Failure) as caught:
        quarantine.seal(arrival(), FAILURE, (DATA,))
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    assert list((quarantine.root / "incomplete").iterdir()) == []


def test_the_name_that_a_file_came_with_is_inside_the_seal(quarantine):
    failure = Failure(Outcome.MALFORMED, "why")
    named = quarantine.seal(arrival(), failure, [b"bytes"], "QzDoe/scan.nii")
    plain = quarantine.seal(arrival(), failure, [b"bytes"])
    quarantine.put("unknown", "0123", {"name": "QzDoe"}, [b"by", b"tes"])
    sealed = {path.stem: path.read_bytes() for path in quarantine.root.rglob("*.age")}
    assert set(sealed) == {named, plain, "0123"}
    assert b"QzDoe" not in b"".join(sealed.values())
    heads = {name: decrypt(data, [OFFICER]).partition(b"\n") for name, data in sealed.items()}
    assert json.loads(heads[named][0])["name"] == "QzDoe/scan.nii"
    assert "name" not in json.loads(heads[plain][0])
    assert json.loads(heads["0123"][0]) == {"name": "QzDoe"}
    assert {body for _, _, body in heads.values()} == {b"bytes"}
