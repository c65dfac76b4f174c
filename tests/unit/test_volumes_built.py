"""The walk of volumes as the configuration wants it."""

import os

import pytest
from doubles import metrics

from scp import build, handover
from scp.config import Config, Inbound
from scp.outcome import Failure, Outcome


@pytest.fixture
def config(tmp_path):
    return Config(state=tmp_path / "state", export=tmp_path / "export")


def test_the_walk_of_volumes_goes_by_the_configuration(config):
    node = build.prepare(config)
    intake = build.intake(node, metrics())
    settings = {"inbound": Inbound(issuer="COHORT"), "min_free_bytes": 100, "export_group": str(os.getegid())}
    asked = config.model_copy(update=settings)
    walk = handover.volumes(asked, intake, lambda: {"state": 1000, "export": 150})
    assert (walk.issuer, walk.group, walk.most) == ("COHORT", os.getegid(), config.limits.max_instance_bytes)
    assert (walk.linkage, walk.index, walk.quarantine) == (intake.linkage, intake.index, intake.quarantine)
    walk.room(50)
    with pytest.raises(Failure) as caught:
        walk.room(51)
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES

    def silent():
        raise OSError

    with pytest.raises(Failure) as caught:
        handover.volumes(asked, intake, silent).room(0)
    assert caught.value.outcome is Outcome.OUT_OF_RESOURCES
    os.close(node.lock)
