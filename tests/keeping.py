"""A house of visits that are kept for some days only, with the retention and the exporter of a node."""

from pathlib import Path

from visiting import House, image

from scp.db.expiry import Expiry
from scp.db.exports import Ledger
from scp.exports import Surroundings
from scp.exports.exporter import Exporter
from scp.outcome import Failure, Outcome
from scp.retention import Daily, Retention
from scp.retention.visits import Visits
from scp.verify import Audit

DAY = 86_400.0
BURNED_IN = Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")


class Keeping(House):
    """Everything is kept for 30 days, but for what `days` says."""

    def __init__(self, folder, monkeypatch, days=None, **settings):
        kept = {f"{kind}_days": 30 for kind in ("published", "staged", "quarantine", "reports", "manifests")}
        super().__init__(folder, monkeypatch, retention=kept if days is None else days, **settings)
        self.expiry, self.ledger = Expiry(self.config.index_path), Ledger(self.config.index_path)
        self.where = Surroundings(self.config.export, self.staging.work, -1, lambda: self.today)
        visits = Visits(self.expiry, self.staging, self.where)
        self.retention = Retention(self.config, self.index, self.expiry, visits, self.metrics, now=lambda: self.now)
        self.clock = 0.0

    def close(self):
        """Give back what the databases hold: a test has few descriptors."""
        for each in (self.index, self.expiry, self.ledger):
            each.close()

    def daily(self):
        return Daily(self.retention, lambda: self.clock)

    def exporter(self, *names):
        return Exporter(self.ledger, names, self.where, self.metrics, now=lambda: self.now)

    def publish(self, visit, *numbers, **attributes):
        """So many instances of a visit, published; its delivery."""
        delivery = self.store(*(image(number, visit=visit, **attributes) for number in numbers or (1, 2)))
        self.later()
        return delivery

    def days(self, count):
        """So many days go by."""
        self.now += count * DAY

    def run(self):
        """Everything that is due, as (kind, name, why it stays)."""
        return [(done.due.kind, done.due.name, done.why) for done in self.retention.run()]

    def due(self):
        return [(due.kind, due.name) for due in self.retention.plan()]

    def seal(self, entry, content=b"print"):
        """A sealed original as the walk leaves it."""
        folder = self.config.quarantine / "burned_in"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{entry}.age").write_bytes(b"sealed")
        self.index.record_quarantine(entry, BURNED_IN, content, 6)
        return folder / f"{entry}.age"

    def audit(self):
        """What `cloakroom verify` finds."""
        report = Audit(self.config.export, self.config.quarantine, self.index).run()
        return [(finding.kind.label, finding.where) for finding in report.findings]

    def tree(self):
        """Every file and folder of the export root but staging's own, relative to it."""
        root = self.config.export
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if ".publishing" not in path.name)

    def papers(self):
        """Names of all reports and manifests."""
        folders = (self.config.reports, self.config.manifests)
        return sorted(path.name for folder in folders if folder.exists() for path in folder.iterdir())


def instances(house):
    """How many rows the index has."""
    return house.index.listing("totals")[0]["instances"]


def files(folder: Path):
    """Every file below."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
