"""The bench measures what it says: its bytes are DICOM, its workloads are what they are named, its sums are right."""

import os
import re
import socket
import sqlite3
import ssl
import struct
import threading
from contextlib import closing

import pydicom
import pytest

from bench import (
    cells,
    deidentify,
    files,
    kept,
    machine,
    processes,
    promise,
    report,
    scraping,
    sender,
    steward,
    wire,
    workloads,
)
from bench.cells import CELLS
from bench.hostile import Verdict, secure, summary
from bench.hostile.attack import Attack, nested
from bench.hostile.attacks import ATTACKS
from bench.hostile.before import many_contexts
from bench.receivers import BY_NAME
from bench.targets import NEEDED, TARGETS, Target
from scp.dataset import read
from scp.outcome import Failure
from scp.receive import commands, negotiation

MR = "1.2.840.10008.5.1.4.1.1.4"


def small(name, **changes):
    [workload] = [each for each in workloads.WORKLOADS if each.name == name]
    values = {field: getattr(workload, field) for field in workload.__slots__} | changes
    return workloads.Workload(**values)


def test_the_association_request_is_understood():
    request = negotiation.read(wire.associate_rq(MR)[6:], "127.0.0.1")
    assert (request.peer.called, request.peer.calling) == ("CLOAKROOM", "BENCH")
    assert [str(context.abstract_syntax) for context in request.contexts] == [MR]
    assert request.max_pdu_bytes == wire.MAX_PDU


def test_the_command_is_understood():
    command = commands.read(wire.command_set(1, MR, "1.2.3"))
    assert (command.field, command.sop_class_uid, command.sop_instance_uid) == (1, MR.encode(), b"1.2.3")
    assert command.has_data_set
    assert not commands.read(wire.command_set(0x30, MR)).has_data_set


@pytest.mark.parametrize("max_pdu", [0, 50, 16384, 131072])
def test_a_store_is_cut_into_pdus_that_the_receiver_takes(max_pdu):
    data = bytes(range(256)) * 1000
    stream = b"".join(wire.store(MR, "1.2.3", memoryview(data), max_pdu))
    whole, lasts = b"", []
    while stream:
        kind, _, length = struct.unpack_from(">BBI", stream)
        size, number, control = struct.unpack_from(">IBB", stream, 6)
        assert (kind, number, size + 4) == (4, 1, length)
        if not control & wire.COMMAND:
            assert length <= (max_pdu or wire.MAX_PDU)
            whole += stream[12 : 6 + length]
            lasts.append(control)
        stream = stream[6 + length :]
    assert whole == data
    assert lasts == [0] * (len(lasts) - 1) + [wire.LAST]


@pytest.mark.parametrize("first", files.Rates._fields)
def test_files_are_taken_in_both_ways_by_nodes_of_their_own(tmp_path, first):
    workload = workloads.make(small("tiny"), tmp_path / "workload", count=12, files=True)
    rates = files.run(workload, tmp_path / "run", first=first)
    assert min(rates) > 0
    for way in files.Rates._fields:
        assert len(list((tmp_path / "run" / way / "export").rglob("*.dcm"))) == 12
    (target,) = [target for target in TARGETS if target.cell == "files"]
    assert target.reached({("files", "cloakroom", "share"): 0.79}) == (0.79, False)


def test_everything_is_sent_however_little_the_socket_takes():
    ours, theirs = socket.socketpair()
    data = os.urandom(3_000_000)
    heard = bytearray()

    def hear():
        while part := theirs.recv(1000):
            heard.extend(part)

    reader = threading.Thread(target=hear)
    reader.start()
    wire.send_all(ours, [data[at : at + 777] for at in range(0, len(data), 777)])
    ours.close()
    reader.join()
    theirs.close()
    assert bytes(heard) == data


@pytest.mark.parametrize(("name", "size"), [("mr", 256**2 * 2), ("ct", 512**2 * 2), ("tiny", 64**2 * 2)])
def test_a_workload_is_what_it_is_named(tmp_path, name, size):
    folder = workloads.make(small(name), tmp_path / name, count=3, files=True)
    data, entries = sender.read(folder)
    files = [pydicom.dcmread(file) for file in sorted((folder / "files").iterdir())]
    assert [entry.uid for entry in entries] == [file.SOPInstanceUID for file in files]
    assert len({file.PixelData for file in files}) == len({entry.uid for entry in entries}) == 3
    for entry, file in zip(entries, files, strict=True):
        assert len(file.PixelData) == size
        assert entry.sop_class == file.SOPClassUID == file.file_meta.MediaStorageSOPClassUID
        assert file.file_meta.MediaStorageSOPInstanceUID == entry.uid
        read(bytes(data[entry.offset : entry.offset + entry.length]), explicit=True)  # or it would raise Failure


def test_a_multi_frame_has_its_frames(tmp_path):
    folder = workloads.make(small("multiframe", rows=8, frames=5), tmp_path / "frames", count=1, files=True)
    file = pydicom.dcmread(folder / "files" / "00000.dcm")
    assert (file.NumberOfFrames, len(file.PerFrameFunctionalGroupsSequence), len(file.PixelData)) == (5, 5, 640)


def test_shares_hold_every_file_once(tmp_path):
    folder = workloads.make(small("tiny"), tmp_path / "tiny", count=7, files=True)
    names = [file.name for share in workloads.shares(folder, 7, 3) for file in share.iterdir()]
    assert sorted(names) == [f"{number:05d}.dcm" for number in range(7)]


def test_every_run_and_target_names_what_there_is():
    names = {cell.name for cell in CELLS}
    assert len(names) == len(CELLS)
    assert all(set(cell.receivers) <= set(BY_NAME) for cell in CELLS)
    assert {target.cell for target in TARGETS} <= names | {"files", "idle", "scraping", "steward", "hostile"}
    receivers = {cell.name: set(cell.receivers) for cell in CELLS}
    for target in TARGETS:
        if target.peer:
            assert {target.peer, target.mine} <= receivers[target.cell]


@pytest.mark.parametrize(
    ("target", "figure", "reached"),
    [
        (Target("", "a", "rate", "peer", 2.0), 3.0, True),
        (Target("", "a", "rate", "peer", 3.5), 3.0, False),
        (Target("", "a", "rate", "peer", 3.5, at_most=True), 3.0, True),
        (Target("", "a", "rate", "", 31.0), 30.0, False),
        (Target("", "a", "rate", "", 30.0, at_most=True), 30.0, True),
    ],
)
def test_a_target_is_a_ratio_or_a_figure(target, figure, reached):
    medians = {("a", "cloakroom", "rate"): 30.0, ("a", "peer", "rate"): 10.0}
    assert target.reached(medians) == (figure, reached)
    assert target.reached({}) is None


def test_what_the_targets_need_is_measured_in_every_round():
    assert {("mr-1", "cloakroom"), ("mr-1", "unsynced"), ("mr-1", "dcmtk-tuned"), ("each-4", "cloakroom")} <= NEEDED
    assert {name for _, name in NEEDED} <= set(BY_NAME)
    assert ("mr-4", "cloakroom") not in NEEDED


@pytest.mark.parametrize(("stalls", "count"), [(True, 60), (False, 800)])
def test_who_stalls_is_sent_less(monkeypatch, tmp_path, stalls, count):
    [cell] = [each for each in CELLS if each.name == "stock-1"]
    sent = []
    monkeypatch.setattr(cells.senders, "storescu", lambda *args, **_: sent.append(args[3]))
    cells._push(cell, 1, tmp_path, 1.0, stalls=stalls)
    assert sent == [count]


def verdict(**changes):
    values = {"name": "x", "title": "X", "ended": "abort 6", "seconds": 0.2, "limit": 1.0, "kept": 0.95, "memory": 9.0}
    return Verdict(**{**values, "in_time": True, **changes})


def test_windows_with_and_without_scrapes_are_told_apart():
    window = scraping.WINDOW
    without = [100.0 + window * (0.1 + 0.01 * number) for number in range(50)]
    scraped = [at + window for at in without[:40]]
    outside = [99.0, 100.0 + 2 * window + 0.1]
    assert scraping.kept([*without, *scraped, *outside], 100.0, 1) == 0.8
    assert scraping.kept([], 100.0, 1) == 0.0
    assert scraping.lost(1.0) == 0.0
    assert scraping.lost(0.0) == pytest.approx(0.05)  # a scrape that stopped it for 0.75 s each time


def test_an_attack_is_held_only_at_nobodys_cost():
    assert verdict().held
    assert not verdict(kept=0.89).held
    assert not verdict(memory=513.0).held
    assert not verdict(in_time=False).held
    found = summary([verdict(), verdict(name="huge-header", kept=0.8, seconds=0.05), verdict(in_time=False)])
    assert found == {"kept": 0.8, "ended": 2 / 3, "refusal": 0.05, "memory": 9.0}
    assert summary([]) == {}


def test_there_are_attacks_enough_and_each_is_finite_to_build():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 20
    for attack in ATTACKS:
        assert isinstance(attack, Attack)
        first = next(iter(attack.pieces()), b"")
        assert len(first) <= 16 * 2**20
        assert attack.ends


def test_a_node_starts_with_what_the_attacks_on_tls_are_given(tmp_path):
    given = secure.settings(tmp_path / "tls", 12762)
    assert given["tls__port"] == 12762
    assert given["tls__key"].stat().st_mode & 0o077 == 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given["tls__certificate"], given["tls__key"])
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    here.write(secure.hello())
    server = context.wrap_bio(here, there, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):  # it has answered, and waits for the client's part
        server.do_handshake()
    assert there.pending > 500


def test_half_a_hello_is_none():
    half = next(next(one for one in ATTACKS if one.name == "tls-half-hello").pieces())
    assert secure.hello().startswith(b"\x16\x03\x01")
    assert len(half) == len(secure.hello()) // 2


def test_the_long_request_is_a_request():
    body = many_contexts()[6:]
    assert 150_000 < len(body) <= negotiation.MAX_REQUEST_BYTES
    assert len(negotiation.read(body, "127.0.0.1").contexts) == 128


def test_the_nested_sequences_are_refused_by_the_reader():
    with pytest.raises(Failure):
        read(nested(10_000), explicit=True)
    read(nested(2), explicit=True)


def test_costs_are_those_of_the_tree():
    pid = os.getpid()
    before, peaks = processes.cpu_seconds(pid), processes.reset_peaks(pid)
    while processes.cpu_seconds(pid) <= before:
        sum(range(100_000))
    held = bytearray(32 * 2**20)
    assert processes.peak_growth(pid, peaks) >= len(held) // 2
    assert pid in processes.tree(pid)
    assert processes.resident(pid) >= processes.proportional(pid) > len(held)
    assert processes.threads(pid) >= 1
    assert processes.descriptors(pid) >= 3
    assert processes.cpu_seconds(2**22 + 1) == 0


def test_the_page_says_what_was_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "versions", lambda: [("machine", "made up")])
    medians = {
        (cell, name, measure): 10.0 if name == "cloakroom" else 2.0
        for cell in ("mr-1", "stock-1")
        for name in BY_NAME
        for measure in ("rate", "cpu", "memory")
    }
    found = kept.Kept([["machine", "made up"]])
    found.renew(medians, [verdict(title="four GiB", kept=0.5)], {"engine": ["A remark."]}, "today at 1234567")
    report.write(tmp_path, found, 5, quick=False)
    page = (tmp_path / "performance.md").read_text("utf-8")
    assert "| MR, 1 association: pynetdicom's app | ≥ 5 | 5.00 | yes |" in page
    assert "| MR, CPU an instance: Orthanc tuned | ≤ 0.4 | 5.00 | **no** |" in page
    assert "| MR, 8 associations: Orthanc tuned | ≥ 2 | not measured |  |" in page
    assert "| four GiB | abort 6 | 0.20 s | 1 s | 50% | +9 MiB | **no** |" in page
    assert "the median of 5 rounds" in page
    assert "A remark." in page
    assert "| today at 1234567 | engine, hostile, mr-1, stock-1 |" in page
    assert (tmp_path / "performance.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_says_what_the_promise_alone_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "versions", lambda: [("machine", "made up")])
    rates = {"cloakroom": 500.0, "promise": 1200.0, "promise-logged": 2000.0, "promise-unsynced": 3000.0}
    rates |= {"orthanc-tuned": 500.0, "dcmtk-tuned": 4000.0}
    medians = {("mr-1", name, "rate"): rate for name, rate in rates.items()}
    medians |= {("mr-1", name, "cpu"): rate / 2000 for name, rate in rates.items()}
    found = kept.Kept([["machine", "made up"]])
    found.renew(medians, [], {}, "today")
    report.write(tmp_path, found, 5, quick=False)
    page = (tmp_path / "performance.md").read_text("utf-8")
    row = "1200 (0.60) | 2.40 (2.40) | 0.30 (0.30) | 2000 (1.00) | 4.00 (4.00) | 0.50 (0.50)"
    assert f"| MR, raw sender, 1 association | {row} | 3000 (1.50) | 0.75 (0.75) |" in page
    assert "the bare promise" not in page[page.index("## Throughput") : page.index("## The bare promise")]
    del medians["mr-1", "promise-logged", "rate"], medians["mr-1", "promise-logged", "cpu"]
    found = kept.Kept([["machine", "made up"]])
    found.renew(medians, [], {}, "today")
    report.write(tmp_path, found, 5, quick=False)
    assert "| 0.30 (0.30) | not measured |  |  | 3000 (1.50) |" in (tmp_path / "performance.md").read_text("utf-8")
    report.write(tmp_path, kept.Kept([["machine", "made up"]]), 5, quick=False)
    assert "## The bare promise" not in (tmp_path / "performance.md").read_text("utf-8")


def a_keeper(how, received):
    return promise.Logged(received) if how == "logged" else promise.Keeper(received, synced=how == "synced")


@pytest.mark.parametrize(("how", "syncs"), [("synced", 4), ("logged", 2), ("unsynced", 0)])
def test_the_bare_promise_keeps_what_the_sender_sends(tmp_path, monkeypatch, how, syncs):
    """Over real associations, by the bench's own sender's side; of several PDUs, and cut anywhere."""
    flushed = []
    monkeypatch.setattr(promise, "LOG", 1 << 20)
    monkeypatch.setattr(os, "fdatasync", flushed.append)
    sent = [bytes(range(256)) * 1200, b"tiny"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve():
            keeper = a_keeper(how, tmp_path / "received")
            monkeypatch.setattr(os, "fsync", flushed.append)
            for _ in range(2):
                sock, _ = listener.accept()
                with sock:
                    promise.Connection(sock, keeper, memoryview(bytearray(1 << 20))).serve()
            if how == "logged":
                keeper.settle()

        thread = threading.Thread(target=serve)
        thread.start()
        wire.echo(port)
        with wire.association(port, MR) as (sock, max_pdu):
            assert max_pdu == wire.MAX_PDU
            for data in sent:
                for part in wire.store(MR, "1.2.3", memoryview(data), max_pdu):
                    sock.sendall(part[:3])
                    sock.sendall(part[3:])
                assert wire.status(sock) == 0
        thread.join(30)
    assert not thread.is_alive()
    assert [path.read_bytes() for path in sorted((tmp_path / "received").iterdir())] == sent
    assert len(flushed) == syncs
    with closing(sqlite3.connect(tmp_path / "rows.db")) as rows:
        assert [row[0] for row in rows.execute("SELECT file FROM row ORDER BY file")] == ["00000001", "00000002"]


def test_a_log_that_is_full_settles_what_it_held_before_it_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(promise, "LOG", 1 << 14)
    keeper = promise.Logged(tmp_path / "received")
    first, second = bytes(range(250)) * 40, b"second" * 1500
    keeper.keep([memoryview(first[:10]), memoryview(first[10:])])
    assert (tmp_path / "rows.log").read_bytes().startswith(first)
    with closing(sqlite3.connect(tmp_path / "rows.db")) as rows:
        assert rows.execute("SELECT file FROM row").fetchall() == []
        keeper.keep([memoryview(second)])
        assert rows.execute("SELECT file FROM row").fetchall() == [("00000001",)]
    assert (tmp_path / "rows.log").read_bytes().startswith(second)
    assert (tmp_path / "rows.log").stat().st_size == 1 << 14
    assert [path.read_bytes() for path in sorted((tmp_path / "received").iterdir())] == [first, second]


MACHINE = [("machine", "made up"), ("Python", "3")]


def test_a_run_renews_its_cells_whole_and_leaves_the_others(tmp_path):
    found = kept.read(tmp_path / "performance.json", MACHINE)
    assert found == kept.Kept([["machine", "made up"], ["Python", "3"]])
    first = {("mr-1", "cloakroom", "rate"): 10.0, ("mr-1", "dcmtk", "rate"): 20.0, ("ct-1", "dcmtk", "rate"): 5.0}
    attacks = [verdict(name="a", title="four GiB", kept=0.95), verdict(name="b", title="crumbs", kept=0.5)]
    found.renew(first, attacks, {"engine": ["Quick."], "files": []}, "monday")
    found.write(tmp_path / "performance.json")
    again = kept.read(tmp_path / "performance.json", MACHINE)
    assert again == found
    again.renew({("mr-1", "cloakroom", "rate"): 12.0}, [verdict(name="b", title="crumbs", kept=0.97)], {}, "tuesday")
    assert again.medians["mr-1", "cloakroom", "rate"] == 12.0
    assert ("mr-1", "dcmtk", "rate") not in again.medians  # it was of another run
    assert again.medians["ct-1", "dcmtk", "rate"] == 5.0
    assert again.medians["hostile", "cloakroom", "kept"] == 0.95
    assert again.remarks == {"engine": ["Quick."]}
    assert again.times() == [("monday", "ct-1, engine, hostile"), ("tuesday", "hostile-b, mr-1")]
    again.renew({}, attacks, {}, "wednesday")
    assert again.times()[-1] == ("wednesday", "hostile")
    assert len(again.times()) == 3


def test_what_another_machine_has_measured_is_not_kept(tmp_path):
    found = kept.Kept([["machine", "another"]])
    found.renew({("mr-1", "cloakroom", "rate"): 10.0}, [], {}, "monday")
    found.write(tmp_path / "performance.json")
    assert kept.read(tmp_path / "performance.json", MACHINE).medians == {}


def test_the_time_of_a_run_names_the_commit():
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d( at [0-9a-f]{7,})?", kept.now())


@pytest.mark.filterwarnings("ignore")  # a real file has values that are too long
def test_the_files_to_de_identify_are_what_they_are_named(tmp_path):
    found = {row.title: row for row in deidentify.rows()}
    classic, long = found["classic MR, made up"], found["enhanced MR, made up"]
    assert 50 < classic.elements < 300
    assert 8_000 < long.elements < 10_000
    for row in found.values():
        uids = [read(one.data, explicit=True).text(0x00080018) for one in row.arrivals]
        assert len(row.contents) == len(uids) == len(set(uids)) > 1, "none comes twice in a row"
    lines = deidentify.recipe("basic", tmp_path).read_text("ascii").splitlines()
    assert not [line for line in lines if line.startswith("ADD (")]
    assert "KEEP (0008,1140)" in lines


@pytest.mark.filterwarnings("ignore")  # deid's
def test_both_engines_are_timed_and_memory_is_told(tmp_path):
    classic = deidentify.rows()[0]
    taken = deidentify.compare(classic, deidentify.recipe("basic", tmp_path), 1)
    assert len(taken.ours) == len(taken.alone) > len(taken.deids) > 0
    assert taken.ratio > 1
    assert len(deidentify.memory(100)) == deidentify.MARKS
    marks = deidentify._memory([100.0, 101.5], 5_000)
    assert "5,000 instances" in marks
    assert "grown by 1.5" in marks
    assert "raises" in deidentify._line(classic, "mip", deidentify.Taken([0.001], [0.002], []))[5]
    line = deidentify._line(classic, "mip", deidentify.Taken([0.001], [0.002], [0.2]))
    assert line[3:] == ("1.000 ms", "2.000 ms", "200.0 ms", "200")
    assert "not reached" in deidentify._line(classic, "mip", deidentify.Taken([0.001], [0.002], [0.002]))[6]


class Steps:
    """Hears of each step."""

    def __init__(self):
        self.said = []

    def step(self, what):
        self.said.append(what)


def test_the_steward_of_the_bench_publishes_what_a_node_would(tmp_path, monkeypatch):
    monkeypatch.setattr(steward, "LARGE", 7)
    monkeypatch.setattr(steward, "TIMES", 2)
    monkeypatch.setattr(steward.log, "configure", lambda *_words: None)
    steps = Steps()
    figures = steward.measure(tmp_path / "house", steps, visits=10, instances=3)
    assert [len(each) for each in (*figures, figures.tenths)] == [10, 10, 2, 10]
    assert len(steps.said) == steward.PARTS + 1
    files = sorted((tmp_path / "house" / "export" / "DICOM").rglob("*.dcm"))
    assert len(files) == 10 * 3 + 2 * 7
    assert all((file.parent / ".ready").exists() for file in files)
    first = pydicom.dcmread(files[0])
    assert (first.StudyID, first.InstanceNumber, len(first.PixelData)) == (files[0].parent.name, 1, 512)
    assert len({pydicom.dcmread(file).SOPInstanceUID for file in files}) == len(files)
    steward.plot(tmp_path, figures)
    assert (tmp_path / "steward.png").read_bytes().startswith(b"\x89PNG")
    assert "10 visits of 3 instances" in steward.section(figures, 3)


def test_what_grows_is_seen_to_grow():
    flat = steward.Figures([0.2] * 30, [0.1, 0.1, 0.5, *[0.1] * 27], [0.2])
    assert flat.growth == 1.0
    assert steward.Figures([0.1] * 100, [0.01 * (1 + number) for number in range(100)], [0.2]).growth > steward.FLAT
