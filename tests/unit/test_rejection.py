"""A rejection is heard as one, even where pynetdicom comes too late to see it."""

import pytest
from factories import mr
from pynetdicom import AE
from pynetdicom.acse import ACSE
from running import wait

from scp.retrieve import probe
from scp.retrieve.probe import VERIFICATION, Peer, ProbeError
from scp.retrieve.rejection import Rejections
from scp.retrieve.send import SendError, send


@pytest.fixture
def port():
    """Of a peer that is called RIGHT."""
    entity = AE(ae_title="RIGHT")
    entity.require_called_aet = True
    entity.add_supported_context(VERIFICATION)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    yield server.socket.getsockname()[1]
    server.shutdown()


@pytest.fixture
def late(monkeypatch):
    """Pynetdicom's user looks for the connection when its reactor has read the rejection and closed it."""
    send_request = ACSE.send_request

    def slow(acse):
        send_request(acse)
        assert acse.socket._ready.wait(10)
        wait(lambda: not acse.socket._is_connected, "the connection is closed")

    monkeypatch.setattr(ACSE, "send_request", slow)


def associate(port, called):
    heard = Rejections()
    entity = AE()
    entity.add_requested_context(VERIFICATION)
    association = entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=[heard.handler])
    if association.is_established:
        association.release()
    return heard, association


def test_a_rejection_says_who_and_why(port):
    heard, _ = associate(port, "WRONG")
    assert [(pdu.result, pdu.source, pdu.reason_diagnostic) for pdu in heard] == [(1, 1, 7)]


def test_what_is_accepted_is_no_rejection(port):
    assert associate(port, "RIGHT")[0] == []
    assert not probe.rejects(Peer("127.0.0.1", port, "RIGHT", "PROBE"))


def test_where_pynetdicom_comes_late_it_says_aborted(port, late):
    heard, association = associate(port, "WRONG")
    assert (len(heard), association.is_rejected, association.is_aborted) == (1, False, True)


def test_and_the_probe_says_rejected(port, late):
    peer = Peer("127.0.0.1", port, "WRONG", "PROBE")
    assert probe.rejects(peer)
    with pytest.raises(ProbeError, match=r"WRONG at 127\.0\.0\.1:[0-9]+ rejects the association"):
        probe.echo(peer)


def test_and_so_does_a_sender(port, late):
    with pytest.raises(SendError, match="rejected the association"):
        send([mr()], host="127.0.0.1", port=port, called="WRONG", calling="PACS")
