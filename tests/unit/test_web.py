import contextlib
import json
import os
import socket
import struct
import sys
import threading
import urllib.error
import urllib.request
from io import StringIO

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scp import log, web
from scp.metrics import declare
from scp.outcome import Failure, Outcome
from scp.web import server

NEEDLE = "QzSMITH"


class Signs(dict):
    """What the node would say, changed by each test."""

    def ask(self, name):
        def question():
            if isinstance(self[name], Exception):
                raise self[name]
            return self[name]

        return question

    def signs(self):
        return web.Signs(version="1.2.3", recipe="mip", **{name: self.ask(name) for name in self})


@pytest.fixture
def node():
    return Signs(
        health=web.Health(ready=True),
        visits={"receiving": 2, "published": 5},
        quarantined={"burned_in": 1},
        quarantine_bytes=77,
        free_bytes={"export": 10, "state": 20},
        restarts=3,
    )


@pytest.fixture
def pages(node):
    metrics = declare()
    metrics.instances.labels("stored").inc()
    return web.Pages(metrics.registry, node.signs())


@pytest.fixture
def logged():
    """What the node logs."""
    stream = StringIO()
    log._route("json", "debug", stream)
    yield stream
    log._route("auto", "info", sys.stderr)


@pytest.fixture
def address(pages, logged):  # the log is there before the server and after it
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        stop, beats = threading.Event(), []
        thread = threading.Thread(target=server.run, args=(listener, pages, stop, lambda: beats.append(1)))
        thread.start()
        yield listener.getsockname()
        stop.set()
        thread.join()
        assert beats


def get(address, path, method="GET"):
    request = urllib.request.Request(f"http://{address[0]}:{address[1]}{path}", method=method)
    try:
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def raw(address, data):
    """What comes back before the connection ends, in whichever way."""
    answer = b""
    with socket.create_connection(address) as connection, contextlib.suppress(ConnectionError):
        connection.settimeout(20)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(65536):
            answer += received
    return answer


def value(pages, name, **labels):
    body = pages.answer("/metrics").body.decode()
    for family in text_string_to_metric_families(body):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_healthz_answers_while_the_process_lives(pages, node):
    node["health"] = web.Health(ready=False, reasons=("draining",))
    assert pages.answer("/healthz").status == 200


def test_readyz_says_why_not(pages, node):
    assert pages.answer("/readyz").status == 200
    assert json.loads(pages.answer("/readyz").body) == {"ready": True, "reasons": []}
    node["health"] = web.Health(ready=False, reasons=("draining", "the disk is full"))
    answer = pages.answer("/readyz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"ready": False, "reasons": ["draining", "the disk is full"]}


@pytest.mark.parametrize("error", [OSError(NEEDLE), Failure(Outcome.OUT_OF_RESOURCES, NEEDLE)])
def test_a_node_that_cannot_say_is_not_ready(pages, node, error):
    node["health"] = error
    assert pages.answer("/readyz").status == 503
    assert NEEDLE.encode() not in pages.answer("/readyz").body
    assert b"not ready" in pages.answer("/").body


def test_metrics_hold_what_is_counted_and_what_is_asked(pages):
    assert value(pages, "cloakroom_instances_total", outcome="stored") == 1
    assert value(pages, "cloakroom_build_info", version="1.2.3", recipe="mip") == 1
    assert value(pages, "cloakroom_ready") == 1
    assert value(pages, "cloakroom_visits", state="receiving") == 2
    assert value(pages, "cloakroom_visits", state="published") == 5
    assert value(pages, "cloakroom_quarantine_instances", outcome="burned_in") == 1
    assert value(pages, "cloakroom_quarantine_bytes") == 77
    assert value(pages, "cloakroom_disk_free_bytes", volume="export") == 10
    assert value(pages, "cloakroom_disk_free_bytes", volume="state") == 20
    assert value(pages, "cloakroom_worker_restarts_total") == 3


def test_it_is_asked_anew_each_time(pages, node):
    node["visits"] = {"receiving": 9}
    assert value(pages, "cloakroom_visits", state="receiving") == 9
    assert value(pages, "cloakroom_visits", state="published") is None


@pytest.mark.parametrize("name", ["health", "visits", "quarantined", "quarantine_bytes", "free_bytes", "restarts"])
@pytest.mark.parametrize("error", [OSError(NEEDLE), Failure(Outcome.OUT_OF_RESOURCES, NEEDLE)])
def test_what_does_not_answer_is_left_out_alone(pages, node, name, error):
    complete = len(list(text_string_to_metric_families(pages.answer("/metrics").body.decode())))
    node[name] = error
    answer = pages.answer("/metrics")
    assert answer.status == 200
    assert len(list(text_string_to_metric_families(answer.body.decode()))) == complete - 1
    assert NEEDLE.encode() not in answer.body


def test_a_file_just_being_made_is_no_fault(pages, monkeypatch):
    class Registry:
        def collect(self):
            raise struct.error

    monkeypatch.setattr(pages, "_registry", Registry())
    assert pages.answer("/metrics").status == 503


@pytest.mark.parametrize("path", ["/x", "//metrics", "/metrics/", "", "/../metrics", "/%6detrics"])
def test_everything_else_is_not_found(pages, path):
    assert pages.answer(path).status == 404


def test_queries_change_nothing(pages):
    assert pages.answer(f"/readyz?name={NEEDLE}") == pages.answer("/readyz")


def test_the_start_page_names_the_others(pages):
    body = pages.answer("/").body.decode()
    assert all(f'href="{path}"' in body for path in pages.paths if path != "/")


def test_over_http(address):
    status, body, headers = get(address, "/healthz")
    assert (status, body) == (200, b'{"alive": true}\n')
    assert headers["Content-Type"] == "application/json"
    assert "Server" not in headers
    status, body, headers = get(address, "/metrics?x=1")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(headers["Content-Length"]) == len(body)
    assert get(address, "/nothing")[0] == 404
    assert get(address, "/readyz", "HEAD")[:2] == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_and_head(address, method):
    status, body, _ = get(address, f"/readyz?{NEEDLE}", method)
    assert status == 501
    assert NEEDLE.encode() not in body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n",
        b"QzSMITH\r\n\r\n",
        b"GET /QzSMITH HTTP/9.9\r\n\r\n",
        b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"",
    ],
)
def test_what_is_not_http_is_not_echoed_and_harms_nobody(address, request_bytes, logged, capfd):
    assert NEEDLE.encode() not in raw(address, request_bytes)
    assert get(address, "/healthz")[0] == 200
    assert NEEDLE not in capfd.readouterr().err + logged.getvalue()


def test_nothing_is_logged_of_a_request(address, logged, capfd):
    get(address, f"/nothing?{NEEDLE}")
    captured = capfd.readouterr()
    assert captured.err + captured.out + logged.getvalue() == ""


def test_connections_beyond_the_room_are_closed_and_it_comes_back(address, monkeypatch):
    silent = [socket.create_connection(address) for _ in range(server.CONNECTIONS)]
    try:
        for connection in silent:
            connection.sendall(b"G")
        with socket.create_connection(address) as late:
            late.settimeout(20)
            assert late.recv(1) == b""
    finally:
        for connection in silent:
            connection.close()
    while True:  # the threads of the closed connections end in their own time
        try:
            assert get(address, "/healthz")[0] == 200
        except (urllib.error.URLError, ConnectionError):
            continue
        break


def test_room_is_given_back_where_no_thread_can_be_had(address, logged, monkeypatch):
    def exhausted(*_arguments):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(server.ThreadingMixIn, "process_request", exhausted)
        for _ in range(server.CONNECTIONS + 1):
            assert raw(address, b"") == b""
    assert get(address, "/healthz")[0] == 200
    assert logged.getvalue().count("request_failed") == server.CONNECTIONS + 1


def test_room_is_given_back_where_no_thread_can_be_had_for_the_deadline(address, monkeypatch):
    def exhausted(_timer):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(server.Timer, "start", exhausted)
        for _ in range(server.CONNECTIONS + 1):
            assert raw(address, b"") == b""
    assert get(address, "/healthz")[0] == 200


def test_a_silent_connection_is_given_up(pages, monkeypatch):
    monkeypatch.setattr(server, "DEADLINE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        stop = threading.Event()
        thread = threading.Thread(target=server.run, args=(listener, pages, stop))
        thread.start()
        with socket.create_connection(listener.getsockname()) as silent:
            silent.settimeout(20)
            silent.sendall(b"GET / HT")
            assert silent.recv(100) == b""
        stop.set()
        thread.join()


def test_a_page_that_breaks_is_told_without_its_words(address, pages, monkeypatch, logged, capfd):
    def broken(*_asked):
        raise RuntimeError(NEEDLE)

    monkeypatch.setattr(pages, "answer", broken)
    assert raw(address, b"GET / HTTP/1.0\r\n\r\n") == b""
    assert '"event": "request_failed"' in logged.getvalue()
    assert '"error": "RuntimeError"' in logged.getvalue()
    assert NEEDLE not in capfd.readouterr().err + logged.getvalue()


def test_descriptors_are_given_back(address):
    get(address, "/healthz")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        get(address, "/healthz")
    assert len(os.listdir("/proc/self/fd")) <= before + 2
