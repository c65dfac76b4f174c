"""An index writer in a process of its own, at a listener that it inherits: `writer_process.py FD DATABASE`."""

import socket
import sys
from pathlib import Path

from scp.db.engine import Engine
from scp.db.writer import Writer, run_writer

if __name__ == "__main__":
    listener = socket.socket(fileno=int(sys.argv[1]))
    engine = Engine(Path(sys.argv[2]), "index")
    run_writer(Writer(listener, engine, most=8, seconds=0.002), lambda: None, lambda _count: None)
