"""The BIDS dataset in the export root: sessions come by one rename, tables are written anew from what is there."""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scp import __version__
from scp.exports.removal import Aside
from scp.exports.visit import Surroundings
from scp.steward.publish import OWN
from scp.store import held
from scp.store.exchange import show
from scp.store.files import FILE_MODE, FOLDER_MODE, make_folder, sync_folder

VERSION = "1.10.0"
NOT_KNOWN = "n/a"

DESCRIPTION: Mapping[str, object] = {
    "Name": "De-identified visits",
    "BIDSVersion": VERSION,
    "DatasetType": "raw",
    "GeneratedBy": [{"Name": "Cloakroom", "Version": __version__}],
}
README = """\
De-identified visits, as a Cloakroom node published them.

A subject's label is the pseudonym that stands as PatientID in the DICOM tree, a session's label is the visit number
that stands there as StudyID. Both are random: nothing about a person follows from them. A visit to which more images
came is made again under its label, so a session can change. dataset_description.json, this file and the descriptions
of the tables are written once and may be edited; participants.tsv and the tables of sessions are written anew.
"""
SEXES = {"M": "male", "F": "female"}
PARTICIPANTS: Mapping[str, object] = {
    "participant_id": {"Description": "The subject's pseudonym, the same in all of its visits."},
    "sex": {"Description": "PatientSex.", "Levels": SEXES},
}
SESSIONS: Mapping[str, object] = {
    "session_id": {"Description": "The visit's number."},
    "age": {"Description": "PatientAge at the visit, in whole years.", "Units": "year"},
}
_AGE = re.compile(r"([0-9]{1,3})([DWMY])")
_IN_A_YEAR = {"D": 365, "W": 52, "M": 12, "Y": 1}


@dataclass(frozen=True, slots=True)
class Dataset:
    """The folder BIDS/; `work` is a folder on the same disk, `group` whom it is for. Everything raises OSError."""

    root: Path
    work: Path
    group: int

    def put(self, session: Path, subject: str) -> None:
        """Show a finished folder `ses-<label>` as the subject's, in the place of what stood there under its name."""
        self._found()
        settle(session, self.group)
        with held.waiting(self.root):  # retention takes others' sessions away meanwhile
            self._put(session, subject)

    def _put(self, session: Path, subject: str) -> None:
        home = self.root / f"sub-{subject}"
        if home.exists():
            show(session, home / session.name)
            sync_folder(home)
        else:  # a subject never appears without a session
            shell = self.work / home.name
            make_folder(shell)
            session.rename(shell / session.name)
            settle(shell, self.group)
            shell.rename(home)
            sync_folder(self.root)
        self.renew(home.name)

    def drop(self, session: str, subject: str) -> None:
        """Take a session away, of which nothing is left to show, and with the last one its subject."""
        if self.root.exists():
            with held.waiting(self.root):
                self._drop(session, subject)

    def _drop(self, session: str, subject: str) -> None:
        home = self.root / f"sub-{subject}"
        if not (home / session).exists():
            return
        self._aside(home if list(_sessions(home)) == [home / session] else home / session)
        self.renew(home.name)

    def forget(self, session: str) -> None:
        """Take a session away from whoever has it; tables that still name it after a crash are put right."""
        if not self.root.exists():
            return
        homes = [folder.parent for folder in sorted(self.root.glob(f"sub-*/{session}"))]
        for home in homes:
            self.drop(session, home.name.removeprefix("sub-"))
        with held.waiting(self.root):
            for left in (*self.work.glob("ses-*.old"), *self.work.glob("sub-*.old")):
                shutil.rmtree(left, ignore_errors=True)  # the exporter's may go just now
            if homes:
                return
            for table in sorted(self.root.glob("sub-*/sub-*_sessions.tsv")):
                if session.encode() in table.read_bytes():
                    self.renew(table.parent.name)
            for subject in [name for name in _rows(self.root / "participants.tsv") if not (self.root / name).exists()]:
                self.renew(subject)

    def renew(self, subject: str) -> None:
        """Write the subject's table of sessions and the table of participants anew, from what is there."""
        home = self.root / subject
        if home.exists():
            rows = [[folder.name, _years(_said(folder, "PatientAge"))] for folder in _sessions(home)]
            self._write(home / f"{subject}_sessions.tsv", _table(SESSIONS, rows))
        self._write(self.root / "participants.tsv", _table(PARTICIPANTS, self._participants(subject)))

    def _participants(self, changed: str) -> Iterator[list[str]]:
        """A row of each subject; of those that did not change as it was, so that the cost is not that of all files."""
        known = _rows(self.root / "participants.tsv")
        for home in sorted(self.root.glob("sub-*")):
            if home.name == changed or home.name not in known:
                folders = list(_sessions(home))
                if folders:
                    sex = _said(folders[0], "PatientSex")
                    yield [home.name, sex if sex in SEXES else NOT_KNOWN]
            else:
                yield known[home.name]

    def _found(self) -> None:
        """What a dataset needs at its top, where it is missing: a site may have written its own."""
        if not self.root.exists():
            make_folder(self.root)
            settle(self.root, self.group)
            sync_folder(self.root.parent)
        for name, content in (
            ("dataset_description.json", _json(DESCRIPTION)),
            ("README", README),
            ("participants.json", _json(PARTICIPANTS)),
            ("sessions.json", _json(SESSIONS)),
        ):
            if not (self.root / name).exists():
                self._write(self.root / name, content)

    def _write(self, path: Path, content: str) -> None:
        """A whole file by one rename; half of one is only ever seen in the work folder."""
        beside = self.work / path.name
        beside.write_text(content, "utf-8")
        settle(beside, self.group)
        beside.replace(path)
        sync_folder(path.parent)

    def _aside(self, folder: Path) -> None:
        """Into the work folder by one rename, so that nobody sees it half; it goes with that."""
        if folder.exists():
            old = self.work / f"{folder.name}.old"
            shutil.rmtree(old, ignore_errors=True)  # left by a kill
            folder.rename(old)
            sync_folder(folder.parent)


def forget(scan_research_id: str, where: Surroundings, _aside: Aside) -> None:
    """Take a visit's session out of the dataset; with a subject's last one the subject. Raises OSError."""
    make_folder(where.work)
    Dataset(where.root / "BIDS", where.work, where.group).forget(f"ses-{scan_research_id}")


def settle(path: Path, group: int) -> None:
    """Make a file or folder and all in it durable, closed to the world and the group's; raises OSError."""
    for inner in sorted(path.iterdir()) if path.is_dir() else ():
        settle(inner, group)
    path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
    if group != OWN:
        os.chown(path, OWN, group)
    sync_folder(path) if path.is_dir() else _sync_file(path)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sessions(home: Path) -> Iterator[Path]:
    return iter(sorted(home.glob("ses-*")))


def _said(session: Path, keyword: str) -> str:
    """What the first sidecar of a session that says it says; one that somebody spoilt says nothing."""
    for sidecar in sorted(session.rglob("*.json")):
        try:
            said = json.loads(sidecar.read_text("utf-8"))
        except ValueError:
            continue
        if isinstance(said, dict) and (value := said.get(keyword)):
            return str(value)
    return ""


def _years(age: str) -> str:
    """Whole years of PatientAge (PS3.5 6.2, AS)."""
    found = _AGE.fullmatch(age)
    return str(int(found[1]) // _IN_A_YEAR[found[2]]) if found else NOT_KNOWN


def _rows(path: Path) -> dict[str, list[str]]:
    """The rows of a table as it stands, by their first column; none of another shape."""
    text = path.read_text("utf-8", "replace") if path.exists() else ""
    header, *rows = [line.split("\t") for line in text.splitlines()] or [[]]
    return {row[0]: row for row in rows if header == list(PARTICIPANTS) and len(row) == len(header)}


def _table(columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in ([*columns], *rows))


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, indent=1) + "\n"
