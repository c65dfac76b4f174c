"""A line that breaks: senders in a network namespace of their own, and what happens between them and a node.

`network.py [--cuts N] [--seed N]` (root; needs ip, tc and iptables): until so many associations were cut off in the
middle, the line goes down, loses packets, crawls, or resets every connection; then everything that was answered is
looked for, and what a cut may have left behind.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "dialogues"), str(TESTS / "crash")]

from campaign import say  # noqa: E402  the path comes first
from resend import answered, left, send, vitals  # noqa: E402
from running import Node, wait  # noqa: E402

SENDERS = 6
PATIENCE = 1.0  # a sender's, so that a cut is one soon
LIMITS = {f"limits__{name}_seconds": 2 for name in ("idle", "header", "body", "artim")}
SLOWEST = "256kbit"
LOSS = 0.2


class Line:
    """A pair of virtual interfaces, one of them in a namespace; `host` is this side's address there.

    Each fault is put on the line by its name and lies there until `heal`.
    """

    def __init__(self) -> None:
        name = f"{os.getpid() % 100_000}"
        self.namespace, self._here, self._there = f"cloakroom-{name}", f"clh{name}", f"clt{name}"
        block = os.getpid() % 250
        self.host, self._other = f"10.213.{block}.1", f"10.213.{block}.2"
        self.faults = {"down": self.down, "loss": self.loss, "reset": self.reset, "slow": self.slow}

    def __enter__(self) -> Self:
        _do("ip", "netns", "add", self.namespace)
        try:
            _do("ip", "link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", self.namespace)
            _do("ip", "addr", "add", f"{self.host}/30", "dev", self._here)
            _do("ip", "link", "set", self._here, "up")
            _do(*self.inside("ip", "addr", "add", f"{self._other}/30", "dev", self._there))
            _do(*self.inside("ip", "link", "set", self._there, "up"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", self._here], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)

    def inside(self, *command: str) -> list[str]:
        """The command, for the other side."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def down(self) -> None:
        """Nothing gets through, and nobody is told."""
        _do("ip", "link", "set", self._here, "down")

    def loss(self) -> None:
        """A share of all packets is lost, in both directions."""
        for chain in ("INPUT", "OUTPUT"):
            self._rule(chain, "-m", "statistic", "--mode", "random", "--probability", str(LOSS), "-j", "DROP")

    def reset(self) -> None:
        """Whatever is said is answered by a reset, on both sides."""
        self._rule("OUTPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
        self._rule("INPUT", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")

    def slow(self) -> None:
        """The line crawls."""
        rate = ("tbf", "rate", SLOWEST, "burst", "4k", "latency", "2s")
        _do(*self.inside("tc", "qdisc", "add", "dev", self._there, "root", *rate))

    def heal(self) -> None:
        """As it was."""
        _do(*self.inside("iptables", "-F"))
        subprocess.run(
            self.inside("tc", "qdisc", "del", "dev", self._there, "root"), check=False, capture_output=True
        )  # where there is none it says so
        _do("ip", "link", "set", self._here, "up")

    def _rule(self, chain: str, *words: str) -> None:
        _do(*self.inside("iptables", "-A", chain, *words))


class Senders:
    """The process on the other side; `answers` by number, `told` counts what became of sends, None cut off."""

    def __init__(self, line: Line, port: int, seed: int) -> None:
        command = [sys.executable, __file__, "--push", line.host, str(port), "--seed", str(seed)]
        self._process = subprocess.Popen(
            line.inside(*command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TESTS.parent
        )
        self.answers: dict[int, int] = {}
        self.told: Counter[int | None] = Counter()
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for said in self._process.stdout:
            number, answer = json.loads(said)
            self.told[answer] += 1
            if answer is not None:
                self.answers[number] = answer

    def stop(self) -> None:
        """Let them finish what they are at, and hear all they say."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._listener.join(60)
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()


def push(host: str, port: int, seed: int) -> None:
    """Send until the standard input ends, by threads; each has numbers of its own, and sends some of them again."""
    over, turn = threading.Event(), threading.Lock()

    def run(first: int) -> None:
        chance, number = random.Random(seed * 100 + first), first  # noqa: S311
        while not over.is_set():
            chosen = chance.randrange(first, number + 1, SENDERS)
            try:
                answer = send(port, chosen, chance, 0.0, host=host, patience=PATIENCE)
            except OSError:  # cut off
                answer = None
            with turn:
                print(json.dumps([chosen, answer]), flush=True)  # noqa: T201  the parent reads it
            number += SENDERS * (answer is not None)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(SENDERS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()


def broken(folder: Path, cuts: int, seed: int, kinds: tuple[str, ...] = (), heard=say) -> list[str]:
    """What is wrong after so many cut associations, by faults of these kinds, or of all."""
    chance = random.Random(seed)  # noqa: S311
    with Line() as line:
        node = Node(folder, host="0.0.0.0", limits__stream_bytes=1024, **LIMITS)  # noqa: S104  both sides talk to it
        node.start()
        try:
            return _broken(node, line, cuts, (chance, kinds or tuple(line.faults)), heard)
        finally:
            node.stop()


def _broken(node: Node, line: Line, cuts: int, how: tuple[random.Random, tuple[str, ...]], heard=say) -> list[str]:
    chance, kinds = how
    senders = Senders(line, node.port, chance.randrange(1000))
    spoke = time.monotonic()
    try:
        wait(lambda: len(senders.answers) > SENDERS, "they are heard")
        before = vitals(node)
        while senders.told[None] < cuts:
            kind = chance.choice(kinds)
            line.faults[kind]()
            time.sleep(chance.uniform(0.05, 2 * PATIENCE))
            line.heal()
            heard_of = senders.told.total() - senders.told[None]
            wait(lambda count=heard_of: senders.told.total() - senders.told[None] > count, "they are heard again")
            if time.monotonic() - spoke > 10:
                spoke = time.monotonic()
                heard(f"{senders.told[None]} of {cuts} cut off, {len(senders.answers)} answered")
    finally:
        line.heal()
        senders.stop()
    wrong = left(node, before, threads=SENDERS)
    node.stop()
    heard(f"{senders.told.total()} sends, {senders.told[None]} cut off, {len(senders.answers)} instances answered")
    return wrong + answered(node, senders.answers)


def _do(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--push", nargs=2, metavar=("HOST", "PORT"), help="be the other side")
    options = parser.parse_args()
    if options.push:
        push(options.push[0], int(options.push[1]), options.seed)
        return 0
    with tempfile.TemporaryDirectory(prefix="cloakroom-network-") as folder:
        wrong = broken(Path(folder), options.cuts, options.seed)
    say("\n".join(wrong) or "nothing is lost, nothing is left")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
