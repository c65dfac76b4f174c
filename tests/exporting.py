"""A house whose published visits are exported, without a node."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from doubles import VISIT
from visiting import House, image

from scp.db.exports import Ledger
from scp.exports import Surroundings
from scp.exports.exporter import Exporter

DAY = "2031/20310203"
VALIDATOR = Path(sys.executable).parent / "bids-validator-deno"


class Exporting(House):
    """A house with an exporter that has the same clock and day."""

    def __init__(self, folder, monkeypatch, names=("catalog", "nifti")):
        super().__init__(folder, monkeypatch)
        monkeypatch.setattr("scp.db.exports.time.time", lambda: self.now)
        self.ledger = Ledger(self.config.index_path)
        self.where = Surroundings(self.config.export, self.staging.work, -1, lambda: self.today)
        self.exporter = self.restarted(*names)

    def restarted(self, *names):
        return Exporter(self.ledger, names, self.where, self.metrics, now=lambda: self.now)

    def publish(self, visit=VISIT, count=4, **attributes):
        pixels = {"Rows": 8, "Columns": 8, "PixelData": np.arange(64, dtype="<u2").tobytes()}
        self.store(*(image(number, visit=visit, **{**pixels, **attributes}) for number in range(1, count + 1)))
        assert self.later() == 1

    def states(self):
        return {(row["name"], row["scan_research_id"], row["number"]): row["state"] for row in self.listing()}

    def listing(self):
        return self.ledger.listing("exports")

    def table(self):
        with (self.config.export / "EHR" / DAY / "mri_visits.csv").open() as file:
            return list(csv.DictReader(file))


def complaints(root, folder):
    """What the validator says that is wrong: its code and the file; it needs no network."""
    environment = {**os.environ, "DENO_DIR": str(folder / "deno"), "NO_COLOR": "1"}
    done = subprocess.run(
        [VALIDATOR, root, "--format", "json"], capture_output=True, check=False, env=environment, timeout=100
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    wrong = [(one["code"], one.get("location", "")) for one in found if one["severity"] == "error"]
    assert done.returncode == 0 or wrong, done.stderr
    return wrong
