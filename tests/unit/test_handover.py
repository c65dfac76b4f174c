"""What the steward and the exporter need of the machine is asked before anything starts."""

import os

import pytest
from doubles import metrics
from exporting import Exporting
from running import descriptors

from scp import build, handover
from scp.config import Config, ConfigError


@pytest.fixture
def config(tmp_path):
    return Config(state=tmp_path / "state", export=tmp_path / "export")


def test_a_group_is_one_that_the_node_may_give(config, monkeypatch):
    assert handover.group_of(config) == -1
    other = config.model_copy(update={"export_group": "1011"})
    monkeypatch.setattr("os.getgroups", lambda: [5])
    monkeypatch.setattr("os.geteuid", lambda: 7)
    with pytest.raises(ConfigError, match="export_group: the node runs as no member of group 1011"):
        build.prepare(other)
    monkeypatch.setattr("os.getgroups", lambda: [5, 1011])
    assert handover.group_of(other) == 1011
    monkeypatch.setattr("os.getgroups", list)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert handover.group_of(other) == 1011


@pytest.mark.parametrize(
    ("update", "named"),
    [
        ({"exports": ("catalog", "nifti")}, "exports"),
        ({"exports": ("bids",)}, "exports"),
        ({"dcm2niix": "warn"}, "gates.dcm2niix"),
    ],
)
def test_what_needs_dcm2niix_does_not_start_without_it(config, monkeypatch, update, named):
    monkeypatch.setattr("scp.handover.program", lambda: None)
    handover.check(config)
    gates = config.gates.model_copy(update=update)
    asked = config.model_copy(update={"gates": gates} if "dcm2niix" in update else update)
    with pytest.raises(ConfigError, match=f"^{named}: dcm2niix is not installed"):
        build.prepare(asked)
    assert not config.state.exists()
    monkeypatch.setattr("scp.handover.program", lambda: "/bin/true")
    handover.check(asked)


def test_the_parts_have_what_is_configured(config):
    asked = config.model_copy(update={"export_group": str(os.getegid() or 1), "exports": ("catalog",)})
    os.close(build.prepare(asked).lock)
    steward, exporter = build.steward(asked, metrics()), handover.exporter(asked, metrics())
    assert steward.publisher.group == exporter.where.group == int(asked.export_group)
    assert steward.publisher.manifests.folder == config.state / "manifests"
    assert exporter.names == ("catalog",)
    assert (exporter.where.gzip, exporter.where.bids) == (False, asked.bids)
    assert (exporter.round(), steward.round()) == (0, 0)


def test_exports_are_counted_by_state_and_only_the_configured_ones(tmp_path, monkeypatch):
    house = Exporting(tmp_path, monkeypatch, ("catalog",))
    asked = house.config.model_copy(update={"exports": ("catalog", "bids")})
    assert handover.exports(asked) == {}
    house.publish()
    house.exporter.round()
    house.ledger.offer("bids", 0.0)
    house.ledger.offer("nifti", 0.0)
    assert handover.exports(asked) == {"bids waiting": 1, "catalog done": 1}
    before = descriptors()
    assert [handover.exports(asked) for _ in range(20)][-1] == {"bids waiting": 1, "catalog done": 1}
    assert descriptors() <= before
