"""Real processes: what dies is started again, what is told to stop drains, and nothing is left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from dialogues.peer import associate
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from scp.receive.supervisor import bind

SCRIPT = Path(__file__).with_name("supervised.py")
ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
ACCEPTED, REJECTED_TRANSIENT = (2, 0), (3, 2)


class Supervised:
    """The script in its own process, and what it shows."""

    def __init__(self, folder: Path, workers: int, **environ: str) -> None:
        self.folder = folder
        with (folder / "log").open("w") as written:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(folder), str(workers)],
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.wait_for("READY")

    def board(self) -> str:
        with suppress(FileNotFoundError):
            return (self.folder / "board").read_text()
        return ""

    def pids(self) -> dict[str, int]:
        return {line.split()[0]: int(line.split()[1]) for line in self.board().splitlines()[1:]}

    def wait_for(self, state: str) -> None:
        until(lambda: self.board().startswith(state))

    def logged(self, event: str) -> int:
        return (self.folder / "log").read_text().count(f'"event": "{event}"')

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    running: list[Supervised] = []

    def run(workers: int = 2, **environ: str) -> Supervised:
        running.append(Supervised(tmp_path, workers, **environ))
        return running[-1]

    yield run
    for each in running:
        each.end()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def echo(port: int) -> bool:
    requestor = AE()
    requestor.add_requested_context(Verification)
    association = requestor.associate("127.0.0.1", port)
    if not association.is_established:
        return False
    status = association.send_c_echo().get("Status")
    association.release()
    return status == 0


def associated(port: int) -> tuple[socket.socket, tuple[int, int]]:
    """An association asked for by hand, and its answer: PDU type, and the result of a rejection (PS3.8 9.3.4)."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    sock.sendall(associate())
    answer = sock.recv(8, socket.MSG_WAITALL)
    return sock, (answer[0], answer[7] if answer[0] == REJECTED_TRANSIENT[0] else 0)


def dataset() -> Dataset:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = MRImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.5"
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.5"
    image.PatientName = "NEEDLE^PATIENT"
    return image


def store(port: int) -> int:
    requestor = AE()
    requestor.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = requestor.associate("127.0.0.1", port)
    assert association.is_established
    status = association.send_c_store(dataset()).get("Status", -1)
    association.release()
    return int(status)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def can_bind(port: int) -> bool:
    try:
        bind("127.0.0.1", port).close()
    except OSError:
        return False
    return True


def test_a_killed_worker_is_started_again_and_the_service_goes_on(start: Callable[..., Supervised]) -> None:
    node = start(workers=2)
    before = node.pids()
    for name in ("worker-0", "worker-1"):
        os.kill(before[name], signal.SIGKILL)
    until(lambda: all(node.pids()[name] not in {0, before[name]} for name in before if name.startswith("worker")))
    assert echo(node.port)
    assert store(node.port) == 0
    after = node.pids()
    assert after["steward"] == before["steward"]
    assert {line.split()[2] for line in node.board().splitlines()[1:3]} == {"1"}
    assert node.logged("child_died") == 2


def test_a_worker_that_cannot_be_started_now_ends_nobody_elses_work(start: Callable[..., Supervised]) -> None:
    node = start(workers=2)
    before = node.pids()
    (node.folder / "no-fork").touch()
    os.kill(before["worker-0"], signal.SIGKILL)
    until(lambda: node.logged("child_not_started") >= 2)
    assert node.process.poll() is None
    assert is_alive(before["worker-1"])
    assert echo(node.port)
    (node.folder / "no-fork").unlink()
    until(lambda: node.pids()["worker-0"] not in {0, before["worker-0"]})
    assert node.pids()["worker-1"] == before["worker-1"]
    node.process.terminate()
    assert node.process.wait(PATIENCE) == 0


def test_who_is_just_starting_hears_of_what_is_new_as_soon_as_it_can(start: Callable[..., Supervised]) -> None:
    """It was forked with what was read before, and would serve by the old recipe for as long as it lives."""
    node = start(workers=2)
    before = node.pids()["worker-0"]
    (node.folder / "late").touch()
    os.kill(before, signal.SIGKILL)
    until(lambda: node.pids()["worker-0"] not in {0, before})
    node.process.send_signal(signal.SIGHUP)
    renewed = node.folder / "renewed"
    until(lambda: renewed.exists() and set(renewed.read_text().split()) == {"supervisor", "worker-1"})
    (node.folder / "late").unlink()
    until(lambda: set(renewed.read_text().split()) == {"supervisor", "worker-0", "worker-1"})
    assert len(renewed.read_text().split()) == 3
    node.process.terminate()
    assert node.process.wait(PATIENCE) == 0


def test_a_child_that_cannot_live_is_tried_with_growing_delay(start: Callable[..., Supervised]) -> None:
    node = start(workers=2)
    (node.folder / "die-worker-0").touch()
    os.kill(node.pids()["worker-0"], signal.SIGKILL)
    until(lambda: node.logged("child_died") >= 4)
    assert echo(node.port)  # the sibling serves
    delays = [
        float(line.split('"delay": ')[1].split(",")[0])
        for line in (node.folder / "log").read_text().splitlines()
        if "child_died" in line
    ]
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    (node.folder / "die-worker-0").unlink()
    until(lambda: is_alive(node.pids()["worker-0"]))


def test_sigterm_lets_a_store_in_flight_finish(start: Callable[..., Supervised]) -> None:
    node = start(workers=2)
    (node.folder / "hold").touch()
    requestor = AE()
    requestor.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = requestor.associate("127.0.0.1", node.port)
    assert association.is_established
    pids = node.pids()

    def stop_once_it_is_held() -> None:
        until((node.folder / "holding").exists)
        node.process.send_signal(signal.SIGTERM)
        until(lambda: node.board().startswith("DRAINING") and not listens(node.port))
        (node.folder / "hold").unlink()

    with ThreadPoolExecutor(1) as aside:
        stopped = aside.submit(stop_once_it_is_held)
        assert association.send_c_store(dataset()).Status == 0
        stopped.result(PATIENCE)
    association.release()
    assert node.process.wait(PATIENCE) == 0
    assert len((node.folder / "taken").read_text().splitlines()) == 1
    assert (node.folder / "steward-went").read_text() == "DRAINING"
    assert not any(is_alive(pid) for pid in pids.values())
    assert can_bind(node.port)
    assert node.logged("child_killed") == 0


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_node_that_is_told_again_while_it_goes_ends_as_it_would(
    start: Callable[..., Supervised], again: signal.Signals
) -> None:
    node = start(1)
    (node.folder / "stubborn").touch()
    node.process.terminate()
    until(lambda: node.logged("node_stopping") == 1)
    node.process.send_signal(again)
    (node.folder / "stubborn").unlink()
    assert node.process.wait(PATIENCE) == 0
    assert node.logged("node_stopped") == 1


def test_a_store_that_does_not_end_is_ended_after_the_drain(start: Callable[..., Supervised]) -> None:
    node = start(workers=1, DRAIN="0.1")
    (node.folder / "hold").touch()
    requestor = AE()
    requestor.dimse_timeout = 0.1
    requestor.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = requestor.associate("127.0.0.1", node.port)
    association.send_c_store(dataset())
    until((node.folder / "holding").exists)
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(PATIENCE) == 0
    assert not (node.folder / "taken").exists()
    assert can_bind(node.port)
    association.abort()


def test_who_does_not_listen_to_sigterm_is_killed(start: Callable[..., Supervised]) -> None:
    node = start(workers=1)
    steward = node.pids()["steward"]
    (node.folder / "stubborn").touch()
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(PATIENCE) == 0
    assert node.logged("child_killed") == 1
    assert not is_alive(steward)


def test_sigint_to_the_whole_group_is_the_supervisors_alone(start: Callable[..., Supervised]) -> None:
    node = start(workers=2)
    pids = node.pids()
    for pid in pids.values():
        os.kill(pid, signal.SIGINT)
    assert echo(node.port)
    assert node.pids() == pids
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(PATIENCE) == 0
    assert node.logged("child_died") == 0


def test_kill_9_of_the_supervisor_leaves_no_process(start: Callable[..., Supervised]) -> None:
    node = start(workers=3)
    pids = node.pids()
    assert len(pids) == 4
    assert all(is_alive(pid) for pid in pids.values())
    node.process.kill()
    node.process.wait(PATIENCE)
    until(lambda: not any(is_alive(pid) for pid in pids.values()))
    assert can_bind(node.port)


def test_a_worker_with_a_failing_disk_makes_room_for_a_fresh_one(start: Callable[..., Supervised]) -> None:
    node = start(workers=1)
    before = node.pids()["worker-0"]
    (node.folder / "fault").touch()
    assert store(node.port) == 0xA700
    (node.folder / "fault").unlink()
    until(lambda: node.pids()["worker-0"] not in {0, before})
    assert store(node.port) == 0
    first, second = (node.folder / "taken").read_text().splitlines()
    assert first.split()[0] == str(before)
    assert second.split()[0] == str(node.pids()["worker-0"])


def test_no_name_is_told_by_any_process(start: Callable[..., Supervised]) -> None:
    node = start(workers=1)
    assert store(node.port) == 0
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(PATIENCE) == 0
    assert "NEEDLE" not in (node.folder / "log").read_text()
    assert node.logged("association_ended") == 1


@pytest.mark.debian
def test_dcmtk_echoes_and_stores(start: Callable[..., Supervised], tmp_path: Path) -> None:
    node = start(workers=2)
    path = tmp_path / "image.dcm"
    dataset().save_as(path, enforce_file_format=True)
    subprocess.run(["echoscu", "127.0.0.1", str(node.port)], check=True)
    for option in ("-x=", "-xi"):  # explicit first, implicit only
        subprocess.run(["storescu", option, "127.0.0.1", str(node.port), str(path)], check=True)
    lines = (node.folder / "taken").read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["1.2.826.0.1.3680043.8.498.5"] * 2


def test_a_port_in_use_is_said_at_once() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", listener.getsockname()[1])


def test_a_host_that_is_none_is_said_at_once() -> None:
    with pytest.raises(socket.gaierror):
        bind("256.256.256.256", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "", "localhost"])
def test_the_listener_never_blocks(host: str) -> None:
    with bind(host, 0) as listener, pytest.raises(BlockingIOError):
        listener.accept()


def listens(port: int) -> bool:
    """Whether connections are taken; one that only times out waits in a listener's queue."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return False
    except TimeoutError:
        return True
    return True


def test_a_worker_that_hangs_is_found_and_replaced(start: Callable[..., Supervised]) -> None:
    node = start(2, HUNG="2")
    before = node.pids()
    os.kill(before["worker-0"], signal.SIGSTOP)  # alive to the kernel, silent to everybody else
    until(lambda: node.pids()["worker-0"] not in {0, before["worker-0"]})
    assert not is_alive(before["worker-0"])
    assert node.pids()["worker-1"] == before["worker-1"]
    assert node.pids()["steward"] == before["steward"], "who shows no heartbeat is not watched"
    assert (node.folder / "hung").exists()
    assert node.logged("child_hung") == 1
    assert echo(node.port)


def test_nobody_is_taken_for_hung_because_the_whole_node_stood_still(start: Callable[..., Supervised]) -> None:
    node = start(2, HUNG="2")
    before = node.pids()
    pids = [node.process.pid, *before.values()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2.5)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    time.sleep(1.5)
    assert node.pids() == before
    assert not (node.folder / "hung").exists()
    assert echo(node.port)


def test_associations_are_counted_on_the_node_and_a_dead_workers_are_free_again(
    start: Callable[..., Supervised],
) -> None:
    """However the kernel shares them between the workers, there are never more than allowed."""
    node = start(2, MOST="6")
    associations = [associated(node.port) for _ in range(9)]
    assert [answer for _, answer in associations] == [ACCEPTED] * 6 + [REJECTED_TRANSIENT] * 3
    before = node.pids()
    for name in ("worker-0", "worker-1"):
        os.kill(before[name], signal.SIGKILL)
    until(lambda: not {before["worker-0"], before["worker-1"]} & set(node.pids().values()))
    until(lambda: echo(node.port))
    again = [associated(node.port) for _ in range(6)]
    assert [answer for _, answer in again] == [ACCEPTED] * 6
    for sock, _ in (*associations, *again):
        sock.close()
