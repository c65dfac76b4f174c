"""The status port as the node runs it: forked, with the metrics of other processes behind it."""

import os
import signal
import socket
import threading
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scp import web
from scp.config import Config, prepare_process
from scp.metrics import declare_node

# Python 3.12 warns of a fork beside threads; those of other tests that are left use none of what the child does.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

CHILDREN, TIMES = 4, 500


@pytest.fixture
def metrics(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setenv("PROMETHEUS_DISABLE_CREATED_SERIES", "")
    config = Config(state=tmp_path / "state", export=tmp_path / "export")
    prepare_process(config)
    return declare_node(config.metrics_dir)


def fork(work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def page(metrics):
    """Reads /metrics of a forked web server, which SIGTERM ends."""
    signs = web.Signs("1", "mip", lambda: web.Health(ready=True), dict, dict, int, dict, int)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        address = listener.getsockname()

        def serve():
            metrics.identify("web")
            stop = threading.Event()
            signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
            web.run(listener, web.Pages(metrics.registry, signs), stop)

        child = fork(serve)

        def read():
            with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/metrics") as response:
                return response.read().decode()

        yield read
        os.kill(child, signal.SIGTERM)
        assert ended(child) == 0


def value(text, name, **labels):
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )


def test_it_adds_up_what_all_processes_count(metrics, page):
    def work(number):
        metrics.identify(f"worker-{number}")
        for _ in range(TIMES):
            metrics.instances.labels("stored").inc()
            metrics.received_bytes.inc(1024)
            metrics.step_seconds.labels("store").observe(0.003)

    children = [fork(lambda number=number: work(number)) for number in range(CHILDREN)]
    seen = [value(page(), "cloakroom_instances_total", outcome="stored") for _ in range(20)]
    assert seen == sorted(seen)
    assert [ended(child) for child in children] == [0] * CHILDREN
    text = page()
    assert value(text, "cloakroom_instances_total", outcome="stored") == CHILDREN * TIMES
    assert value(text, "cloakroom_received_bytes_total") == CHILDREN * TIMES * 1024
    assert value(text, "cloakroom_step_seconds_count", step="store") == CHILDREN * TIMES
    assert value(text, "cloakroom_step_seconds_bucket", step="store", le="0.0025") == 0
    assert value(text, "cloakroom_step_seconds_bucket", step="store", le="0.005") == CHILDREN * TIMES


def test_threads_of_one_process_lose_no_count(metrics, page):
    def count():
        for _ in range(TIMES):
            metrics.stored_bytes.inc(3)
            metrics.associations_open.inc()
            metrics.associations_open.dec()

    def work():
        metrics.identify("worker-1")
        threads = [threading.Thread(target=count) for _ in range(CHILDREN)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ended(fork(work)) == 0
    assert value(page(), "cloakroom_stored_bytes_total") == CHILDREN * TIMES * 3
    assert value(page(), "cloakroom_associations_open") == 0


def test_a_worker_that_was_killed_is_still_counted_and_holds_nothing_after_its_restart(metrics, page):
    reached, told = os.pipe()

    def work():
        metrics.identify("worker-1")
        metrics.instances.labels("stored").inc()
        metrics.associations_open.inc()
        os.write(told, b"x")
        signal.pause()

    child = fork(work)
    assert os.read(reached, 1) == b"x"
    assert value(page(), "cloakroom_associations_open") == 1
    os.kill(child, signal.SIGKILL)
    assert ended(child) == -signal.SIGKILL
    assert ended(fork(lambda: metrics.identify("worker-1"))) == 0
    os.close(reached)
    os.close(told)
    text = page()
    assert value(text, "cloakroom_instances_total", outcome="stored") == 1
    assert value(text, "cloakroom_associations_open") == 0


def test_no_line_names_a_process_or_appears_twice(metrics, page):
    for number in range(2):
        assert ended(fork(lambda number=number: metrics.identify(f"worker-{number}"))) == 0
    lines = page().splitlines()
    series = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    assert not any("pid=" in line or "worker-" in line for line in lines)
