"""The attacker's process: `python -m bench.hostile.attacker NAME PORT SECONDS`, from an address of its own.

It attacks again and again for so long, at the machine's lowest priority, because it stands for other people's machines.
It prints as JSON each ending with its largest number of seconds and how often it was met.
"""

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress

from bench import wire
from bench.hostile.attack import MR, Attack
from bench.hostile.attacks import BY_NAME

ADDRESS = "127.0.0.2"
KINDS = {2: "accept", 3: "reject", 7: "abort"}
NICE = 19
BYTES_PER_SECOND = 125_000_000  # a gigabit network's; loopback would give an attacker more than any network

IP_BIND_ADDRESS_NO_PORT = 24  # ip(7); the socket module has no name for it


class Attacker:
    """Plays one attack on as many connections as it says."""

    def __init__(self, attack: Attack, port: int, seconds: float) -> None:
        self.attack, self.port = attack, port
        self.deadline = time.monotonic() + seconds
        self.endings: dict[str, list[float]] = {}
        self.lock = threading.Lock()
        self.free = 0.0  # when the line is free again

    def run(self) -> None:
        """Until the time is over."""
        threads = [threading.Thread(target=self._again) for _ in range(self.attack.sockets)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _again(self) -> None:
        while time.monotonic() < self.deadline:
            begun = time.monotonic()
            try:
                how, since = self._play(begun)
            except (OSError, wire.WireError):
                how, since = "close", begun
            with self.lock:
                self.endings.setdefault(how, []).append(time.monotonic() - since)
            if time.monotonic() - begun < 0.01:
                time.sleep(0.01)

    def _play(self, begun: float) -> tuple[str, float]:
        """How it ended, and since when the end was due."""
        with _connected(self.port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.attack.associated:
                sock.sendall(wire.associate_rq(MR))
                if wire.receive(sock)[0] != 2:
                    return "reject", begun
            since = begun
            sock.settimeout(max(self.deadline - time.monotonic(), 0.1) + 4)
            with suppress(BrokenPipeError, ConnectionResetError):
                for piece in self.attack.pieces():
                    if time.monotonic() > self.deadline:
                        return "left", begun
                    self._take_line(len(piece))
                    sock.sendall(piece)
                    since = time.monotonic() if not self.attack.from_first else begun
                    if self.attack.pause and self._paused(sock):
                        break
            if self.attack.leaves:
                return "left", begun
            if self.attack.secure:
                return self._closed(sock), since
            return (self._heard(sock) if self.attack.reads else "close"), since

    def _take_line(self, count: int) -> None:
        """Wait as long as the network would be busy with what was sent before."""
        with self.lock:
            self.free = max(self.free, time.monotonic()) + count / BYTES_PER_SECOND
            wait = self.free - time.monotonic()
        if wait > 0.005:
            time.sleep(wait)

    def _paused(self, sock: socket.socket) -> bool:
        """Wait between two pieces; whether the node has closed meanwhile."""
        time.sleep(self.attack.pause)
        sock.settimeout(0)
        try:
            return sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        finally:
            sock.settimeout(10)

    @staticmethod
    def _closed(sock: socket.socket) -> str:
        """What the node says is TLS's own matter; that it closes is what counts."""
        try:
            while sock.recv(65_536):
                pass
        except TimeoutError:
            return "nothing"
        except OSError:
            pass  # reset, which is an end as well
        return "close"

    @staticmethod
    def _heard(sock: socket.socket) -> str:
        """The first thing that the node says, or that it closes."""
        try:
            kind, body = wire.receive(sock)
        except TimeoutError:
            return "nothing"
        except (OSError, wire.WireError):
            return "close"
        if kind == 4:
            at = body.find(b"\0\0\0\x09\x02\0\0\0")
            status = int.from_bytes(body[at + 8 : at + 10], "little")
            return f"answer 0x{status:04X}"
        return KINDS.get(kind, f"PDU {kind}") + (f" {body[3]}" if kind == 7 else "")


def _connected(port: int) -> socket.socket:
    """From the attacker's address, and a port that is chosen for the whole connection.

    Chosen by bind() for itself alone, it would have to be one that no closed connection still holds, and after some
    thousands the search for it costs a hundred times what the connection does: this machine would attack itself.
    """
    sock = socket.socket()
    try:
        sock.settimeout(10)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((ADDRESS, 0))
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


if __name__ == "__main__":
    os.nice(NICE)
    attacker = Attacker(BY_NAME[sys.argv[1]], int(sys.argv[2]), float(sys.argv[3]))
    print("ready", flush=True)
    attacker.run()
    print(json.dumps({how: [max(taken), len(taken)] for how, taken in attacker.endings.items()}), flush=True)
