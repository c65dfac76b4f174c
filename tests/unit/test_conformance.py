"""The conformance statement's tables are compared with the program's."""

import re
from pathlib import Path

import pytest

from scp.config import Config, rows
from scp.outcome import Outcome, Rejection
from scp.receive import negotiation
from scp.receive.commands import UNRECOGNIZED_OPERATION, Field
from scp.receive.wire import Reason

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^#+ ([\d.]+) .*?\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL))
PERFORMED = {Field.C_STORE_RQ, Field.C_ECHO_RQ, Field.C_CANCEL_RQ}


def table(section: str) -> list[tuple[str, ...]]:
    """The rows of the section's one table, without its head and backquotes."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    assert lines, section
    return cells(lines)[2:]


def cells(lines: list[str]) -> list[tuple[str, ...]]:
    return [tuple(cell.strip().replace("`", "") for cell in line.split("|")[1:-1]) for line in lines]


def tables(section: str) -> list[list[tuple[str, ...]]]:
    """The rows of each of the section's tables."""
    found = re.findall(r"(?:^\|.*\n)+", SECTIONS[section], re.MULTILINE)
    return [cells(block.splitlines())[2:] for block in found]


def test_every_section_of_ps3_2_is_there():
    names = re.findall(r"^## \d+ (.*)$", PAGE, re.MULTILINE)
    assert names == [
        "Overview",
        "Introduction",
        "Networking",
        "AE specification: Storage AE",
        "Configuration",
        "Network interfaces",
        "Support of character sets",
        "Security",
    ]


def test_the_sop_classes_are_those_accepted():
    stated = [uid for _, uid, _ in table("4.2.1.1")]
    assert len(set(stated)) == len(stated)
    assert set(stated) == negotiation.STORAGE_CLASSES
    assert {role for _, _, role in table("4.2.1.1")} == {"SCP"}
    assert not any(name.startswith("1.") for name, _, _ in table("4.2.1.1"))
    assert f"Verification (`{negotiation.VERIFICATION}`)" in SECTIONS["4.2.1.2"]


def test_the_transfer_syntaxes_are_those_accepted_in_their_order():
    assert [uid for _, uid in table("4.2.1.2")] == list(negotiation.TRANSFER_SYNTAXES)


def test_the_general_parameters_are_the_ones_used():
    stated = dict(table("4.1.1"))
    defaults = {row.key: row.default for row in rows(Config())}
    assert stated["Application Context Name"] == negotiation.APPLICATION_CONTEXT
    assert stated["Implementation Class UID"] == negotiation.IMPLEMENTATION_CLASS_UID
    assert stated["Implementation Version Name"] == negotiation.IMPLEMENTATION_VERSION_NAME
    assert stated["Maximum A-ASSOCIATE-RQ length"] == f"{negotiation.MAX_REQUEST_BYTES} bytes"
    assert stated["AE title"] == f"ae_title, default {Config().ae_title}"
    assert (
        stated["Maximum PDU length received"]
        == f"limits.max_pdu_bytes, default {defaults['limits.max_pdu_bytes']} bytes"
    )


def test_the_number_of_associations_is_the_limit():
    assert f"`limits.max_associations` at once (default {Config().limits.max_associations})" in SECTIONS["4.1.2"]


def test_every_rejection_is_stated_and_none_else():
    rejections, _ = tables("4.1.6")
    assert rejections == [
        (str(row.value.result), str(row.value.source), str(row.value.reason), row.label, row.value.meaning)
        for row in Rejection
    ]


def test_every_reason_of_an_abort_is_stated_and_none_else():
    _, reasons = tables("4.1.6")
    assert [row[:3] for row in reasons] == [("2", str(int(reason)), reason.name) for reason in Reason]


@pytest.mark.parametrize("reason", Reason)
def test_an_abort_says_what_is_stated(reason):
    assert negotiation.abort(reason)[-2:] == bytes((2, reason))


def test_a_node_that_leaves_aborts_as_stated():
    assert negotiation.abort(None)[-2:] == bytes((0, 0))


def test_every_status_is_stated_and_none_else():
    assert [row[1:] for row in table("4.2.1.3")] == [
        (f"0x{outcome.status:04X}", outcome.label, outcome.meaning) for outcome in Outcome
    ]


def test_the_kind_of_each_status_is_that_of_ps3_4():
    """PS3.4 Table B.2-1 and PS3.7 Annex C, by the first digits of the code."""
    kinds = {"0000": "Success", "0110": "Failed", "0122": "Refused", "0124": "Refused", "A7": "Refused", "A9": "Error"}
    for kind, status, _, _ in table("4.2.1.3"):
        code = status.removeprefix("0x")
        expected = kinds.get(code) or kinds.get(code[:2]) or {"C": "Error"}[code[0]]
        assert kind.split(":")[0] == expected, status


def test_every_command_is_stated_with_its_answer():
    stated = table("4.2.3")
    assert [(name, field) for name, field, _ in stated] == [(field.name, f"0x{field:04X}") for field in Field]
    unknown = f"0x{UNRECOGNIZED_OPERATION:04X}, unrecognized operation"
    assert {name for name, _, answer in stated if answer != unknown} == {field.name for field in PERFORMED}


def test_every_limit_is_stated_and_none_else():
    assert table("5") == [
        (row.key, row.default.replace("`", ""), row.description)
        for row in rows(Config())
        if row.key.startswith("limits.")
    ]
