"""Conversations as data: what a peer sends, what it hears, and what the house was handed."""

import io
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from peer import (
    ABORT,
    BIG_ENDIAN,
    CT,
    DATA,
    DEFLATED,
    DICOM,
    ECHO_RQ,
    ESTABLISHED,
    EXPLICIT,
    GOODBYE,
    IMPLICIT,
    LAST,
    MR,
    NEEDLE,
    RELEASE_RQ,
    STORE_ALL,
    STORE_RQ,
    STORED,
    UID,
    UNHEARD,
    VERIFICATION,
    Accepted,
    Answered,
    Closed,
    Drip,
    Node,
    Send,
    Shut,
    Step,
    Told,
    aborted,
    associate,
    command,
    command_values,
    context,
    data_set,
    element,
    elements,
    item,
    pdu,
    pdv,
    rejected,
    request,
    split,
    store_command,
)

import scp
from scp.instance import Arrival
from scp.outcome import Outcome, Rejection

ECHOED = Answered(0x8030, 0, number=1)
UNRECOGNIZED, UNEXPECTED, BAD_PARAMETER = 1, 2, 6
GIB = 1 << 30
CRUMBS = b"".join(pdu(4, pdv(3, 2 * (at == len(DATA) - 1), DATA[at : at + 1])) for at in range(len(DATA)))
IN_ONE_PDU = pdu(4, pdv(3, 3, store_command()) + pdv(3, 0, DATA[:5]) + pdv(3, 0, b"") + pdv(3, 2, DATA[5:]))
SPLIT_COMMAND = pdu(4, pdv(3, 1, store_command()[:9])) + pdu(4, pdv(3, 3, store_command()[9:]))
MANY = tuple(context(2 * number + 1, MR if number % 2 else CT, EXPLICIT, IMPLICIT) for number in range(128))
ROLES = item(0x54, struct.pack(">H", len(MR)) + MR.encode() + b"\1\1") + item(0x53, struct.pack(">HH", 0, 0))
IDENTITY = item(0x58, b"\1\1" + struct.pack(">H", 5) + b"NAME!" + struct.pack(">H", 0))


class Dialogue(NamedTuple):
    steps: Sequence[Step]
    stored: int = 0
    result: str = "aborted"


def after(*sent: bytes, heard: Sequence[Step], stored: int = 0, result: str = "aborted") -> Dialogue:
    return Dialogue((*ESTABLISHED, Send(b"".join(sent)), *heard), stored, result)


def before(sent: bytes, heard: Sequence[Step]) -> Dialogue:
    return Dialogue((Send(sent), *heard), result="")


def well(*steps: Step, stored: int = 0) -> Dialogue:
    return Dialogue((*steps, *GOODBYE), stored, "released")


def unknown(kind: int, *, data: bool = False) -> Dialogue:
    sent = command(3, request(kind, data=data)) + (data_set(3) if data else b"")
    return after(sent, heard=(Answered(kind | 0x8000, 0x0211), *GOODBYE), result="released")


def without(tag: int) -> Dialogue:
    values: dict[int, bytes | int | str] = {2: VERIFICATION, 0x100: 0x30, 0x110: 7, 0x800: 0x0101}
    del values[tag]
    return after(command(1, elements(values)), heard=aborted(BAD_PARAMETER))


DIALOGUES = {
    # What a peer should say
    "release at once": well(*ESTABLISHED),
    "echo": well(*ESTABLISHED, Send(ECHO_RQ), ECHOED),
    "echo byte by byte": well(Drip(associate()), ESTABLISHED[1], Drip(ECHO_RQ), ECHOED),
    "store": well(*ESTABLISHED, Send(STORE_ALL), STORED, stored=1),
    "several stores": well(*ESTABLISHED, *(Send(STORE_ALL), STORED) * 3, stored=3),
    "pipelined stores": well(*ESTABLISHED, Send(STORE_ALL * 3), STORED, STORED, STORED, stored=3),
    "store and echo": well(*ESTABLISHED, Send(STORE_ALL), STORED, Send(ECHO_RQ), ECHOED, stored=1),
    "data set in crumbs": well(*ESTABLISHED, Send(STORE_RQ + CRUMBS), STORED, stored=1),
    "a message in one PDU": well(*ESTABLISHED, Send(IN_ONE_PDU), STORED, stored=1),
    "a command in two fragments": well(*ESTABLISHED, Send(SPLIT_COMMAND + data_set(3)), STORED, stored=1),
    "everything at once": Dialogue(
        (Send(associate() + STORE_ALL + RELEASE_RQ), ESTABLISHED[1], STORED, *GOODBYE[1:]), 1, "released"
    ),
    "cancel is passed over": well(
        *ESTABLISHED, Send(command(3, elements({0x100: 0x0FFF, 0x120: 7, 0x800: 0x0101})) + ECHO_RQ), ECHOED
    ),
    "echo with a data set": well(
        *ESTABLISHED, Send(command(1, request(0x30, VERIFICATION, data=True)) + data_set(1)), ECHOED
    ),
    "odd UID is padded": well(
        *ESTABLISHED,
        Send(command(3, store_command(uid="1.2.3")) + data_set(3)),
        Answered(0x8001, 0, uid="1.2.3"),
        stored=1,
    ),
    "UID that is none is not repeated": well(
        *ESTABLISHED, Send(command(3, store_command(uid="1.2\nFORGED")) + data_set(3)), Answered(0x8001, 0), stored=1
    ),
    # Operations of other services
    "C-GET": unknown(0x0010, data=True),
    "C-FIND": unknown(0x0020, data=True),
    "C-MOVE": unknown(0x0021, data=True),
    "N-EVENT-REPORT": unknown(0x0100),
    "N-GET": unknown(0x0110),
    "N-SET": unknown(0x0120, data=True),
    "N-ACTION": unknown(0x0130),
    "N-CREATE": unknown(0x0140),
    "N-DELETE": unknown(0x0150),
    # Negotiation
    "128 contexts": well(Send(associate(*MANY)), Accepted({2 * number + 1: EXPLICIT for number in range(128)})),
    "no acceptable context": well(
        Send(associate(context(1, "1.2.840.10008.5.1.4.31", IMPLICIT), context(5, MR, DEFLATED, BIG_ENDIAN))),
        Accepted({1: 3, 5: 4}),
    ),
    "our order of transfer syntaxes": well(
        Send(associate(context(1, MR, BIG_ENDIAN, "1.2.840.10008.1.2.4.90", IMPLICIT, EXPLICIT))),
        Accepted({1: EXPLICIT}),
    ),
    "compressed only": well(
        Send(associate(context(1, MR, "1.2.840.10008.1.2.4.90"))), Accepted({1: "1.2.840.10008.1.2.4.90"})
    ),
    "items that nobody knows": well(
        Send(associate(user=item(0x5A, b"?") + ROLES + IDENTITY, extra=item(0x77, b"??"))), ESTABLISHED[1]
    ),
    "called title": before(associate(called=b"SOMEBODY"), rejected(1, 1, 7)),
    "calling title": before(associate(calling=b"SOMEBODY"), rejected(1, 1, 3)),
    "empty title": before(associate(calling=b" "), rejected(1, 1, 3)),
    "title that only loses its accent": before(associate(calling="MODALITYé".encode()), rejected(1, 1, 3)),
    "title with a line feed": before(associate(calling=b"MODALITY\nX"), rejected(1, 1, 3)),
    "application context": before(associate(name="1.2.840.10008.3.1.1.2"), rejected(1, 1, 2)),
    "protocol version": before(associate(version=2), rejected(1, 2, 2)),
    "protocol version with further bits": well(Send(associate(version=3)), ESTABLISHED[1]),
    "even context id": before(associate(context(2, MR, EXPLICIT)), UNHEARD),
    "the same context id twice": before(associate(context(1, MR, EXPLICIT), context(1, CT, EXPLICIT)), UNHEARD),
    "context without transfer syntax": before(associate(context(1, MR)), UNHEARD),
    "no context": before(associate(item(0x30, b"1.2")), UNHEARD),
    "maximum length without room": before(associate(max_pdu=6), UNHEARD),
    "item longer than the request": before(associate(extra=b"\x20\0\xff\xff"), UNHEARD),
    "request that ends within an item": before(associate(extra=b"\x20\0"), UNHEARD),
    "too short a request": before(pdu(1, bytes(67)), UNHEARD),
    # Before an association
    "data before association": before(ECHO_RQ, UNHEARD),
    "release before association": before(RELEASE_RQ, UNHEARD),
    "unknown type before association": before(b"GET / HTTP/1.1\r\n\r\n", UNHEARD),
    "abort before association": before(ABORT, [Closed()]),
    "4 GiB request": before(pdu(1, length=4 * GIB - 1), UNHEARD),
    "request just too long": before(pdu(1, length=256 * 1024 + 1), UNHEARD),
    "long abort before association": before(pdu(7, length=GIB), UNHEARD),
    "connection closed at once": Dialogue((Shut(),), result=""),
    "connection closed within the request": Dialogue((Send(associate()[:50]), Shut()), result=""),
    # PDUs out of place
    "abort": after(ABORT, heard=[Closed()]),
    "abort within a store": after(STORE_RQ, pdu(4, pdv(3, 0, DATA)), ABORT, heard=[Closed()]),
    "closed within a store": after(STORE_RQ, pdu(4, pdv(3, 0, DATA)), heard=[Shut()], result="failed"),
    "closed within a PDU": after(STORE_RQ, data_set(3)[:-1], heard=[Shut()], result="failed"),
    "closed without release": after(STORE_ALL, heard=[STORED, Shut()], stored=1, result="failed"),
    "second association": after(associate(), heard=aborted(UNEXPECTED)),
    "release response": after(pdu(6, bytes(4)), heard=aborted(UNEXPECTED)),
    "release within a store": after(STORE_RQ, RELEASE_RQ, heard=aborted(UNEXPECTED)),
    "unknown type": after(pdu(8, bytes(4)), heard=aborted(UNRECOGNIZED)),
    "type 0": after(pdu(0, bytes(4)), heard=aborted(UNRECOGNIZED)),
    "long release": after(pdu(5, bytes(5)), heard=aborted(BAD_PARAMETER)),
    "short release": after(pdu(5, bytes(3)), heard=aborted(BAD_PARAMETER)),
    # Fragments
    "4 GiB of data": after(pdu(4, length=4 * GIB - 1), heard=aborted(BAD_PARAMETER)),
    "data just too long": after(pdu(4, length=131_073), heard=aborted(BAD_PARAMETER)),
    "as much data as allowed": well(*ESTABLISHED, Send(STORE_RQ + data_set(3, bytes(131_072 - 6))), STORED, stored=1),
    "empty P-DATA": after(pdu(4), heard=aborted(BAD_PARAMETER)),
    "fragment without header": after(pdu(4, bytes(4)), heard=aborted(BAD_PARAMETER)),
    "fragment of length 1": after(pdu(4, struct.pack(">IBB", 1, 3, 3)), heard=aborted(BAD_PARAMETER)),
    "fragment longer than its PDU": after(pdu(4, struct.pack(">IBB", 3, 3, 3)), heard=aborted(BAD_PARAMETER)),
    "rest behind a fragment": after(pdu(4, pdv(1, 3, request(0x30)) + b"xx"), heard=[ECHOED, *aborted(6)]),
    "context never proposed": after(command(5, store_command()), heard=aborted(BAD_PARAMETER)),
    "even context": after(command(2, store_command()), heard=aborted(BAD_PARAMETER)),
    "data set on another context": after(STORE_RQ, data_set(1), heard=aborted(BAD_PARAMETER)),
    "data set that changes context": after(
        STORE_RQ, pdu(4, pdv(3, 0, DATA) + pdv(1, 2, DATA)), heard=aborted(BAD_PARAMETER)
    ),
    "data set before its command": after(data_set(3), STORE_RQ, heard=aborted(BAD_PARAMETER)),
    "second command before the data set": after(STORE_RQ, STORE_ALL, heard=aborted(BAD_PARAMETER)),
    "command within the data set": after(STORE_RQ, pdu(4, pdv(3, 0, DATA)), ECHO_RQ, heard=aborted(BAD_PARAMETER)),
    "endless crumbs": after(STORE_RQ, pdu(4, pdv(3, 0, b"x")) * 1100, heard=aborted(BAD_PARAMETER)),
    "endless nothing": after(pdu(4, pdv(3, 1, b"") * 1100), heard=aborted(BAD_PARAMETER)),
    # Commands
    "command without its field": without(0x100),
    "command without message id": without(0x110),
    "command without data set type": without(0x800),
    "command that nobody knows": after(command(3, request(0xDEAD)), heard=aborted(4)),
    "a response": after(command(3, request(0x8001)), heard=aborted(4)),
    "store without a data set": after(command(3, request(1, MR, UID)), heard=aborted(BAD_PARAMETER)),
    "empty command": after(command(3, b""), heard=aborted(BAD_PARAMETER)),
    "command cut within an element": after(command(3, store_command()[:-1]), heard=aborted(BAD_PARAMETER)),
    "command cut within a header": after(command(3, store_command() + b"\0\0"), heard=aborted(BAD_PARAMETER)),
    "command with an element twice": after(
        command(1, element(0x100, 0x30) * 2 + element(0x110, 1) + element(0x800, 0x101)), heard=aborted(BAD_PARAMETER)
    ),
    "data set as a command": after(command(3, DATA), heard=aborted(BAD_PARAMETER)),
    "command too big": after(
        command(3, elements({0x100: 1, 0x110: 1, 0x800: 1, 0x1005: bytes(16 * 1024)})), heard=aborted(BAD_PARAMETER)
    ),
    "message id of four bytes": after(
        command(1, elements({0x100: 0x30, 0x110: bytes(4), 0x800: 0x0101})), heard=aborted(BAD_PARAMETER)
    ),
}


@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogue(node: Callable[..., Node], name: str) -> None:
    dialogue = DIALOGUES[name]
    spoken = node()
    spoken.play(dialogue.steps)
    spoken.settle()
    assert len(spoken.taken) == dialogue.stored
    results = {
        result: spoken.count("associations_total", result=result) for result in ("released", "aborted", "failed")
    }
    assert results == {result: float(result == dialogue.result) for result in results}
    assert spoken.count("associations_open") == 0


def test_every_pdu_type_is_sent_to_an_established_association() -> None:
    sent = b"".join(
        step.data[:1]
        for dialogue in DIALOGUES.values()
        if dialogue.steps[:2] == ESTABLISHED
        for step in dialogue.steps[2:]
        if isinstance(step, Send)
    )
    assert set(sent) >= {0, 1, 4, 5, 6, 7, 8}


def test_every_rejection_of_a_request_is_spoken() -> None:
    heard = {step.body for dialogue in DIALOGUES.values() for step in dialogue.steps if isinstance(step, Told)}
    for rejection in Rejection:
        # The first two depend on the worker (test_limits), the third on who is known (test_identity).
        if rejection not in {Rejection.CONGESTED, Rejection.DRAINING, Rejection.USER_IDENTITY}:
            assert bytes((0, *rejection.value[:3])) in heard


def test_a_store_is_handed_in_as_it_was_sent(node: Callable[..., Node]) -> None:
    spoken = node()
    spoken.play([*ESTABLISHED, Send(STORE_RQ + CRUMBS), STORED, *GOODBYE])
    [arrival] = spoken.taken
    assert bytes(arrival.data) == DATA
    assert (arrival.sop_class_uid, arrival.sop_instance_uid, arrival.context_class) == (MR, UID, MR)
    assert arrival.transfer_syntax == EXPLICIT
    assert (arrival.peer.calling, arrival.peer.called, arrival.peer.address) == ("MODALITY", "CLOAKROOM", "127.0.0.1")
    assert spoken.count("received_bytes_total") == len(DATA)
    assert spoken.count("dimse_total", command="c_store") == 1


def test_the_class_of_the_command_and_that_of_the_context_both_go_in(node: Callable[..., Node]) -> None:
    spoken = node(answer=lambda _arrival: Outcome.MISMATCHED)
    sent = command(3, store_command(CT)) + data_set(3)
    spoken.play([*ESTABLISHED, Send(sent), Answered(0x8001, 0xA900, uid=UID), *GOODBYE])
    assert (spoken.taken[0].sop_class_uid, spoken.taken[0].context_class) == (CT, MR)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.STORAGE_FAULT])
def test_every_outcome_is_answered_with_its_status(node: Callable[..., Node], outcome: Outcome) -> None:
    spoken = node(answer=lambda _arrival: outcome)
    spoken.play([*ESTABLISHED, Send(STORE_ALL), Answered(0x8001, outcome.status, uid=UID), *GOODBYE])


def test_a_defect_of_the_house_is_answered_and_its_text_is_not_told(
    node: Callable[..., Node], told: io.StringIO
) -> None:
    def fail(arrival: Arrival) -> Outcome:
        raise RuntimeError(bytes(arrival.data).decode())

    spoken = node(answer=fail)
    spoken.play([*ESTABLISHED, *(Send(STORE_ALL), Answered(0x8001, 0x0110, uid=UID)) * 2, *GOODBYE])
    assert spoken.count("instances_total", outcome="failed") == 2
    assert '"error": "RuntimeError"' in told.getvalue()
    assert NEEDLE.decode() not in told.getvalue()


def test_titles_and_uids_of_strangers_are_not_told(node: Callable[..., Node], told: io.StringIO) -> None:
    node().play([Send(associate(calling=b"STRANGER", called=b"PLACE")), *rejected(1, 1, 7)])
    spoken = node()
    spoken.play([Send(associate(context(1, "1.2.PATIENTS.NAME", "9.NAME"))), Accepted({1: 3}), Send(ABORT), Closed()])
    spoken.settle()
    for secret in ("STRANGER", "PLACE", "NAME"):
        assert secret not in told.getvalue()


def test_an_answer_is_cut_to_what_the_peer_takes(node: Callable[..., Node]) -> None:
    line = node().connect()
    with line.sock:
        line.sock.sendall(associate(max_pdu=20) + ECHO_RQ)
        ESTABLISHED[1].play(line)
        answer, control = b"", 0
        while not control & LAST:
            kind, body = line.receive()
            control = body[5]
            answer += body[6:]
            assert (kind, len(body) <= 20, control & 1) == (4, True, 1)
        assert int.from_bytes(command_values(answer)[0x900], "little") == 0
        for step in GOODBYE:
            step.play(line)


def test_the_answer_says_who_we_are_and_that_we_stay_scp(node: Callable[..., Node]) -> None:
    line = node().connect()
    with line.sock:
        sent = associate(user=ROLES)
        line.sock.sendall(sent)
        _, body = line.receive()
        items = list(split(body[68:]))
        assert body[4:68] == sent[10:74]  # titles and reserved bytes come back as they were
        assert items[0] == (0x10, DICOM.encode())
        user = dict(split(dict(items)[0x50]))
        assert user[0x51] == struct.pack(">I", 131_072)
        assert user[0x52] == scp.IMPLEMENTATION_CLASS_UID.encode()
        assert user[0x55] == scp.IMPLEMENTATION_VERSION_NAME.encode()
        assert user[0x53] == struct.pack(">HH", 1, 1)
        assert user[0x54] == struct.pack(">H", len(MR)) + MR.encode() + b"\1\0"
        assert 0x59 not in user


def test_a_site_decides_on_transfer_syntaxes(node: Callable[..., Node]) -> None:
    spoken = node(transfer_syntaxes=(IMPLICIT,))
    proposed = associate(
        context(1, MR, EXPLICIT), context(3, MR, EXPLICIT, IMPLICIT), context(5, VERIFICATION, EXPLICIT)
    )
    spoken.play([Send(proposed), Accepted({1: 4, 3: IMPLICIT, 5: EXPLICIT}), *GOODBYE])
    spoken.settle()


def test_a_peer_that_would_be_scp_only_gets_no_context(node: Callable[..., Node]) -> None:
    role = item(0x54, struct.pack(">H", len(MR)) + MR.encode() + b"\0\1")
    node().play([Send(associate(user=role)), Accepted({1: IMPLICIT, 3: 1}), *GOODBYE])
