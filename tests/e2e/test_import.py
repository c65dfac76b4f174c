"""`cloakroom import`, as an operator runs it: without a node, beside one, again, and with everything that is wrong."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from factories import encode, mr, needles
from media import dicomdir, laid, packed, saved
from niftis import packed as nifti
from niftis import volume
from pydicom.uid import ImplicitVRLittleEndian
from running import Node, wait

from scp import walks
from scp.retrieve.send import send

NAME = "QzDOE^JOHN"  # stands in names of files, and nowhere else


def image(number, **attributes):
    """One of a series."""
    return mr(0, SOPInstanceUID=f"1.2.826.0.1.{number}", InstanceNumber=str(number), **attributes)


def summary(done):
    return json.loads(done.stdout)


@pytest.fixture
def idle(tmp_path):
    """A node that does not run."""
    (tmp_path / "node").mkdir()
    return Node(tmp_path / "node")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / NAME


def test_a_medium_a_zip_and_a_folder_without_a_node(idle, folder):
    laid({"cd/DICOMDIR": dicomdir(("A",), ("LOST",)), "cd/A": saved(image(1)), "cd/B": saved(image(9))}, folder)
    laid({f"plain/{NAME}": encode(image(2)), "plain/text": b"hello"}, folder)
    packed({f"{NAME}/../../x": saved(image(3)), "y": b""}, folder / "z.zip")
    done = idle.command("import", str(folder), "--json", check=False)
    assert done.returncode == 1
    assert summary(done) == {
        "files": 6,
        "results": {"dicomdir": 1, "missing": 1, "stored": 3, "unknown": 2},
        "refused": [{"file": "6", "result": "missing"}],
        "ended_at": None,
    }
    again = idle.command("import", str(folder), "--json", check=False)
    assert summary(again)["results"] == {"dicomdir": 1, "missing": 1, "unchanged": 3, "unknown": 2}
    assert len(idle.instances()) == 3


def test_no_name_of_a_file_and_no_value_is_said_or_kept(idle, folder):
    files = {f"{NAME}{number}": saved(image(number)) for number in range(3)}
    files[f"{NAME}cut"] = saved(image(4))[:-5]
    files[f"{NAME}.zip"] = b"PK\x03\x04 none"
    laid(files, folder)
    done = idle.command("import", str(folder), check=False)
    assert done.returncode == 1
    assert "incomplete" in done.stderr
    assert "unreadable" in done.stderr
    idle.log.write_text(done.stdout + done.stderr)
    kept = b"".join(path.encode() + data for path, data in idle.clear().items() if not path.endswith(".age"))
    assert NAME.encode() not in kept
    assert not [needle for needle in needles() if needle in kept]
    assert {path.name for path in folder.iterdir()} == set(files)


def test_what_is_refused_is_sealed_once_and_said_by_its_position(idle, folder):
    laid({"1": saved(image(1)), "2": saved(image(2))[:-5], "3": saved(image(3, PatientID=None))}, folder)
    done = [idle.command("import", str(folder), "--json", check=False) for _ in range(2)]
    assert [one.returncode for one in done] == [1, 1]
    refused = [{"file": "2", "result": "incomplete"}, {"file": "3", "result": "unidentified"}]
    assert [summary(one)["refused"] for one in done] == [refused, refused]
    sealed = json.loads(idle.command("quarantine", "list", "--json").stdout)
    assert sorted(one["outcome"] for one in sealed) == ["incomplete", "unidentified"]


def test_beside_a_running_node_it_is_published(node, folder):
    laid({str(number): saved(image(number)) for number in range(20)}, folder)
    done = node.command("import", str(folder), "--json", "--calling", "ARCHIVE")
    assert summary(done)["results"] == {"stored": 20}
    files = node.published(20)
    assert len({file.parent for file in files}) == 1
    assert not [needle for needle in (*needles(), NAME.encode()) if any(needle in file.read_bytes() for file in files)]
    assert node.command("verify").returncode == 0


def test_pushed_and_imported_it_is_the_same_instance(node, folder):
    laid({"1": saved(image(1))}, folder)
    assert send([folder / "1"], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3) == [0]
    assert summary(node.command("import", str(folder), "--json"))["results"] == {"unchanged": 1}
    packed({"1": saved(image(1), ImplicitVRLittleEndian)}, folder / "2.zip")
    results = summary(node.command("import", str(folder / "2.zip"), "--json", check=False))["results"]
    assert sum(results.values()) == 1
    assert len(node.instances()) == 1


def test_a_bids_tree_goes_into_the_volumes_tree_and_nobody_is_named(idle, folder):
    whose = b'{"PatientID": "QzDoe77", "PatientName": "QzDoe^John", "EchoTime": 0.01}'
    files = {
        "dataset_description.json": b"{}",
        "sub-QzDoe77/ses-QzBase/anat/sub-QzDoe77_ses-QzBase_T1w.nii.gz": nifti(volume()),
        "sub-QzDoe77/ses-QzBase/anat/sub-QzDoe77_ses-QzBase_T1w.json": whose,
        "sub-QzDoe77/ses-QzBase/dwi/sub-QzDoe77_ses-QzBase_dwi.nii": volume(version=2, order=">"),
        "sub-QzDoe77/ses-QzBase/dwi/sub-QzDoe77_ses-QzBase_dwi.bval": b"0 1000",
        f"{NAME}.nii": volume(),
        "image": saved(image(1, PatientID="QzDoe77")),
    }
    laid(files, folder)
    idle.settings["inbound__issuer"] = str(image(1).IssuerOfPatientID)
    done = idle.command("import", str(folder), "--json", check=False)
    assert summary(done) == {
        "files": 5,
        "results": {"stored": 3, "unidentified": 1, "unknown": 1},
        "refused": [{"file": "1", "result": "unidentified"}],
        "ended_at": None,
    }
    again = idle.command("import", str(folder), "--json", check=False)
    assert summary(again)["results"] == {"unchanged": 3, "unidentified": 1, "unknown": 1}
    made = sorted(path for path in idle.export.glob("NIFTI/*/*/*/*"))
    assert sorted(path.name.partition(".")[2] for path in made) == ["bval", "json", "json", "nii", "nii.gz", "ready"]
    assert len({path.parent for path in made}) == 1
    pseudonyms = {json.loads(path.read_text())["PatientID"] for path in made if path.suffix == ".json"}
    assert pseudonyms == {visit["pseudonym"] for visit in json.loads(idle.command("visit", "list", "--json").stdout)}
    idle.log.write_text(done.stdout + done.stderr)
    kept = b"".join(path.encode() + data for path, data in idle.clear().items() if not path.endswith(".age"))
    assert not [word for word in (b"QzDoe", b"QzBase", b"QzDOE", NAME.encode()) if word in kept]
    sealed = json.loads(idle.command("quarantine", "list", "--json").stdout)
    assert [one["outcome"] for one in sealed] == ["unidentified"]
    assert idle.command("verify").returncode == 0


def test_under_a_new_key_volumes_are_the_same_ones(idle, folder):
    laid({f"sub-Qz{number}_T1w.nii": volume(datatype=kind) for number, kind in enumerate((2, 4, 8))}, folder)
    assert summary(idle.command("import", str(folder), "--json"))["results"] == {"stored": 3}
    before = {path: path.read_bytes() for path in idle.export.rglob("*.nii")}
    idle.command("keys", "rotate")
    assert summary(idle.command("import", str(folder), "--json"))["results"] == {"unchanged": 3}
    laid({"sub-Qz0_bold.nii": volume(datatype=16)}, folder)
    assert summary(idle.command("import", str(folder), "--json"))["results"] == {"stored": 1, "unchanged": 3}
    after = {path: path.read_bytes() for path in idle.export.rglob("*.nii")}
    assert before.items() <= after.items()
    assert len({path.parent for path in after}) == 3


def test_killed_among_volumes_it_goes_on_where_it_was(idle, folder):
    laid({f"sub-Qz{number:03}_T1w.nii": volume(shape=(20, 20, number + 1)) for number in range(60)}, folder)
    command = [sys.executable, "-m", "scp.cli", "import", str(folder)]
    with subprocess.Popen(command, env=idle.environ, cwd=idle.folder, stdout=subprocess.DEVNULL) as running:
        try:
            wait(lambda: len(list(idle.export.rglob("*.nii"))) > 5, "some are placed")
        finally:
            running.kill()
    results = summary(idle.command("import", str(folder), "--json"))["results"]
    assert sum(results.values()) == 60
    assert set(results) <= {"stored", "unchanged"}
    volumes = list(idle.export.rglob("NIFTI/*/*/*/*.nii"))
    assert len(volumes) == 60
    for path in volumes:
        assert path.with_suffix(".json").exists()
        assert (path.parent / ".ready").exists()


def test_a_large_file_streams(idle, folder):
    idle.settings["limits__stream_bytes"] = 300_000
    laid({"1": saved(image(1, PixelData=bytes(range(256)) * 4000))}, folder)
    packed({"1": saved(image(2, PixelData=bytes(range(256)) * 4000))}, folder / "2.zip")
    assert summary(idle.command("import", str(folder), "--json"))["results"] == {"stored": 2}
    assert summary(idle.command("import", str(folder), "--json"))["results"] == {"unchanged": 2}


def test_killed_it_goes_on_where_it_was(idle, folder):
    laid({f"{number:03}": saved(image(number)) for number in range(150)}, folder)
    command = [sys.executable, "-m", "scp.cli", "import", str(folder)]
    with subprocess.Popen(command, env=idle.environ, cwd=idle.folder, stdout=subprocess.DEVNULL) as running:
        try:
            wait(lambda: len(list(idle.export.rglob("*.dcm"))) > 5, "some are stored")
        finally:
            running.kill()
    before = _stored(idle)
    results = summary(idle.command("import", str(folder), "--json"))["results"]
    assert sum(results.values()) == 150
    assert results.get("unchanged", 0) >= before
    assert _stored(idle) == 150
    assert idle.command("verify").returncode == 0


def test_a_full_disk_ends_it_and_nothing_was_taken(idle, folder):
    laid({"1": saved(image(1)), "2": saved(image(2))}, folder)
    idle.settings["min_free_bytes"] = 2**60
    done = idle.command("import", str(folder), "--json", check=False)
    assert done.returncode == 1
    assert summary(done)["results"] == {"out_of_resources": 1}
    assert summary(done)["ended_at"] == "1"
    assert "run it again" in done.stderr


@pytest.mark.parametrize("where", ["export", "."])
def test_what_is_the_nodes_own_is_not_imported(idle, where):
    for path in (idle.state, idle.export):
        path.mkdir(parents=True)
    done = idle.command("import", str(idle.folder / where), check=False)
    assert done.returncode == 2
    assert "must not lie inside each other" in done.stderr
    assert not (idle.state / "index.db").exists()


def test_a_path_that_leads_nowhere_is_refused_in_a_sentence(idle, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    said = {"loop": "Too many levels of symbolic links", "pipe": "neither a file nor a folder", "none": "No such file"}
    for name, why in said.items():
        done = idle.command("import", str(tmp_path / name), check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"cloakroom: what is to be imported cannot be looked into: {why}")
    assert not idle.state.exists()


@pytest.mark.parametrize("title", ["", "A" * 17])
def test_a_title_that_is_none_is_refused(idle, folder, title):
    laid({"1": b""}, folder)
    done = idle.command("import", str(folder), "--calling", title, check=False)
    assert done.returncode == 2
    assert not idle.state.exists()


def test_no_backup_is_put_back_below_an_import(idle, folder, tmp_path):
    laid({"1": saved(image(1))}, folder)
    idle.command("import", str(folder))
    idle.command("db", "backup", str(tmp_path / "backup"))
    with walks.importing(idle.state):
        done = idle.command("db", "restore", str(tmp_path / "backup"), "--replace", check=False)
    assert done.returncode == 2
    assert "an import runs here" in done.stderr
    assert idle.command("db", "restore", str(tmp_path / "backup"), "--replace").returncode == 0
    assert len(idle.instances()) == 1


def test_a_path_that_is_not_there_is_refused_without_its_name(idle, folder):
    done = idle.command("import", str(folder / "lost"), check=False)
    assert done.returncode == 2
    assert NAME not in done.stderr
    assert not (idle.state / "index.db").exists()


def test_names_are_for_a_terminal(idle, folder):
    laid({f"{NAME}\x1b[31m": b"PK\x03\x04"}, folder)
    done = idle.command("import", str(folder), "--names", check=False)
    assert done.returncode == 2
    assert NAME not in done.stderr
    assert NAME in _on_a_terminal(idle, "import", str(folder), "--names")
    assert NAME not in _on_a_terminal(idle, "import", str(folder)).replace(str(folder), "")


def _stored(node):
    return len(node.instances())


def test_a_line_of_the_log_leaves_the_bar_on_the_terminal_whole(idle, folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    laid({str(number): saved(image(number)) for number in range(10)}, folder)
    laid({f"cut {number}": saved(image(100 + number))[:-5] for number in range(10)}, folder)
    rows = _shown(_on_a_terminal(idle, "import", str(folder), "--json"))
    assert sum(row.startswith('{"room": "intake"') and row.endswith("}") for row in rows) == 10, (
        "whole lines of the log"
    )
    assert not [row for row in rows if "\u2501" in row], "nothing is left of a bar"


def _shown(said):
    """The rows of a wide terminal on which this was written."""
    rows, row, column = [[]], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|.", said, re.DOTALL):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            rows += [[]] * (row == len(rows))
        elif part == "\x1b[2K":
            rows[row] = []
        elif part == "\x1b[1A":
            row -= 1
        elif not part.startswith("\x1b"):
            rows[row] += [" "] * (column - len(rows[row]))
            rows[row][column : column + 1] = [part]
            column += 1
    return ["".join(row).rstrip() for row in rows]


def _on_a_terminal(node, *words):
    """All that a command says to a terminal of its own."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "scp.cli", *words]
    running = subprocess.Popen(command, env=node.environ, cwd=node.folder, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65_536):
            said += part
    except OSError:  # the terminal's other end is closed
        pass
    finally:
        os.close(ours)
    running.wait(60)
    assert Path(node.state).exists()
    return said.decode()
