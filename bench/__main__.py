"""`make bench`: engine and push, as medians and ratios to peers of the same run."""

import statistics
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from pydicom import Dataset

from bench import engine, push
from scp import phantom

ROUNDS = 5


def main() -> int:
    """Print the figures; exit code 2 when a peer is not installed."""
    if absent := push.missing():
        print(f"bench: {', '.join(absent)} not found; on Debian: apt-get install dcmtk", file=sys.stderr)
        return 2
    study = phantom.study()
    _engine(study[0])
    _push(study)
    return 0


def _engine(dataset: Dataset) -> None:
    whole = BytesIO()
    dataset.save_as(whole, enforce_file_format=True)
    body = whole.getvalue()
    data = body[body.index(b"\x08\x00\x05\x00CS") :]
    mine = engine.milliseconds(engine.ours(dataset, data, 500))
    theirs = engine.milliseconds(engine.deids(body, 20))
    print(f"engine, one instance, recipe mip, medians: plan {mine:.3f} ms, deid {theirs:.1f} ms: {theirs / mine:.0f} x")


def _push(study: list[Dataset]) -> None:
    print(f"push of {len(study)} instances by storescu, one association, medians of {ROUNDS}, instances a second:")
    with tempfile.TemporaryDirectory(prefix="cloakroom-bench-") as name:
        root = Path(name)
        (root / "study").mkdir()
        for number, dataset in enumerate(study):
            dataset.save_as(root / "study" / f"{number:04d}.dcm", enforce_file_format=True)
        rates: dict[tuple[str, bool], list[float]] = {}
        for round_ in range(ROUNDS):  # interleaved, so that what else the machine does meets all alike
            for receiver in (push.cloakroom, push.dcmtk, push.pynetdicom):
                for nodelay in (False, True):
                    folder = root / f"{receiver.__name__}-{nodelay}-{round_}"
                    folder.mkdir()
                    with receiver(folder) as port:
                        taken = push.seconds(port, root / "study", nodelay=nodelay)
                    rates.setdefault((receiver.__name__, nodelay), []).append(len(study) / taken)
    for nodelay in (False, True):
        mine = statistics.median(rates["cloakroom", nodelay])
        sender = "storescu with TCP_NODELAY=1" if nodelay else "storescu as installed"
        for name in ("cloakroom", "dcmtk", "pynetdicom"):
            rate = statistics.median(rates[name, nodelay])
            print(f"  {sender:28} -> {name:12} {rate:7.0f}   cloakroom is {mine / rate:.2f} x")


sys.exit(main())
