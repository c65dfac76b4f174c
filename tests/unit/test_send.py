import gc
import socket
import threading
import warnings

import factories
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit
from pynetdicom import AE, evt
from pynetdicom.association import Association

from scp.retrieve.send import SendError, contexts, send

MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"


class Peer:
    """A Storage SCP that keeps what it is told and answers what it is told to."""

    def __init__(self):
        self.received = []
        self.statuses = {}
        self.abort_after = None
        self.entity = AE(ae_title="PEER")
        self.entity.require_called_aet = True
        self.entity.add_supported_context(MR, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])

    def start(self):
        handlers = [(evt.EVT_C_STORE, self.store)]
        self.server = self.entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        return self.server.socket.getsockname()[1]

    def store(self, event):
        if self.abort_after == len(self.received):
            event.assoc.abort()
        self.received.append((event.request.AffectedSOPInstanceUID, event.context.transfer_syntax))
        return self.statuses.get(len(self.received), 0x0000)


@pytest.fixture
def peer():
    peer = Peer()
    port = peer.start()
    peer.port = port
    yield peer
    peer.server.shutdown()


def push(peer, instances, **options):
    return send(instances, **{"host": "127.0.0.1", "port": peer.port, "called": "PEER", "calling": "TEST", **options})


def test_statuses_come_in_order_and_progress_is_told(peer):
    peer.statuses = {2: 0xA700}
    told = []
    images = [factories.mr(seed) for seed in range(3)]
    assert push(peer, images, progress=lambda done, of: told.append((done, of))) == [0x0000, 0xA700, 0x0000]
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [uid for uid, _ in peer.received] == [image.SOPInstanceUID for image in images]


def test_files_are_sent_in_their_own_transfer_syntax(peer, tmp_path):
    paths = []
    for seed, syntax in enumerate((ExplicitVRLittleEndian, ImplicitVRLittleEndian)):
        image = factories.mr(seed)
        image.file_meta = factories.file_meta(image, syntax)
        paths.append(tmp_path / f"{seed}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    assert push(peer, paths) == [0, 0]
    assert [syntax for _, syntax in peer.received] == [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


def test_the_association_is_released(peer):
    ended = threading.Event()
    peer.server.bind(evt.EVT_RELEASED, lambda _event: ended.set())
    push(peer, [factories.mr()])
    assert ended.wait(10)


def test_a_peer_that_knows_another_title_rejects(peer):
    with pytest.raises(SendError, match=r"OTHER at 127\.0\.0\.1:\d+ rejected the association"):
        push(peer, [factories.mr()], called="OTHER")


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pynetdicom leaves the socket to the collector
        with pytest.raises(SendError, match="cannot be reached"):
            send([factories.mr()], host="127.0.0.1", port=port, called="PEER", calling="TEST")
        gc.collect()


def test_a_context_not_accepted_stops_it(peer):
    with pytest.raises(SendError, match="no presentation context accepted for instance 2 of 2"):
        push(peer, [factories.mr(), factories.ct()])
    assert len(peer.received) == 1


def test_an_association_that_ends_stops_it(peer):
    peer.abort_after = 1
    with pytest.raises(SendError, match="ended after 1 of 3"):
        push(peer, [factories.mr(seed) for seed in range(3)])


def test_an_error_names_no_patient(peer):
    peer.abort_after = 0
    with pytest.raises(SendError) as caught:
        push(peer, [factories.mr()])
    assert all(needle.decode() not in str(caught.value) for needle in factories.needles())


def test_each_kind_of_instance_is_proposed_once():
    images = [factories.mr(1), factories.ct(1), factories.mr(2), factories.ct(2)]
    compressed = factories.mr(3)
    compressed.file_meta = factories.file_meta(compressed, JPEGBaseline8Bit)
    proposed = [
        (str(one.abstract_syntax), list(map(str, one.transfer_syntax))) for one in contexts([*images, compressed])
    ]
    assert proposed == [
        (MR, [ExplicitVRLittleEndian]),
        (CT, [ExplicitVRLittleEndian]),
        (MR, [JPEGBaseline8Bit]),
    ]


def test_more_kinds_than_an_association_has_room_for():
    images = []
    for number in range(129):
        image = factories.mr()
        image.SOPClassUID = f"1.2.3.{number}"
        images.append(image)
    assert len(contexts(images[:128])) == 128
    with pytest.raises(ValueError, match="129"):
        contexts(images)


def test_what_was_not_answered_is_sent_again(peer, monkeypatch):
    real, calls = Association.send_c_store, []

    def losing(self, dataset, **options):
        calls.append(dataset.SOPInstanceUID)
        answer = real(self, dataset, **options)
        if len(calls) == 2:
            self.abort()
            return Dataset()
        return answer

    monkeypatch.setattr(Association, "send_c_store", losing)
    instances = [factories.mr(number) for number in range(3)]
    assert push(peer, instances, attempts=2) == [0, 0, 0]
    assert calls == [instances[number].SOPInstanceUID for number in (0, 1, 1, 2)]


def test_attempts_come_to_an_end(peer, monkeypatch):
    monkeypatch.setattr(Association, "send_c_store", lambda _self, _dataset: Dataset())
    with pytest.raises(SendError, match="the association ended after 0 of 1"):
        push(peer, [factories.mr()], attempts=3)
