"""`cloakroom verify` and volumes that came as files: each file there, whole, and nothing that nobody knows."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from niftis import volume
from placing import SIDECAR, house, sent

from scp.outcome import Outcome
from scp.verify import Audit

SENT = sent(volume(), json=SIDECAR, bval=b"0\n")


@pytest.fixture
def walk(tmp_path):
    walk = house(tmp_path)
    assert walk.take(SENT) is Outcome.STORED
    return walk


def found(walk, **settings_):
    report = Audit(walk.export, walk.quarantine.root, walk.index, **settings_).run()
    return [(finding.kind.label, finding.where) for finding in report.findings]


def files(walk):
    return sorted(path for path in walk.export.glob("NIFTI/*/*/*/*") if path.name != ".ready")


def at(walk, path):
    return str(path.relative_to(walk.export))


def test_what_was_imported_is_in_order(walk):
    assert len(files(walk)) == 3
    assert found(walk) == []
    assert walk.take(SENT) is Outcome.UNCHANGED
    assert found(walk, digests=False) == []


@pytest.mark.parametrize("which", range(3))
def test_a_changed_file_is_found_by_its_digest_alone(walk, which):
    path = files(walk)[which]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert found(walk) == [("altered", at(walk, path))]
    assert found(walk, digests=False) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, 2)), st.sets(st.integers(0, 2)), st.booleans())
def test_each_thing_that_is_wrong_is_told_once(tmp_path_factory, missing, altered, stray):
    walk = house(tmp_path_factory.mktemp("house"))
    walk.take(SENT)
    wanted = []
    for number, path in enumerate(files(walk)):
        if number in missing:
            path.unlink()
            wanted.append(("missing", at(walk, path)))
        elif number in altered:
            path.write_bytes(path.read_bytes() + b"\0")
            wanted.append(("altered", at(walk, path)))
    if stray:
        path = walk.export.glob("NIFTI/*/*/*").__next__() / "sub-x.nii"
        path.write_bytes(b"")
        wanted.append(("stray", at(walk, path)))
    assert sorted(found(walk)) == sorted(wanted)


def test_a_folder_that_is_gone_lacks_each_file(walk):
    names, folder = [at(walk, path) for path in files(walk)], at(walk, files(walk)[0].parent)
    shutil.rmtree(walk.export / "NIFTI")
    wanted = [*(("missing", name) for name in names), ("unmarked", folder)]
    assert found(walk) == found(walk, digests=False) == wanted


def test_a_marker_that_is_gone_is_told(walk):
    folder = files(walk)[0].parent
    (folder / ".ready").unlink()
    assert found(walk) == [("unmarked", at(walk, folder))]


def test_what_cannot_be_read_is_told(walk):
    path = files(walk)[0]
    path.unlink()
    path.mkdir()
    assert found(walk) == [("unreadable", at(walk, path))]


def test_strays_stand_out_at_every_level(walk):
    (walk.export / "NIFTI" / "notes.txt").write_text("")
    folder = files(walk)[0].parent
    copy = folder.parent / files(walk)[0].name
    shutil.copy(files(walk)[0], copy)
    (folder.parent / "123456789012").mkdir()
    (folder / ".tmp-1-1").write_text("")
    assert sorted(found(walk)) == [
        ("doubled", at(walk, copy)),
        ("stray", at(walk, folder.parent / "123456789012")),
        ("stray", "NIFTI/notes.txt"),
        ("temporary", at(walk, folder / ".tmp-1-1")),
    ]


def test_what_is_exported_is_no_stray_and_what_an_import_goes_on_with_neither(walk):
    folder = files(walk)[0].parent
    engine = walk.volumes._engine
    with engine.write():
        for statement in (
            "INSERT INTO visit (scan_research_id, pseudonym, created_at) VALUES ('123456789012', 'S', 0)",
            "INSERT INTO delivery VALUES ('123456789012', 1, 'published', NULL, 0, 0, 0, NULL)",
            "INSERT INTO export VALUES ('nifti', '123456789012', 1, 'done', 1, '', 0, 0)",
        ):
            engine._database().execute(statement)
    (folder.parent / "123456789012").mkdir()
    place = walk.volumes.claim("begun", folder.name, "S", at(walk, folder), b"source")
    (folder / "begun.nii").write_bytes(b"half")
    (folder / ".ready").unlink()
    told = found(walk)
    assert not place.stored
    assert not [where for _, where in told if where.startswith("NIFTI")]


def test_a_running_node_is_looked_at_twice(walk):
    path = files(walk)[0]
    path.unlink()
    assert found(walk, running=True) == [("missing", at(walk, path))]
