import dataclasses

import factories
import pytest

from scp.instance import Arrival, DeidentifiedInstance, Identity, Instance, Peer, Source, Subject

TYPES = (Peer, Arrival, Instance, Identity, Subject, Source, DeidentifiedInstance)


@pytest.mark.parametrize("kind", TYPES)
def test_what_walks_is_never_changed(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert hasattr(kind, "__slots__")


def test_nothing_identified_shows_itself():
    arrival = factories.arrival(factories.mr(1))
    identity = Identity(patient_id=factories.needle("id"), issuer=factories.needle("issuer"), study_uid="1.2.3")
    instance = Instance(arrival, dataset=None)
    for shown in map(repr, (arrival, identity, instance)):
        assert all(needle.decode() not in shown for needle in factories.needles(1))
        assert factories.needle("id") not in shown
        assert arrival.sop_instance_uid not in shown


def test_a_subject_keeps_its_secret():
    assert "secret" not in repr(Subject("SABC", "1234", b"secret"))


def test_identified_and_deidentified_share_no_ancestor():
    assert not issubclass(DeidentifiedInstance, Instance | Arrival)
    assert getattr(DeidentifiedInstance, "__final__", False)
