"""The walk of volumes with real databases and folders, and what stands there afterwards."""

import io
from datetime import date

from doubles import metrics
from pyrage import x25519

from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.db.volumes import Volumes
from scp.instance import Peer
from scp.store.quarantine import Quarantine
from scp.store.staging import Staging
from scp.volumes import File, Volume, Walk

OFFICER = x25519.Identity.generate()
PEER = Peer("IMPORT", "CLOAKROOM", "127.0.0.1")
DAY = date(2026, 11, 21)
LABEL = "QzDoe77"
PATH = (f"sub-{LABEL}", "anat", f"sub-{LABEL}_T1w.nii")
SIDECAR = b'{"PatientID": "QzDoe77", "PatientName": "Qzname^John", "EchoTime": 0.01, "Modality": "MR"}'


def house(folder):
    linkage, index = Linkage(folder / "linkage.db", bytes(range(32))), Index(folder / "index.db")
    index.open(linkage.open())
    staging, quarantine = Staging(folder / "export"), Quarantine(folder / "quarantine", str(OFFICER.to_public()))
    staging.prepare()
    quarantine.prepare()
    return Walk(
        folder / "export", linkage, index, Volumes(folder / "index.db"), staging, quarantine, metrics(),
        room=lambda _size: None, most=1 << 20, today=lambda: DAY,
    )  # fmt: skip


def file(data):
    return File(len(data), lambda: io.BytesIO(data))


def sent(data, *parts, **beside):
    return Volume(PEER, parts or PATH, file(data), {f".{suffix}": file(text) for suffix, text in beside.items()})


def tree(walk):
    root = walk.export
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("NIFTI/**/*")) if path.is_file()
    }


def stored(walk, suffix):
    return [data for path, data in tree(walk).items() if path.endswith(suffix)]


def sealed(walk):
    return sorted(walk.quarantine.root.rglob("*.age"))


def leftovers(walk):
    return [path for path in walk.staging.root.rglob("*") if path.is_file()]
