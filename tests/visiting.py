"""De-identified visits of real files without a node: index, staging folder, and a steward with a clock of its own."""

from datetime import date
from io import BytesIO

from doubles import VISIT, clean, metrics
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from scp.config import Config
from scp.db.index import Index
from scp.layouts import LAYOUTS
from scp.layouts.names import file_name
from scp.state import State
from scp.steward.manifest import Manifests
from scp.steward.publish import Publisher
from scp.steward.steward import Steward
from scp.store import files
from scp.store.staging import Staging

PSEUDONYM = "SAAAAAAAAAAAAAAAA"


def header(number=1, visit=VISIT, **attributes):
    """A T1 slice as the recipe leaves it; `attributes` by keyword go over it, None takes one away, "" empties it."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, f"2.25.{visit}{number}"
    dataset.ImageType, dataset.Modality = ["ORIGINAL", "PRIMARY", "M"], "MR"
    dataset.AcquisitionDate = dataset.SeriesDate = "20250901"
    dataset.PatientID, dataset.StudyID = PSEUDONYM, visit
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19520101", "F", "072Y"
    dataset.SeriesDescription, dataset.SeriesNumber, dataset.InstanceNumber = "T1 MPRAGE", "1", str(number)
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "2.25.7", "2.25.6"
    dataset.ImagePositionPatient = ["-10", "-20", str(number)]
    dataset.ImageOrientationPatient, dataset.SliceLocation = ["1", "0", "0", "0", "1", "0"], str(number)
    dataset.PixelSpacing, dataset.SliceThickness = ["1", "1"], "1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.Rows, dataset.Columns = 1, "MONOCHROME2", 4, 4
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.add_new("PixelData", "OW", bytes([number % 256, 0] * 16))
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        elif value == "":
            setattr(dataset, keyword, None)
        else:
            setattr(dataset, keyword, value)
    return dataset


def encoded(dataset):
    """The file of a data set, as it is published."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def image(number=1, visit=VISIT, calling="PACS", **attributes):
    """A de-identified instance that holds such a slice."""
    return clean(number, visit=visit, body=encoded(header(number, visit, **attributes)), calling=calling)


class House:
    """Index, staging, publisher and steward in one folder; `now` is the time everywhere, `today` the day."""

    def __init__(self, folder, monkeypatch, **settings):
        self.now, self.today = 1000.0, date(2031, 2, 3)
        monkeypatch.setattr("scp.db.index.time.time", lambda: self.now)
        values = {"visit_quiet_seconds": 60.0, "gates": {"slices": "pass"}, **settings}
        self.config = Config(state=folder / "state", export=folder / "export", **values)
        self.config.state.mkdir(exist_ok=True)
        self.index = Index(self.config.index_path)
        self.index.open("node")
        self.staging = Staging(self.config.export)
        if not self.staging.root.exists():  # a second process must not take the first one's temporaries away
            self.staging.prepare()
        self.publisher = Publisher(
            self.config.export,
            self.staging,
            self.index,
            LAYOUTS[self.config.layout],
            Manifests(self.config.manifests),
            today=lambda: self.today,
        )
        self.metrics = metrics()
        self.steward = Steward(self.index, self.publisher, self.metrics, self.config, now=lambda: self.now)

    def store(self, *instances):
        """What the walk does behind de-identification; returns the delivery of the last one."""
        for instance in instances:
            recorded = None
            while recorded is None:
                delivery, name = self.index.open_delivery(instance), file_name(instance)
                with self.staging.adding(delivery.folder) as folder:
                    if self.index.is_receiving(delivery, instance.moves):
                        files.place(folder, name, instance.parts, instance.digest)
                        recorded = self.index.record(instance, None, name, delivery)
                if recorded is None:
                    self.staging.leave(delivery.folder)
        return recorded.delivery

    def later(self, seconds=60.0):
        """So much time goes by, and the steward goes round; how many deliveries it published."""
        self.now += seconds
        return self.steward.round()

    def state(self, delivery):
        return State[self.index.state(delivery).upper()]

    def history(self, visit=VISIT):
        """Each state the visit's deliveries came into, in order."""
        return [(row["number"], row["state"]) for row in self.index.listing("visit_states", scan_research_id=visit)]

    def why(self, visit=VISIT):
        return self.index.listing("visit_states", scan_research_id=visit)[-1]["why"]

    def published(self):
        """Every file of the export tree, relative to its root."""
        root = self.config.export
        return sorted(str(path.relative_to(root)) for path in (root / "DICOM").rglob("*") if path.is_file())


def approve(index, delivery):
    """Bring a delivery to where it may be published, without asking anybody."""
    for state in (State.QUIET, State.CHECKED, State.APPROVED):
        entry = next(entry for entry in index.of_visit(delivery.scan_research_id) if entry.delivery == delivery)
        assert index.enter(entry, state, "test")
