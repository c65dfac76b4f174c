"""An index writer in a thread of the test, behind the socket that a worker would ask at."""

import threading
from contextlib import contextmanager

from scp.db.channel import listen
from scp.db.engine import Engine
from scp.db.writer import Writer


class Running:
    """A writer that can be stopped as if it had been told to, and its successor started at the same listener."""

    def __init__(self, path, listener, most=64, seconds=0.005):
        self.batches = []
        self.writer = Writer(listener, Engine(path, "index"), most=most, seconds=seconds)
        self.thread = threading.Thread(target=self.writer.serve, args=(lambda: None, self.batches.append), daemon=True)
        self.thread.start()

    def stop(self):
        if self.thread.is_alive():
            self.writer.leave()
        self.thread.join(timeout=10)
        assert not self.thread.is_alive()


@contextmanager
def writing(path, address, **options):
    """A writer for the index at `path`, reached at `address`."""
    with listen(address) as listener:
        running = Running(path, listener, **options)
        try:
            yield running
        finally:
            running.stop()
