import os
import threading
from dataclasses import fields

import pytest
from prometheus_client import CollectorRegistry, generate_latest, values

from scp.config import Config, prepare_process
from scp.metrics import BUCKETS, COMMANDS, RESULTS, STEPS, declare, declare_node
from scp.outcome import Outcome

# Python 3.12 warns of a fork beside threads; those of other tests that are left use none of what the child does.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


def sample(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setenv("PROMETHEUS_DISABLE_CREATED_SERIES", "")
    config = Config(state=tmp_path / "state", export=tmp_path / "export")
    prepare_process(config)
    return config.metrics_dir


def in_child(work):
    """Run in a forked process as the node's workers are."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except Exception:  # noqa: BLE001  whatever it is, the parent has to hear of it
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_every_label_is_there_with_zero():
    metrics = declare()
    for outcome in Outcome:
        assert sample(metrics, "cloakroom_instances_total", outcome=outcome.label) == 0
    for result in RESULTS:
        assert sample(metrics, "cloakroom_associations_total", result=result) == 0
    for command in COMMANDS:
        assert sample(metrics, "cloakroom_dimse_total", command=command) == 0
    for step in STEPS:
        assert sample(metrics, "cloakroom_step_seconds_count", step=step) == 0
        for bucket in BUCKETS:
            assert sample(metrics, "cloakroom_step_seconds_bucket", step=step, le=str(bucket)) == 0


def test_what_is_counted_is_read_back():
    metrics = declare()
    metrics.instances.labels("stored").inc()
    metrics.received_bytes.inc(5)
    metrics.stored_bytes.inc(7)
    metrics.associations_open.inc()
    metrics.published_visits.inc()
    metrics.published_instances.inc(9)
    metrics.step_seconds.labels("store").observe(0.004)
    assert sample(metrics, "cloakroom_instances_total", outcome="stored") == 1
    assert sample(metrics, "cloakroom_received_bytes_total") == 5
    assert sample(metrics, "cloakroom_stored_bytes_total") == 7
    assert sample(metrics, "cloakroom_associations_open") == 1
    assert sample(metrics, "cloakroom_published_visits_total") == 1
    assert sample(metrics, "cloakroom_published_instances_total") == 9
    assert sample(metrics, "cloakroom_step_seconds_bucket", step="store", le="0.0025") == 0
    assert sample(metrics, "cloakroom_step_seconds_bucket", step="store", le="0.005") == 1


def test_two_processes_of_one_test_do_not_meet():
    first, second = declare(), declare(CollectorRegistry())
    first.published_visits.inc()
    assert sample(second, "cloakroom_published_visits_total") == 0


def test_declaring_leaves_the_library_as_it_was(folder):
    before = values.ValueClass
    declare()
    declare_node(folder)
    assert values.ValueClass is before


def test_names_have_the_prefix_base_units_and_total():
    for family in declare().registry.collect():
        assert family.name.startswith("cloakroom_")
        assert family.documentation.endswith(".")
        if family.type == "counter":
            assert all(item.name.endswith(("_total", "_created")) for item in family.samples)
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_rows"))


def test_a_nodes_processes_are_added_up(folder):
    metrics = declare_node(folder)
    for number in (1, 2):

        def work(number=number):
            metrics.identify(f"worker-{number}")
            metrics.instances.labels("stored").inc(number)
            metrics.associations_open.inc()
            metrics.step_seconds.labels("store").observe(0.1)

        in_child(work)
    metrics.instances.labels("stored").inc(10)
    assert sample(metrics, "cloakroom_instances_total", outcome="stored") == 13
    assert sample(metrics, "cloakroom_instances_total", outcome="burned_in") == 0
    assert sample(metrics, "cloakroom_associations_open") == 2
    assert sample(metrics, "cloakroom_step_seconds_count", step="store") == 2


def test_a_restarted_worker_goes_on_in_its_file_but_holds_no_associations(folder):
    metrics = declare_node(folder)

    def work():
        metrics.identify("worker-1")
        metrics.instances.labels("stored").inc()
        metrics.associations_open.inc()

    in_child(work)
    files = sorted(folder.iterdir())
    in_child(work)
    assert sorted(folder.iterdir()) == files
    assert sample(metrics, "cloakroom_instances_total", outcome="stored") == 2
    assert sample(metrics, "cloakroom_associations_open") == 1


def test_a_node_starts_at_zero(folder):
    declare_node(folder).published_visits.inc()
    assert sample(declare_node(folder), "cloakroom_published_visits_total") == 0


def test_a_nodes_page_holds_every_metric_once(folder):
    page = generate_latest(declare_node(folder).registry).decode()
    alone = generate_latest(declare().registry).decode()
    typed = [line for line in page.splitlines() if line.startswith("# TYPE")]
    assert len(typed) == len(set(typed))
    assert set(typed) == {line for line in alone.splitlines() if line.startswith("# TYPE") and "_created" not in line}
    assert len(typed) == len(fields(declare())) - 2


@pytest.mark.parametrize("name", ["", "worker_1", "../x", "Worker"])
def test_a_slots_name_is_a_part_of_a_file_name(name):
    with pytest.raises(ValueError, match="slot"):
        declare().identify(name)


def test_a_step_is_observed_once_also_where_it_fails():
    metrics = declare()
    with metrics.step("store"):
        pass
    with pytest.raises(KeyError), metrics.step("store"):
        raise KeyError
    assert sample(metrics, "cloakroom_step_seconds_count", step="store") == 2
    assert 0 < sample(metrics, "cloakroom_step_seconds_sum", step="store") < 10
    assert sample(metrics, "cloakroom_step_seconds_count", step="index") == 0


def test_a_step_within_a_step_is_told_apart():
    metrics = declare()
    with metrics.step("store"), metrics.step("store"):
        pass
    assert sample(metrics, "cloakroom_step_seconds_count", step="store") == 2


def test_the_same_labels_are_the_same_child_and_others_are_refused():
    metrics = declare()
    assert metrics.instances.labels("stored") is metrics.instances.labels("stored")
    assert metrics.instances.labels("stored") is not metrics.instances.labels("unchanged")
    with pytest.raises(ValueError, match="label count"):
        metrics.instances.labels("stored", "twice")


def test_what_threads_count_at_once_is_all_there(folder):
    metrics = declare_node(folder)
    metrics.identify("worker-1")

    def count():
        for _ in range(2_000):
            metrics.instances.labels("stored").inc()
            metrics.received_bytes.inc(3)
            metrics.associations_open.inc()
            metrics.associations_open.dec()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sample(metrics, "cloakroom_instances_total", outcome="stored") == 8_000
    assert sample(metrics, "cloakroom_received_bytes_total") == 24_000
    assert sample(metrics, "cloakroom_associations_open") == 0


def test_a_child_counts_into_its_own_file_from_its_identity_on(folder):
    metrics = declare_node(folder)
    metrics.stored_bytes.inc(1)
    inherited = metrics.instances.labels("stored")

    def work():
        metrics.identify("worker-1")
        inherited.inc(5)
        metrics.stored_bytes.inc(2)

    in_child(work)
    metrics.stored_bytes.inc(4)
    assert sample(metrics, "cloakroom_stored_bytes_total") == 7
    assert sample(metrics, "cloakroom_instances_total", outcome="stored") == 5
    before = (folder / "counter_worker-1.db").read_bytes()
    metrics.stored_bytes.inc(8)
    assert (folder / "counter_worker-1.db").read_bytes() == before
