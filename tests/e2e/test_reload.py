"""The recipe is changed while the node runs, between associations, or not at all."""

import os
import signal
from threading import Event, Thread

import pydicom
import pytest
from factories import mr
from running import Node, wait

from scp.retrieve.send import send

HEAD = "FORMAT dicom\n%labels\nADD id {}\n%header\nREMOVE ALL\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
KEPT = "KEEP Rows\nKEEP Columns\nKEEP BitsAllocated\nKEEP SamplesPerPixel\nKEEP PixelData\n"
FIRST = HEAD.format("first") + KEPT
SECOND = HEAD.format("second") + KEPT + "KEEP Manufacturer\n"


@pytest.fixture
def node(tmp_path):
    recipe = tmp_path / "site.dicom"
    recipe.write_text(FIRST)
    node = Node(tmp_path, recipe=recipe)
    node.start()
    yield node
    node.stop()


def renew(node, text, result):
    """Write the recipe, tell the supervisor, and wait until it has looked at it."""
    name = f'cloakroom_recipe_reloads_total{{reload="{result}"}}'
    before = node.metric(name)
    (node.folder / "site.dicom").write_text(text)
    os.kill(node.process.pid, signal.SIGHUP)
    wait(lambda: node.metric(name) == before + 1, f"the recipe is {result}")


def taken(node, count):
    """Each worker has told that it uses the new recipe, and so have supervisor and status page."""
    wait(lambda: node.log.read_text().count('"recipe_loaded"') == count, "everybody has read it")


def push(node, seed=0):
    image = mr(seed, Manufacturer="PLANTMAKER")
    assert send([image], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3) == [0]


def test_the_next_association_goes_through_the_new_recipe(node):
    push(node, 1)
    renew(node, SECOND, "loaded")
    taken(node, 4)
    push(node, 2)
    files = node.published(2)
    assert sorted(pydicom.dcmread(file).get("Manufacturer", "") for file in files) == ["", "PLANTMAKER"]
    assert sorted(row["recipe"].partition("@")[0] for row in node.instances()) == ["first", "second"]
    assert len({row["recipe"] for row in node.instances()}) == 2
    [row] = [row for row in node.instances() if row["recipe"].startswith("second")]
    wait(lambda: row["recipe"].partition("@")[2] in node.get("/metrics")[1], "the metrics name the new recipe")


def test_a_recipe_that_does_not_compile_changes_nothing(node):
    renew(node, FIRST + "REMOVE PatientNmae\n", "refused")
    assert "PatientNmae" in node.log.read_text()
    push(node)
    assert [row["recipe"].partition("@")[0] for row in node.instances()] == ["first"]
    assert node.get("/readyz")[0] == 200
    renew(node, SECOND, "loaded")


def test_an_open_association_ends_with_the_recipe_it_began_with(node):
    begun, renewed = Event(), Event()

    def between(answered, _of):
        if answered == 1:
            begun.set()
            assert renewed.wait(30)

    images = [mr(number, Manufacturer="PLANTMAKER") for number in (1, 2)]
    sender = Thread(
        target=send,
        args=(images,),
        kwargs={"host": "127.0.0.1", "port": node.port, "called": "CLOAKROOM", "calling": "PACS", "progress": between},
    )
    sender.start()
    assert begun.wait(30)
    renew(node, SECOND, "loaded")
    taken(node, 4)
    renewed.set()
    sender.join(30)
    wait(lambda: len(node.instances()) == 2, "both are stored")
    assert {row["recipe"].partition("@")[0] for row in node.instances()} == {"first"}
    push(node, 3)
    assert sorted(row["recipe"].partition("@")[0] for row in node.instances()) == ["first", "first", "second"]


def test_a_worker_that_starts_later_starts_with_the_new_recipe(node):
    renew(node, SECOND, "loaded")
    taken(node, 4)
    before = node.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait(lambda: len(set(node.workers()) - set(before)) == 2, "two new workers")
    push(node)
    assert [row["recipe"].partition("@")[0] for row in node.instances()] == ["second"]
