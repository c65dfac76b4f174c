"""The walk of a volume with real databases and folders: what stands in the tree, and what is sealed."""

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from niftis import NAME, filled, packed, unpacked, volume
from placing import LABEL, OFFICER, PATH, PEER, SIDECAR, house, leftovers, sealed, sent, stored, tree
from pyrage import decrypt

from scp.instance import Broken, Identity
from scp.outcome import Failure, Outcome
from scp.steward.publish import READY
from scp.store.files import Temporary
from scp.volumes import File, Volume


@pytest.fixture
def walk(tmp_path):
    return house(tmp_path)


def test_two_imports_of_one_visit_leave_no_marker_while_either_has_a_volume_on_its_way(tmp_path, monkeypatch):
    one, other, place = house(tmp_path), house(tmp_path), Temporary.place
    second = threading.Thread(target=other.take, args=(sent(volume(bytes(48)), json=SIDECAR),))
    marked = []

    def slow(file, *words):
        placed = place(file, *words)
        if threading.current_thread() is threading.main_thread() and not second.ident:
            second.start()
            second.join(1.0)  # it would be done by then, marker included
            marked.extend(path for path in tree(one) if path.endswith(READY))
        return placed

    monkeypatch.setattr(Temporary, "place", slow)
    assert one.take(sent(volume(), json=SIDECAR)) is Outcome.STORED
    second.join(60)
    assert marked == []
    assert len(stored(one, ".nii")) == len(stored(one, ".json")) == 2
    assert sum(path.endswith(READY) for path in tree(one)) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from([1, 2]), order=st.sampled_from("<>"), datatype=st.sampled_from([2, 4, 16, 64, 512, 1024]),
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple), extension=st.sampled_from([0, 16, 2048]),
    zipped=st.booleans(), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_voxels_and_affine_are_the_same_and_no_name_is_there(tmp_path_factory, zipped, seed, **kind):
    walk = house(tmp_path_factory.mktemp("house"))
    size = len(volume(**kind)) - len(volume(**kind, voxels=b""))
    voxels = np.random.default_rng(seed).bytes(size)
    data = volume(voxels, **kind)
    assert walk.take(sent(packed(data) if zipped else data, json=SIDECAR)) is Outcome.STORED
    (made,) = stored(walk, ".nii.gz" if zipped else ".nii")
    if zipped:
        assert made[:10] == b"\x1f\x8b\x08" + bytes(6) + b"\x03"
    made = unpacked(made)
    assert made.endswith(voxels)
    reader = nibabel.Nifti1Image if kind["version"] == 1 else nibabel.Nifti2Image
    before, after = reader.from_bytes(volume(voxels, **(kind | {"extension": 0}))), reader.from_bytes(made)
    assert before.affine.tobytes() == after.affine.tobytes()
    assert before.dataobj.get_unscaled().tobytes() == after.dataobj.get_unscaled().tobytes()
    assert before.header.get_slope_inter() == after.header.get_slope_inter()
    assert not after.header.extensions
    everything = b"\n".join(name.encode() + b"\n" + unpacked(text) for name, text in tree(walk).items()).lower()
    for word in (NAME, LABEL.encode(), b"qzname"):
        assert word.lower() not in everything
    assert not leftovers(walk)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    label=st.from_regex(r"Qz[A-Za-z0-9]{4,18}", fullmatch=True),
    places=st.sets(st.sampled_from(["path", "name", "sidecar", "extension", "fields", "table", "behind"]), min_size=1),
    zipped=st.booleans(),
)
def test_no_label_is_left_wherever_it_stood(tmp_path_factory, label, places, zipped):
    walk = house(tmp_path_factory.mktemp("house"))
    raw = label.encode()
    data = bytearray(volume(extension=64 if "extension" in places else 0))
    if "extension" in places:
        data[360:400] = filled(40, raw)
    if "fields" in places:
        data[148:252] = filled(104, raw)
    data += filled(100, raw) if "behind" in places else b""
    fields = {"PatientID": label, "ProtocolName": label, "SeriesDescription": f"T1 {label}", label: label}
    fields |= {"ImageType": ["ORIGINAL", label], "Manufacturer": label} if "sidecar" in places else {}
    table = raw if "table" in places else b"0 1"
    parts = (f"sub-{label}" if "path" in places else "x", f"sub-{label}_T1w.nii" if "name" in places else "y.nii")
    file = packed(bytes(data)) if zipped else bytes(data)
    outcome = walk.take(sent(file, *parts, json=json.dumps(fields).encode(), bval=table))
    assert outcome is (Outcome.MALFORMED if "table" in places else Outcome.STORED)
    kept = b"\n".join(name.encode() + b"\n" + unpacked(text) for name, text in tree(walk).items()).lower()
    assert raw.lower() not in kept
    assert ("t1" in kept.decode("latin-1")) is (outcome is Outcome.STORED)
    index = b"".join(path.read_bytes() for path in walk.export.parent.glob("index.db*"))
    assert raw not in index
    assert raw not in b"".join(path.read_bytes() for path in walk.export.parent.glob("linkage.db*"))


def test_many_at_once_are_each_there_once(walk):
    volumes = [
        sent(volume(datatype=datatype), f"sub-Qz{subject}_T1w.nii") for datatype in (2, 4, 8) for subject in "AB"
    ]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(walk.take, volumes * 3))
    assert set(outcomes) <= {Outcome.STORED, Outcome.UNCHANGED}
    assert outcomes.count(Outcome.STORED) >= len(volumes)
    assert len(stored(walk, ".nii")) == len(stored(walk, ".json")) == walk.volumes.count() == len(volumes)
    assert len(stored(walk, ".ready")) == 2
    assert not leftovers(walk)


def test_a_site_that_names_a_protocol_later_gets_the_other_name_once(walk):
    text = b'{"PatientID": "QzDoe77", "SeriesDescription": "of the house"}'
    first = sent(volume(), json=text)
    walk.volumes.claim("a-name", "123456789012", "S", "NIFTI/x", b"unfinished")
    assert walk.take(first) is Outcome.STORED
    renamed = replace(walk, protocols={"of the house": "T1 HOUSE"})
    assert renamed.take(first) is Outcome.UNCHANGED
    assert walk.index.forget_sources() == 0
    assert renamed.take(first) is Outcome.STORED
    assert b"T1 HOUSE" in b"".join(stored(walk, ".json"))


def test_a_claim_of_the_same_original_under_another_name_is_not_in_the_way(walk):
    old = walk.volumes.claim("old", "123456789012", "S", "NIFTI/old", b"source")
    new = walk.volumes.claim("new", "123456789012", "S", "NIFTI/new", b"source")
    assert (old.path, new.path, old.stored, new.stored) == ("NIFTI/old", "NIFTI/new", False, False)
    walk.volumes.placed(new, 5, {"new.nii": b"digest"})
    assert walk.volumes.knows(b"source")
    again = walk.volumes.claim("new", "123456789012", "S", "NIFTI/elsewhere", b"other")
    assert (again.path, again.stored) == ("NIFTI/new", True)


def test_the_tree_is_as_the_exports(walk):
    data = volume()
    assert walk.take(sent(data, json=SIDECAR, bval=b"0 1000\n", bvec=b"0 1\n0 0\n0 0\n")) is Outcome.STORED
    subject = next(iter(tree(walk))).split("/")[3]
    names = sorted(path.rpartition("/")[2] for path in tree(walk))
    stem = names[1].partition(".")[0]
    assert names == [".ready", f"{stem}.bval", f"{stem}.bvec", f"{stem}.json", f"{stem}.nii"]
    assert stem.startswith(f"{subject}_")
    assert all(path.startswith(f"NIFTI/2026/20261121/{subject}/") for path in tree(walk))
    assert stored(walk, ".bval") == [b"0 1000\n"]
    for path in (walk.export / "NIFTI").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640)


def test_the_patient_is_the_one_that_pushed_instances_have(walk):
    known = walk.linkage.resolve(Identity(LABEL, "", "1.2.3"))
    walk.take(sent(volume(), json=b'{"PatientID": "QzDoe77", "StudyInstanceUID": "1.2.3"}'))
    walk.take(sent(volume(datatype=8), *PATH))
    for text in stored(walk, ".json"):
        assert known.pseudonym.encode() in text
    assert walk.linkage.counts() == (1, 3)  # the study's own visit, and one for each way that volumes came


def test_a_study_of_another_patient_is_sealed(walk):
    walk.linkage.resolve(Identity("somebody else", "", "1.2.3"))
    assert (
        walk.take(sent(volume(), json=b'{"PatientID": "QzDoe77", "StudyInstanceUID": "1.2.3"}')) is Outcome.OTHER_PERSON
    )
    assert len(sealed(walk)) == 2


def test_a_subject_of_another_sex_or_birth_date_is_somebody_else(walk):
    said = {"PatientID": "QzDoe77", "StudyInstanceUID": "1.2.3", "PatientSex": "F", "PatientBirthDate": "1952-11-30"}
    kinds = iter((2, 4, 8, 16))

    def take(**changed):
        return walk.take(sent(volume(datatype=next(kinds)), json=json.dumps(said | changed).encode()))

    assert take() is Outcome.STORED
    assert take(PatientSex="M") is Outcome.OTHER_PERSON
    assert take(PatientBirthDate="19530101") is Outcome.OTHER_PERSON
    assert take(PatientBirthDate="19521130") is Outcome.STORED
    assert len({path.split("/")[3] for path in tree(walk)}) == 1


def test_the_same_again_changes_nothing_however_it_is_packed_and_whatever_the_day(walk):
    data = volume()
    assert walk.take(sent(data, json=SIDECAR)) is Outcome.STORED
    before = tree(walk)
    later = replace(walk, today=lambda: date(2026, 11, 22))
    assert later.take(sent(data, json=SIDECAR)) is Outcome.UNCHANGED
    assert later.take(sent(volume(extension=64), json=SIDECAR)) is Outcome.UNCHANGED
    assert later.take(sent(data, "moved", PATH[-1], json=SIDECAR)) is Outcome.UNCHANGED
    assert tree(walk) == before
    assert walk.volumes.count() == 1
    assert walk.index.forget_sources() == 0
    assert later.take(sent(data, json=SIDECAR)) is Outcome.UNCHANGED
    assert not walk.volumes.knows(b"an older key's")


def test_the_same_voxels_of_another_subject_are_another_volume(walk):
    assert walk.take(sent(volume(), "sub-QzA_T1w.nii")) is Outcome.STORED
    assert walk.take(sent(volume(), "sub-QzB_T1w.nii")) is Outcome.STORED
    assert len(stored(walk, ".nii")) == 2
    assert len({path.split("/")[3] for path in tree(walk)}) == 2


@pytest.mark.parametrize(
    ("data", "parts", "beside", "outcome"),
    [
        (volume(), ("scan.nii",), {}, Outcome.UNIDENTIFIED),
        (volume(), ("sub-1", "sub-2_T1w.nii"), {}, Outcome.MISMATCHED),
        (volume(), PATH, {"json": b"{"}, Outcome.MALFORMED),
        (volume(), PATH, {"json": b" " * 2_000_000}, Outcome.MALFORMED),
        (volume(), PATH, {"bvec": b"John"}, Outcome.MALFORMED),
        (b"", PATH, {}, Outcome.MALFORMED),
        (b"no volume", PATH, {}, Outcome.MALFORMED),
        (volume()[:-1], PATH, {}, Outcome.INCOMPLETE),
        (packed(volume())[:-9], PATH, {}, Outcome.INCOMPLETE),
        (packed(volume())[:-8] + bytes(8), PATH, {}, Outcome.INCOMPLETE),
        (b"\x1f\x8bnone", PATH, {}, Outcome.INCOMPLETE),
        (volume(extension=64)[:400], PATH, {}, Outcome.INCOMPLETE),
        (volume() + bytes(2 << 20), PATH, {}, Outcome.MALFORMED),
        (volume(datatype=128, bitpix=24), PATH, {}, Outcome.PIXELS_WITHHELD),
        (volume(datatype=2, shape=(1000,), voxels=bytes(500) + b"QZDOE77" + bytes(493)), PATH, {}, Outcome.RESIDUAL),
        (volume(), PATH, {"json": b'{"PatientName": "Vi^Jo", "PatientID": "1.2", "ImageType": ["M"]}'}, Outcome.STORED),
        (volume(), PATH, {"json": b'{"ManufacturersModelName": "of QzDoe77"}'}, Outcome.RESIDUAL),
        (volume() + bytes(100), PATH, {}, Outcome.STORED),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_or_parsed_is_sealed_with_all_that_lies_beside_it(walk, data, parts, beside, outcome):
    for _again in range(2):
        found = walk.take(sent(data, *parts, **beside))
        assert found is outcome or found is Outcome.UNCHANGED
    if outcome is Outcome.STORED:
        assert not sealed(walk)
        return
    assert not tree(walk)
    assert not leftovers(walk)
    assert [path.parent.name for path in sealed(walk)] == [outcome.label] * (1 + len(beside))
    opened = [decrypt(path.read_bytes(), [OFFICER]).partition(b"\n") for path in sealed(walk)]
    assert sorted(text for _, _, text in opened) == sorted([data, *beside.values()])
    assert any(parts[-1].encode() in head for head, _, _ in opened)
    assert walk.metrics.instances.labels(outcome.label)._value.get() == 2


def test_with_issuers_of_their_own_cohorts_do_not_meet(walk):
    for issuer in ("A", "B", ""):
        assert replace(walk, issuer=issuer).take(sent(volume())) is Outcome.STORED
    assert walk.linkage.counts()[0] == 3


def test_without_room_nothing_is_kept(walk):
    def full(_size):
        raise Failure(Outcome.OUT_OF_RESOURCES, "full")

    assert replace(walk, room=full).take(sent(volume())) is Outcome.OUT_OF_RESOURCES
    assert not tree(walk)
    assert not sealed(walk)


def test_a_file_that_cannot_be_read_on_leaves_nothing(walk):
    class Reading(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 300:
                raise Broken(OSError("medium"))
            return super().read(min(size, 100))

    data = volume()
    with pytest.raises(Broken):
        walk.take(Volume(PEER, PATH, File(len(data), lambda: Reading(data))))
    assert not tree(walk)
    assert not sealed(walk)
    assert not leftovers(walk)


def test_a_large_volume_is_never_in_memory_whole(walk):
    longest = []

    class Reading(io.BytesIO):
        def read(self, size=-1):
            longest.append(size)
            return super().read(size)

    data = volume(shape=(900, 900), datatype=2)
    assert walk.take(Volume(PEER, PATH, File(len(data), lambda: Reading(data)))) is Outcome.STORED
    assert min(longest) > 0
    assert max(longest) <= 262_144
