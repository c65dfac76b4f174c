"""A node with a watched folder: what is put there is published, sealed or set aside, and nothing of it is told."""

import json
import os
import signal

import pytest
from factories import mr, needles
from media import laid, packed, saved
from niftis import volume
from running import Node, wait

NAME = "QzDOE^JANE"


def image(number, **attributes):
    return mr(0, SOPInstanceUID=f"1.2.826.0.2.{number}", InstanceNumber=str(number), **attributes)


@pytest.fixture
def node(tmp_path):
    node = Node(tmp_path, inbound__folder=tmp_path / "anonymiser", inbound__settle_seconds=0.2)
    node.start()
    yield node
    node.stop()


def lying(node):
    root = node.folder / "anonymiser"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_everything_put_there_goes_where_it_belongs(node):
    root = node.folder / "anonymiser"
    laid({f"in/{NAME}/1": saved(image(1)), "in/cut": saved(image(2))[:-5], f"in/{NAME}.txt": b"text"}, root)
    packed({"3": saved(image(3)), "4": saved(image(4))}, root / "in/more.zip")
    files = node.published(3)
    expected = [f"done/{NAME}/1", "done/more.zip", f"quarantine/unknown/{NAME}.txt"]
    wait(lambda: lying(node) == expected, "all are put away")
    assert node.metric('cloakroom_instances_total{outcome="stored"}') == 3
    assert node.metric('cloakroom_instances_total{outcome="incomplete"}') == 1
    sealed = json.loads(node.command("quarantine", "list", "--json").stdout)
    assert [one["outcome"] for one in sealed] == ["incomplete"]
    kept = b"".join(path.encode() + data for path, data in node.clear().items() if not path.endswith(".age"))
    assert not [needle for needle in (*needles(), NAME.encode()) if needle in kept]
    assert len({file.parent for file in files}) == 1
    assert node.command("verify").returncode == 0


def test_volumes_are_put_away_with_what_lies_beside_them(node):
    root = node.folder / "anonymiser"
    laid({"in/s/sub-QzDoe77_T1w.nii": volume(), "in/s/sub-QzDoe77_T1w.json": b"{}", "in/scan.nii": volume()}, root)
    done = ["done/s/sub-QzDoe77_T1w.json", "done/s/sub-QzDoe77_T1w.nii"]
    wait(lambda: lying(node) == done, "all are put away")
    assert len(list(node.export.glob("NIFTI/*/*/*/*.nii"))) == 1
    assert node.metric('cloakroom_instances_total{outcome="unidentified"}') == 1
    kept = b"".join(path.encode() + data for path, data in node.clear().items() if not path.endswith(".age"))
    assert b"QzDoe" not in kept


def test_in_the_earlier_folders_nothing_lies_in_the_clear(tmp_path):
    root = tmp_path / "anonymiser"
    settings = {"inbound__folder": root, "inbound__settle_seconds": 0.2, "inbound__layout": "fedehr"}
    node = Node(tmp_path, **settings, export=root / "out")
    node.start()
    try:
        laid({f"in/{NAME}/1": saved(image(1)), f"in/{NAME}.txt": b"text of QzDOE"}, root)
        wait(lambda: len(list(root.glob("out/DICOM/*/*/*/*.dcm"))) == 1, "it is published")
        wait(lambda: not [path for path in (root / "in").rglob("*") if path.is_file()], "all are put away")
        kept = [path for path in root.rglob("*") if path.is_file()]
        assert not [path for path in kept if b"QzDOE" in path.read_bytes() or "QzDOE" in path.name]
        assert [path.parent.name for path in kept if path.suffix == ".age"] == ["unknown"]
    finally:
        assert node.stop() == 0


def test_killed_it_begins_again_and_nothing_is_doubled(node):
    root = node.folder / "anonymiser"
    laid({f"in/{number:03}": saved(image(number)) for number in range(60)}, root)
    wait(lambda: len(list((root / "done").iterdir())) > 3, "some are done")
    os.kill(node.living("inbound")[0], signal.SIGKILL)
    wait(lambda: len(list((root / "done").iterdir())) == 60, "all are done")
    assert len(node.instances()) == 60
    assert lying(node) == [f"done/{number:03}" for number in range(60)]
    assert node.stop() == 0


def test_what_comes_after_a_sighup_goes_by_the_new_recipe(tmp_path):
    recipe, root = tmp_path / "site.dicom", tmp_path / "anonymiser"
    text = "FORMAT dicom\n%labels\nADD id {}\n%header\nREMOVE ALL\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
    recipe.write_text(text.format("first"))
    node = Node(tmp_path, inbound__folder=root, inbound__settle_seconds=0.2, recipe=recipe)
    node.start()
    try:
        laid({"in/1": saved(image(1))}, root)
        wait(lambda: lying(node) == ["done/1"], "the first is done")
        recipe.write_text(text.format("second"))
        os.kill(node.process.pid, signal.SIGHUP)
        wait(lambda: node.log.read_text().count('"recipe_loaded"') == 5, "five processes have read it")
        laid({"in/2": saved(image(2))}, root)
        wait(lambda: lying(node) == ["done/1", "done/2"], "the second is done")
        assert [row["recipe"].partition("@")[0] for row in node.instances()] == ["first", "second"]
    finally:
        assert node.stop() == 0
