"""Other people's requestors: pynetdicom's always, DCMTK's where it is installed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from peer import MR, NEEDLE, Node
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, RLELossless
from pynetdicom import AE, StoragePresentationContexts, build_role
from pynetdicom.sop_class import Verification

from scp.instance import Arrival
from scp.outcome import Outcome

UID = "1.2.826.0.1.3680043.8.498.6"


def image(size: int = 100, syntax: str = ExplicitVRLittleEndian) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, UID
    dataset.PatientName = NEEDLE.decode()
    dataset.BitsAllocated = 16
    dataset.PixelData = bytes(size)
    dataset["PixelData"].VR = "OW"
    return dataset


def requestor() -> AE:
    entity = AE("MODALITY")
    entity.maximum_pdu_size = 4096
    return entity


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("size", [0, 100, 1_000_000])
def test_pynetdicom_stores(node: Callable[..., Node], syntax: str, size: int) -> None:
    spoken, entity = node(), requestor()
    entity.requested_contexts = StoragePresentationContexts[:127]
    entity.add_requested_context(Verification)
    entity.requested_contexts[0].abstract_syntax = MRImageStorage
    entity.requested_contexts[0].transfer_syntax = [syntax]
    association = entity.associate("127.0.0.1", spoken.address[1], ae_title="CLOAKROOM")
    assert association.is_established
    assert association.send_c_echo().Status == 0
    for _ in range(3):
        assert association.send_c_store(image(size, syntax)).Status == 0
    association.release()
    assert association.is_released
    association.join(10)
    spoken.settle()
    assert len(spoken.taken) == 3
    assert {arrival.sop_instance_uid for arrival in spoken.taken} == {UID}
    assert {arrival.transfer_syntax for arrival in spoken.taken} == {syntax}
    assert all(NEEDLE in arrival.data and len(arrival.data) > size for arrival in spoken.taken)


def test_pynetdicom_hears_the_outcome(node: Callable[..., Node]) -> None:
    outcomes = iter([Outcome.NOT_CONSENTED, Outcome.OUT_OF_RESOURCES, Outcome.STORED])

    def answer(_arrival: Arrival) -> Outcome:
        return next(outcomes)

    spoken, entity = node(answer=answer), requestor()
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", spoken.address[1], ae_title="CLOAKROOM")
    assert [association.send_c_store(image()).Status for _ in range(3)] == [0x0124, 0xA700, 0]
    association.abort()
    association.join(10)
    spoken.settle()
    assert spoken.count("associations_total", result="aborted") == 1


def test_pynetdicom_as_a_provider_of_storage_is_told_no(node: Callable[..., Node]) -> None:
    spoken, entity = node(), requestor()
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    role = build_role(MRImageStorage, scu_role=True, scp_role=True)
    association = entity.associate("127.0.0.1", spoken.address[1], ae_title="CLOAKROOM", ext_neg=[role])
    [context] = association.accepted_contexts
    assert (context.as_scu, context.as_scp) == (True, False)
    association.release()
    association.join(10)


def test_pynetdicom_hears_why_it_is_rejected(node: Callable[..., Node]) -> None:
    spoken, entity = node(), requestor()
    entity.add_requested_context(Verification)
    for _attempt in range(5):  # its reactor may see the end of the connection before it has told of the rejection
        association = entity.associate("127.0.0.1", spoken.address[1], ae_title="SOMEBODY")
        if association.is_rejected:
            break
    assert association.is_rejected
    assert association.acceptor.primitive.reason_str == "Called AE title not recognised"


@pytest.mark.debian
@pytest.mark.parametrize("nagle", [True, False])
def test_dcmtk_stores(node: Callable[..., Node], tmp_path: Path, nagle: bool) -> None:  # noqa: FBT001
    spoken = node()
    for number in range(20):
        image(20_000).save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    environ = dict(os.environ) if nagle else {**os.environ, "TCP_NODELAY": "1"}
    called = ["-aec", "CLOAKROOM", "-aet", "MODALITY", "127.0.0.1", str(spoken.address[1])]
    subprocess.run(["storescu", "+sd", *called, str(tmp_path)], check=True, env=environ)
    spoken.settle()
    assert len(spoken.taken) == 20
    assert {arrival.context_class for arrival in spoken.taken} == {MR}


@pytest.mark.debian
def test_dcmtk_sends_compressed_as_it_is(node: Callable[..., Node]) -> None:
    spoken = node()
    path = get_testdata_file("MR_small_RLE.dcm")
    called = ["-aec", "CLOAKROOM", "-aet", "MODALITY", "127.0.0.1", str(spoken.address[1])]
    subprocess.run(["storescu", "-xr", *called, str(path)], check=True)
    spoken.settle()
    assert [arrival.transfer_syntax for arrival in spoken.taken] == [RLELossless]


@pytest.mark.debian
def test_dcmtk_echoes_and_hears_a_rejection(node: Callable[..., Node]) -> None:
    spoken = node()
    port = str(spoken.address[1])
    subprocess.run(["echoscu", "-aec", "CLOAKROOM", "-aet", "MODALITY", "127.0.0.1", port], check=True)
    heard = subprocess.run(["echoscu", "127.0.0.1", port], check=False, capture_output=True, text=True)
    assert heard.returncode
    assert "Called AE Title Not Recognized" in heard.stderr
