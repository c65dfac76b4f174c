"""What docs/cli.md tells the data-protection officer to do, done with the age program."""

import json
import subprocess

import pytest
from factories import encode, mr

from scp.retrieve.send import send

pytestmark = pytest.mark.debian


def test_the_officer_opens_what_was_sealed(node):
    original = mr(BurnedInAnnotation="YES")
    send([original], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)
    (entry,) = json.loads(node.command("quarantine", "list", "--json").stdout)
    file = json.loads(node.command("quarantine", "show", entry["id"], "--json").stdout)["file"]
    elsewhere = node.folder / "officer.key"
    (node.state / "keys" / "officer.key").rename(elsewhere)

    opened = subprocess.run(
        ["age", "--decrypt", "--identity", elsewhere, file], check=True, capture_output=True, timeout=30
    ).stdout
    head, _, data = opened.partition(b"\n")
    assert json.loads(head)["why"] == "BurnedInAnnotation is YES"
    assert json.loads(head)["calling_ae_title"].strip() == "PACS"
    assert data == encode(original)


def test_another_key_opens_nothing(node):
    send(
        [mr(BurnedInAnnotation="YES")], host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3
    )
    (entry,) = json.loads(node.command("quarantine", "list", "--json").stdout)
    file = json.loads(node.command("quarantine", "show", entry["id"], "--json").stdout)["file"]
    made = subprocess.run(["age-keygen"], check=True, capture_output=True, timeout=30).stdout
    (node.folder / "other.key").write_bytes(made)
    refused = subprocess.run(
        ["age", "--decrypt", "--identity", node.folder / "other.key", file],
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert refused.returncode != 0
    assert refused.stdout == b""
