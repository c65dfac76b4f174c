"""Files as hospitals hand them over: with and without preamble, packed, and on media with a DICOMDIR."""

import zipfile
from io import BytesIO

from factories import encode, file_meta
from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

DIRECTORY = "1.2.840.10008.1.3.10"


def saved(dataset, transfer_syntax=ExplicitVRLittleEndian, *, preamble=bytes(128) + b"DICM", meta=True):
    """The bytes of a file; without `meta` it begins with its data set."""
    stream = BytesIO()
    if meta:
        write_file_meta_info(stream, file_meta(dataset, transfer_syntax))
    return preamble + stream.getvalue() + encode(dataset, transfer_syntax)


def dicomdir(*file_ids):
    """A DICOMDIR of one image record for each File ID, a tuple of its components."""
    directory = Dataset()
    directory.FileSetID = "MEDIUM"
    directory.DirectoryRecordSequence = [_record(file_id) for file_id in file_ids]
    directory.SOPClassUID, directory.SOPInstanceUID = DIRECTORY, generate_uid()
    head = saved(directory)
    body = Dataset()
    body.FileSetID, body.DirectoryRecordSequence = directory.FileSetID, directory.DirectoryRecordSequence
    return head[: len(head) - len(encode(directory))] + encode(body)


def packed(files, path, compression=zipfile.ZIP_DEFLATED):
    """A ZIP at `path` of these names and bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def laid(files, folder):
    """The same as files below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def _record(file_id):
    record = Dataset()
    record.DirectoryRecordType = "IMAGE"
    record.add(DataElement(0x00041500, "CS", list(file_id), validation_mode=IGNORE))
    return record
