"""How long a start takes on a node that has a long life behind it: `million.py [INSTANCES]`, made up, in seconds.

1 where it is more than five.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from campaign import say  # noqa: E402  the path comes first
from house import House  # noqa: E402

A_VISIT = 200
MOST_SECONDS = 5.0
VISIT = "INSERT INTO visit (scan_research_id, pseudonym, created_at) VALUES (?, 'S', 1)"
DELIVERY = (
    "INSERT INTO delivery (scan_research_id, number, state, path, first_arrival, last_arrival, published_at) "
    "VALUES (?, 1, 'published', ?, 1, 1, 1)"
)


def fill(house: House, instances: int) -> None:
    """So many rows, each with a file of its name; the files are links to one of each visit, and empty."""
    export = house.config.export
    with house.index() as index, index._engine.write():
        database = index._engine._database().conn
        for visit in range(instances // A_VISIT):
            number = str(10**11 + visit)
            path = f"DICOM/2031/{20310101 + visit // 20}/{number}"
            folder = export / path
            folder.mkdir(parents=True)
            (folder / ".ready").touch()
            database.execute(VISIT, (number,))
            database.execute(DELIVERY, (number, path))
            names = [f"{number}_0001_{at:05d}_00000000.dcm" for at in range(A_VISIT)]
            (folder / names[0]).touch()
            for name in names[1:]:
                os.link(folder / names[0], folder / name)
            rows = [
                (f"2.25.{number}{at}", f"{number}{at}".encode(), b"d" * 32, b"d" * 32, number, name)
                for at, name in enumerate(names)
            ]
            database.executemany(
                "INSERT INTO instance VALUES (?, ?, ?, ?, 1, ?, 1, '2.25.7', '1.2', '1.2', ?, 'r', 1)", rows
            )


def started(instances: int) -> tuple[float, float, int]:
    """Seconds that everything before serving took, those of CPU among them, and how many rows were looked at."""
    with tempfile.TemporaryDirectory(prefix="cloakroom-million-") as folder:
        house = House(Path(folder))
        house.live([0])
        os.close(house.prepare().lock)
        fill(house, instances)
        begun, worked = time.monotonic(), time.process_time()
        node = house.prepare()
        seconds, busy = time.monotonic() - begun, time.process_time() - worked
        os.close(node.lock)
        if node.recovered.report.findings or not house.live([1]).answers:
            raise AssertionError(node.recovered.report.findings[:3])
        return seconds, busy, node.recovered.report.instances


def main() -> int:
    """The command."""
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seconds, busy, looked = started(instances)
    say(f"{looked} instances looked at before serving, in {seconds:.2f} s, {busy:.2f} s of them CPU")
    return int(seconds > MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
