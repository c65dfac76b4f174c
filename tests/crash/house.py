"""A whole node in little: the real recovery, writer, workers and steward in processes, without sockets and supervisor.

Each life of it is one process group that a trial kills as it likes, so that some lives fit into a second. What a worker
would answer on the wire it writes to a pipe.
"""

import hashlib
import os
import re
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Thread, Timer
from typing import NoReturn
from unittest import mock

import armed
from encoded import explicit, implicit, items
from factories import arrival, mr, needles

from scp import build, log
from scp.config import Config
from scp.db.index import Index
from scp.db.linkage import Linkage
from scp.db.writer import run_writer
from scp.instance import Arrival, Rest
from scp.metrics import declare
from scp.outcome import Outcome
from scp.stop import Stop
from scp.store import keys
from scp.verify import Audit, Report

WORKERS, SENDERS = 4, 2
A_VISIT = 12  # instances
_WIDTH = 20
_UID, _PATIENT = b"2.25.1" + b"7" * _WIDTH, b"7" * 12
_PIXELS = b"\x5a\xa5" * 16
PATIENCE = 60.0


@cache
def _template() -> Arrival:
    return arrival(
        mr(
            0,
            SOPInstanceUID=_UID.decode(),
            StudyInstanceUID="2.25.3" + _PATIENT.decode(),
            PatientID=_PATIENT.decode(),
            PixelData=_PIXELS,
        )
    )


NEEDLES = needles(0)
NEEDLE = re.compile(rb"Qz[0-9A-F]{9}K")  # any of them
_LAST = 12 + len(_PIXELS)  # the pixel data with its header
# The functional groups, which the recipe keeps, in disguise (PS3.5 6.2.2), with what it keeps nowhere inside.
_UNKNOWN = explicit(
    0x52009230, "UN", items([implicit(0x00100010, NEEDLES[0]) + implicit(0x00104000, NEEDLES[1] * 6000)])
)


def instance(number: int) -> Arrival:
    """An instance that no other number has: one in ten is cut short, one streams, one hides a sequence as UN."""
    template = _template()
    uid = _UID[:6] + f"{number:0{_WIDTH}d}".encode()
    patient = f"{number // A_VISIT:012d}".encode()
    data = bytes(template.data).replace(_UID, uid).replace(_PATIENT, patient)
    data = data.replace(_PIXELS, pixels(number))
    if number % 10 == 9:
        data = data[:-8]
    if number % 10 == 5:
        data = data[:-_LAST] + _UNKNOWN + data[-_LAST:]
    whole = replace(template, sop_instance_uid=uid.decode(), data=data)
    if number % 10 != 7:
        return whole
    rest = memoryview(data[-16:])
    return replace(whole, data=bytearray(data[:-16]), rest=Rest(iter([rest[:8], rest[8:]])))


def pixels(number: int) -> bytes:
    """32 bytes that stand in one file only."""
    return b"P%015d" % number + b"Q%015d" % number


@cache
def _plan(recipe: str) -> object:
    return build.recipe_of(Config(recipe=recipe))


@dataclass(frozen=True)
class Kill:
    """Who dies: one of a role's processes at the `hit`th time it comes to the point, or the whole node with it."""

    role: str
    point: str
    hit: int = 1
    everybody: bool = False


@dataclass
class Told:
    """What the senders heard in one life, and who died in it."""

    answers: dict[int, int] = field(default_factory=dict)
    died: Counter[str] = field(default_factory=Counter)


class House:
    """One state and one export folder; every life is told which numbers are sent, and who is killed."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        defaults = {"min_free_bytes": 1, "visit_quiet_seconds": 0.001, "log_level": "error", "workers": WORKERS}
        self.config = Config(state=folder / "state", export=folder / "export", **{**defaults, **settings})
        self.log = folder / "house.log"
        self.bug: Callable[[], object] = lambda: None

    def live(
        self,
        numbers: Sequence[int],
        kills: Sequence[Kill] = (),
        *,
        after: float | None = None,
    ) -> Told:
        """One life: start, send, be killed as planned (or all at once `after` so many seconds), end."""
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            _process(lambda: _Life(self, numbers, kills, writing).run(), self.log)
        os.close(writing)
        try:
            return self._listen(reading, pid, after)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.close(reading)
            os.waitpid(pid, 0)

    def _listen(self, reading: int, pid: int, after: float | None) -> Told:
        """Hear all answers that were given until the last process is gone."""
        told, text = Told(), b""
        until = time.monotonic() + (PATIENCE if after is None else after)
        while True:
            if not select.select([reading], [], [], max(until - time.monotonic(), 0))[0]:
                if after is None:
                    raise AssertionError(f"a life did not end: {self.said()}")
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                told.died["node"] += 1
                until, after = time.monotonic() + PATIENCE, None
                continue
            part = os.read(reading, 65536)
            if not part:
                return told
            *lines, text = (text + part).split(b"\n")
            for line in lines:
                word, value = line.split()
                if word.isdigit():
                    told.answers[int(word)] = int(value)
                else:
                    told.died[word.decode()] += 1

    def said(self) -> str:
        """The end of the log, and of whatever was raised."""
        return self.log.read_text()[-2000:]

    def recover(self, kill: Kill | None = None) -> bool:
        """A start up to where it would serve, in a process of its own; False if it was killed on the way."""
        pid = os.fork()
        if not pid:
            _process(lambda: self._recover(kill), self.log)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in {0, -signal.SIGKILL}:
            raise AssertionError(f"the start ended with {code}: {self.said()}")
        return code == 0

    def _recover(self, kill: Kill | None) -> None:
        _arm(kill)
        self.prepare()

    def prepare(self) -> build.Node:
        """`build.prepare`, with the recipe compiled once for all lives."""
        self.bug()
        plan = _plan(self.config.recipe)
        with mock.patch.object(build, "recipe_of", return_value=plan):
            return build.prepare(self.config)

    @contextmanager
    def index(self):
        """The index, for as long as it is looked at."""
        index = Index(self.config.index_path)
        try:
            yield index
        finally:
            index.close()

    def audit(self) -> Report:
        """What `cloakroom verify` finds while the node does not run."""
        with self.index() as index:
            return Audit(self.config.export, self.config.quarantine, index).run()

    def check(self, answers: Mapping[int, int]) -> list[str]:
        """What is wrong after a recovery: whatever was answered has to be there, once, whole and without a name."""
        wrong = [f"{finding.kind.label} {finding.where}" for finding in self.audit().findings]
        linkage = Linkage(self.config.linkage_path, keys.load(self.config.keys).linkage)
        with self.index() as index:
            for number, status in answers.items():
                data = bytes(instance(number).data) + b"".join(instance(number).rest or ())
                source = linkage.source(instance(number).sop_instance_uid, data)
                if status == Outcome.STORED.status:
                    if not index.unchanged(source):
                        wrong.append(f"instance {number} was acknowledged and is not indexed")
                elif status == Outcome.INCOMPLETE.status and not index.quarantined(Outcome.INCOMPLETE, source.digest):
                    wrong.append(f"instance {number} was answered as quarantined and is not")
        linkage.close()
        return wrong

    def orphans(self) -> dict[str, bytes]:
        """Files under names of their own in the export tree, each with its SHA-256, that the index does not have."""
        if not self.config.index_path.exists():
            return {}  # killed before there was any
        with self.index() as index:
            files = list(self.config.export.rglob("*.dcm"))
            unknown = [path for path in files if not index.knows(path.name.split("_")[0], path.name)]
        return {path.name: hashlib.sha256(path.read_bytes()).digest() for path in unknown}

    def forgotten(self, orphans: Mapping[str, bytes]) -> list[str]:
        """Which of these a recovery has neither adopted nor sealed."""
        there = {path.name for path in self.config.export.rglob("*.dcm")}
        with self.index() as index:
            return [
                f"the orphan {name} is gone"
                for name, digest in orphans.items()
                if not (name in there and index.knows(name.split("_")[0], name))
                and not index.quarantined(Outcome.UNCLAIMED, digest)
            ]

    def contents(self) -> Counter[bytes]:
        """How often each instance's pixels stand in the export tree."""
        return Counter(file.read_bytes()[-32:] for file in self.config.export.rglob("*.dcm"))

    def leaks(self) -> list[str]:
        """Files in the clear that hold a planted identifier."""
        state = [path for path in self.config.state.rglob("*") if "keys" not in path.parts]
        found = []
        for path in [*self.config.export.rglob("*"), *state, self.log]:
            if path.is_file():
                data = path.read_bytes()
                if any(needle in data for needle in NEEDLES):
                    found.append(f"{path.relative_to(self.folder)} holds an identifier")
        return found


def _arm(kill: Kill | None) -> None:
    """A point, or "@0.05": so many seconds after the start, wherever it may be then."""
    if kill and kill.point.startswith("@"):
        timer = Timer(float(kill.point[1:]), armed.die)
        timer.daemon = True
        timer.start()
    elif kill:
        armed.arm(kill.point, hit=kill.hit)


def _leave(code: int, said: Path) -> NoReturn:
    if sys.exception():
        with said.open("a") as stream:
            traceback.print_exc(file=stream)
    os._exit(code)


def _process(run: Callable[[], None], said: Path) -> NoReturn:
    """A forked process's whole life, in a group of its own."""
    code = 1
    try:
        os.setpgid(0, 0)
        with said.open("a") as stream:
            log.configure("json", "error", stream)
            run()
        code = 0
    finally:
        _leave(code, said)


class _Life:
    """The supervisor's part: starts the processes, starts again who dies, and ends when all was sent and published."""

    def __init__(self, house: House, numbers: Sequence[int], kills: Sequence[Kill], said: int) -> None:
        self.house = house
        self.numbers = numbers
        self.kills = list(kills)
        self.said = said
        self.pids: dict[int, tuple[str, Kill | None]] = {}

    def run(self) -> None:
        starting = self._next("recovery")
        _arm(starting)
        self.node = self.house.prepare()
        armed.disarm()
        self.inbox = build.inbox(self.house.config)
        self.roles = {"writer": self._writer, "steward": self._steward}
        self.roles |= {f"worker-{slot}": lambda slot=slot: self._worker(slot) for slot in range(WORKERS)}
        for role in self.roles:
            self._start(role)
        while any(role.startswith("worker") for role, _ in self.pids.values()):
            self._reap()
        self._stop("writer")
        self._stop("steward")
        os.write(self.said, b"ended 1\n")

    def _next(self, role: str) -> Kill | None:
        for kill in self.kills:
            if kill.role == role.partition("-")[0]:
                self.kills.remove(kill)
                return kill
        return None

    def _start(self, role: str) -> None:
        kill = self._next(role)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                _arm(kill)
                self.roles[role]()
                code = 0
            finally:
                _leave(code, self.house.log)
        self.pids[pid] = (role, kill)

    def _reap(self) -> None:
        pid, status = os.waitpid(-1, 0)
        role, kill = self.pids.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL:
            where = kill.point if kill else role
            os.write(self.said, f"{'moment' if where.startswith('@') else where} 1\n".encode())
            if kill and kill.everybody:
                os.killpg(0, signal.SIGKILL)
        if code:
            self._start(role)

    def _stop(self, role: str) -> None:
        """Tell it, and start again who is killed meanwhile: a steward still has to publish what there is."""
        while pids := [pid for pid, (name, _) in self.pids.items() if name == role]:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            self._reap()

    def _writer(self) -> None:
        run_writer(build.writer(self.house.config, self.inbox), lambda: None, lambda _rows: None)

    def _steward(self) -> None:
        stop = Stop()
        signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
        steward = build.steward(self.house.config, declare())
        steward.run(stop, 0.01)
        time.sleep(0.002)
        steward.round()

    def _worker(self, slot: int) -> None:
        """Some senders, each in a thread; a worker that was killed goes on with what nobody was answered."""
        intake = build.intake(self.node, declare())
        threads = [Thread(target=self._send, args=(intake, slot * SENDERS + sender)) for sender in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, intake, sender: int) -> None:
        for number in self.numbers[sender :: WORKERS * SENDERS]:
            outcome = intake.take(instance(number))
            os.write(self.said, b"%d %d\n" % (number, outcome.status))
