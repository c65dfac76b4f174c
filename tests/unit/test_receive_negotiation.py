"""A-ASSOCIATE: pynetdicom's requests read, our answers read by pynetdicom, and nothing but the standard's errors."""

import re
import struct
import warnings
from collections.abc import Iterator

import pydicom.config
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AllStoragePresentationContexts, build_context
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

import scp
from scp.outcome import Rejection
from scp.receive import negotiation
from scp.receive.negotiation import STORAGE_CLASSES, TRANSFER_SYNTAXES, VERIFICATION, Context, Request
from scp.receive.wire import ProtocolError, Reason

MR = "1.2.840.10008.5.1.4.1.1.4"
REFUSED = {
    "1.2.840.10008.1.2.1.99",  # deflated
    "1.2.840.10008.1.2.2",  # big endian
    "1.2.840.10008.1.2.4.204",  # JPIP
    "1.2.840.10008.1.2.4.205",
    "1.2.840.10008.1.2.7.1",  # SMPTE ST 2110: pixel data in another stream
    "1.2.840.10008.1.2.7.2",
    "1.2.840.10008.1.2.7.3",
}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = pydicom.config.settings.reading_validation_mode
    negotiation.quieten()
    yield
    pydicom.config.settings.reading_validation_mode = before


def asked(*contexts: PresentationContext, identity: bool = False) -> bytes:
    """The body of an A-ASSOCIATE-RQ as pynetdicom writes it."""
    primitive = A_ASSOCIATE()
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY", "CLOAKROOM"
    primitive.application_context_name = negotiation.APPLICATION_CONTEXT
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = list(contexts)
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16382
    implementation.implementation_class_uid = UID("1.2.3")
    primitive.user_information = [length, implementation]
    if identity:
        user = UserIdentityNegotiation()
        user.user_identity_type, user.primary_field = 1, b"NEEDLE"
        user.positive_response_requested = True
        primitive.user_information.append(user)
    return A_ASSOCIATE_RQ(primitive).encode()[6:]


def read(body: bytes) -> Request:
    request = negotiation.read(body, "192.0.2.1")
    assert isinstance(request, Request)
    return request


def answered(body: bytes) -> Request | Rejection | ProtocolError:
    """What a body is to us; everything else than these three is a defect, and raised."""
    try:
        return negotiation.read(body, "192.0.2.1")
    except ProtocolError as error:
        assert error.reason is Reason.INVALID_PARAMETER  # noqa: PT017  it is returned too
        assert "NEEDLE" not in str(error)  # noqa: PT017
        assert error.__cause__ is None  # noqa: PT017
        return error


def accepted(answer: bytes) -> A_ASSOCIATE:
    pdu = A_ASSOCIATE_AC()
    pdu.decode(answer)
    return pdu.to_primitive()


def test_a_request_is_read_as_pynetdicom_wrote_it() -> None:
    request = read(asked(build_context(MR), build_context(VERIFICATION), identity=True))
    assert (request.peer.calling, request.peer.called, request.peer.address) == ("MODALITY", "CLOAKROOM", "192.0.2.1")
    assert [(context.context_id, context.abstract_syntax) for context in request.contexts] == [
        (1, MR),
        (3, VERIFICATION),
    ]
    assert request.max_pdu_bytes == 16382
    assert not request.asynchronous


def test_our_answer_is_read_by_pynetdicom() -> None:
    request = read(asked(build_context(MR), build_context("1.2.840.10008.5.1.4.31"), build_context(VERIFICATION)))
    answer, contexts = negotiation.accept(request, STORAGE_CLASSES, 131_072)
    primitive = accepted(answer)
    assert [context.result for context in primitive.presentation_context_definition_results_list] == [0, 3, 0]
    assert primitive.maximum_length_received == 131_072
    assert primitive.implementation_class_uid == scp.IMPLEMENTATION_CLASS_UID
    assert contexts == {1: Context(MR, TRANSFER_SYNTAXES[0]), 5: Context(VERIFICATION, TRANSFER_SYNTAXES[0])}


def test_every_storage_class_is_accepted_in_128_contexts_at_a_time() -> None:
    everything = [build_context(uid) for uid in sorted(STORAGE_CLASSES)]
    taken = set()
    for start in range(0, len(everything), 128):
        part = everything[start : start + 128]
        _, contexts = negotiation.accept(read(asked(*part)), STORAGE_CLASSES, 131_072)
        taken |= {context.abstract_syntax for context in contexts.values()}
    assert taken == STORAGE_CLASSES
    assert {context.abstract_syntax for context in AllStoragePresentationContexts} <= STORAGE_CLASSES


def test_configuration_narrows_what_is_stored_but_not_the_echo() -> None:
    request = read(asked(build_context(MR), build_context("1.2.840.10008.5.1.4.1.1.2"), build_context(VERIFICATION)))
    _, contexts = negotiation.accept(request, frozenset({MR}), 131_072)
    assert {context.abstract_syntax for context in contexts.values()} == {MR, VERIFICATION}


def test_every_transfer_syntax_that_pydicom_knows_is_either_taken_or_refused() -> None:
    known = {str(uid) for uid in AllTransferSyntaxes}
    assert known - set(TRANSFER_SYNTAXES) <= REFUSED
    assert not REFUSED & set(TRANSFER_SYNTAXES)
    assert len(set(TRANSFER_SYNTAXES)) == len(TRANSFER_SYNTAXES)
    for uid in TRANSFER_SYNTAXES:
        assert UID(uid).is_transfer_syntax


@pytest.mark.parametrize("syntax", [*TRANSFER_SYNTAXES, *sorted(REFUSED)])
def test_a_transfer_syntax_proposed_alone(syntax: str) -> None:
    _, contexts = negotiation.accept(read(asked(build_context(MR, syntax))), STORAGE_CLASSES, 131_072)
    assert contexts == ({} if syntax in REFUSED else {1: Context(MR, syntax)})


@given(st.permutations(TRANSFER_SYNTAXES), st.integers(1, len(TRANSFER_SYNTAXES)))
def test_our_order_of_preference_decides(proposed: list[str], count: int) -> None:
    _, contexts = negotiation.accept(read(asked(build_context(MR, proposed[:count]))), STORAGE_CLASSES, 131_072)
    assert contexts[1].transfer_syntax == min(proposed[:count], key=TRANSFER_SYNTAXES.index)


@given(st.permutations(TRANSFER_SYNTAXES), st.integers(1, 12), st.permutations(TRANSFER_SYNTAXES), st.integers(1, 12))
def test_a_site_has_its_own_order_and_what_it_does_not_name_is_not_taken(
    wanted: list[str], many: int, proposed: list[str], count: int
) -> None:
    site, offered = wanted[:many], proposed[:count]
    request = read(asked(build_context(MR, offered), build_context(VERIFICATION, offered)))
    answer, contexts = negotiation.accept(request, STORAGE_CLASSES, 131_072, transfer_syntaxes=site)
    both = [uid for uid in site if uid in offered]
    assert contexts.get(1) == (Context(MR, both[0]) if both else None)
    assert contexts[3] == Context(VERIFICATION, min(offered, key=TRANSFER_SYNTAXES.index)), "whatever images may be"
    results = accepted(answer).presentation_context_definition_results_list
    assert [context.result for context in results] == [0 if both else 4, 0]


@pytest.mark.parametrize("rejection", Rejection)
def test_every_rejection_is_one_that_pynetdicom_can_name(rejection: Rejection) -> None:
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(negotiation.reject(rejection))
    primitive = pdu.to_primitive()
    assert (primitive.result, primitive.result_source, primitive.diagnostic) == rejection.value[:3]
    assert pdu.reason_str != "(reserved)"


@pytest.mark.parametrize("reason", [None, *Reason])
def test_every_abort_is_one_that_pynetdicom_can_name(reason: Reason | None) -> None:
    pdu = A_ABORT_RQ()
    pdu.decode(negotiation.abort(reason))
    assert (pdu.source, pdu.reason_diagnostic) == ((0, 0) if reason is None else (2, reason))
    assert "eserved" not in pdu.reason_str or reason is None


def test_a_release_is_pynetdicoms() -> None:
    assert negotiation.release() == A_RELEASE_RP().encode()


@given(st.binary(max_size=400))
def test_whatever_follows_the_titles_is_a_request_or_a_known_answer(items: bytes) -> None:
    body = asked(build_context(MR))[:68] + items
    assert isinstance(answered(body), Request | Rejection | ProtocolError)


@given(st.data())
def test_a_request_with_a_few_bytes_changed_is_a_request_or_a_known_answer(data: st.DataObject) -> None:
    body = bytearray(asked(build_context(MR), build_context(VERIFICATION), identity=True))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        request = answered(bytes(body))
    if isinstance(request, Request):
        _, contexts = negotiation.accept(request, STORAGE_CLASSES, 131_072)
        assert {context.abstract_syntax for context in contexts.values()} <= {MR, VERIFICATION} | STORAGE_CLASSES


@given(st.data())
def test_a_request_cut_anywhere_is_none(data: st.DataObject) -> None:
    body = asked(build_context(MR))
    cut = data.draw(st.integers(0, len(body) - 1))
    request = answered(body[:cut])
    # Cut between two items, what remains lacks the application context, or only the user information.
    if isinstance(request, Request):
        assert cut >= body.index(b"\x50\0", 68)
    else:
        assert request is Rejection.APPLICATION_CONTEXT or isinstance(request, ProtocolError)


def test_what_a_stranger_names_is_neither_warned_about_nor_logged(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    body = asked(build_context(MR))
    item = struct.pack(">BBH", 0x30, 0, len(MR)) + MR.encode()
    for name in (b"NEEDLE", b"NEEDLE\xff" * 3, b"NEEDLE" * 20):
        changed = body.replace(item, struct.pack(">BBH", 0x30, 0, len(name)) + name)
        start = changed.index(b"\x20\0", 68)
        length = struct.unpack_from(">H", changed, start + 2)[0] + len(name) - len(MR)
        changed = changed[: start + 2] + struct.pack(">H", length) + changed[start + 4 :]
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            request = answered(changed)
            if isinstance(request, Request):
                assert negotiation.accept(request, STORAGE_CLASSES, 131_072)[1] == {}
            assert not isinstance(request, Rejection)
        assert not warned
    assert "NEEDLE" not in caplog.text
    assert "NEEDLE" not in capfd.readouterr().err


def test_our_implementation_uid_is_a_uuids() -> None:
    root, number = scp.IMPLEMENTATION_CLASS_UID.rsplit(".", 1)
    assert root == "2.25"
    assert int(number) < 1 << 128
    assert re.fullmatch(r"[A-Z0-9_]{1,16}", scp.IMPLEMENTATION_VERSION_NAME)


# pynetdicom's own encoder, decoder and negotiation as the oracle of ours.

syntaxes = st.lists(st.sampled_from([*TRANSFER_SYNTAXES, *sorted(REFUSED), "1.2.3.4"]), min_size=1, max_size=8)
classes = st.sampled_from([MR, VERIFICATION, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.31", "2.25.1"])
booleans = st.tuples(st.booleans(), st.booleans()).filter(any)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """The body of a request with contexts, roles, operations window and maximum length as they come."""
    body = A_ASSOCIATE()
    body.calling_ae_title = draw(st.sampled_from(["MODALITY", "A", "SIXTEEN_LETTERS_"]))
    body.called_ae_title, body.application_context_name = "CLOAKROOM", negotiation.APPLICATION_CONTEXT
    contexts = []
    for number in draw(st.lists(st.integers(0, 127), min_size=1, max_size=12, unique=True)):
        context = build_context(draw(classes), draw(syntaxes))
        context.context_id = 2 * number + 1
        contexts.append(context)
    body.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = draw(st.sampled_from([0, 7, 16382, 131_072, 2**32 - 1]))
    implementation.implementation_class_uid = UID("1.2.3")
    body.user_information = [length, implementation]
    if draw(st.booleans()):
        version = ImplementationVersionNameNotification()
        version.implementation_version_name = "SOMEBODY"
        body.user_information.append(version)
    if draw(st.booleans()):
        window = AsynchronousOperationsWindowNegotiation()
        window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 4, 0
        body.user_information.append(window)
    for uid, (as_scu, as_scp) in draw(st.dictionaries(classes, booleans)).items():
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = UID(uid), as_scu, as_scp
        body.user_information.append(role)
    return A_ASSOCIATE_RQ(body).encode()[6:]


def theirs(body: bytes) -> A_ASSOCIATE:
    """A body as pynetdicom reads it."""
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(b"\1\0" + len(body).to_bytes(4) + body)
    return pdu.to_primitive()


def roles_of(primitive: A_ASSOCIATE) -> dict[UID, tuple[bool, bool]]:
    return {
        item.sop_class_uid: (bool(item.scu_role), bool(item.scp_role))
        for item in primitive.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation)
    }


@given(requests())
def test_a_request_is_to_us_what_it_is_to_pynetdicom(body: bytes) -> None:
    request, primitive = read(body), theirs(body)
    assert request.peer.calling == primitive.calling_ae_title.strip()
    assert request.max_pdu_bytes == primitive.maximum_length_received
    assert request.roles == roles_of(primitive)
    assert request.asynchronous == any(
        isinstance(item, AsynchronousOperationsWindowNegotiation) for item in primitive.user_information
    )
    assert [(each.context_id, each.abstract_syntax, list(each.transfer_syntaxes)) for each in request.contexts] == [
        (each.context_id, each.abstract_syntax, list(each.transfer_syntax))
        for each in primitive.presentation_context_definition_list
    ]


@given(requests())
def test_contexts_and_roles_are_negotiated_as_pynetdicom_does(body: bytes) -> None:
    primitive = theirs(body)
    offered = []
    for uid in (VERIFICATION, *sorted(STORAGE_CLASSES)):
        context = build_context(uid, list(TRANSFER_SYNTAXES))
        context.scu_role, context.scp_role = True, False
        offered.append(context)
    expected, roles = negotiate_as_acceptor(
        primitive.presentation_context_definition_list, offered, roles_of(primitive)
    )
    answer, contexts = negotiation.accept(read(body), STORAGE_CLASSES, 131_072)
    found = accepted(answer)
    results = found.presentation_context_definition_results_list
    assert [(each.context_id, each.result) for each in results] == [(each.context_id, each.result) for each in expected]
    assert contexts == {
        each.context_id: Context(each.abstract_syntax, each.transfer_syntax[0]) for each in expected if each.result == 0
    }
    assert {each.context_id: each.transfer_syntax[0] for each in results if each.result == 0} == {
        number: context.transfer_syntax for number, context in contexts.items()
    }
    assert roles_of(found) == {each.sop_class_uid: (each.scu_role, each.scp_role) for each in roles}
    windows = [
        (item.maximum_number_operations_invoked, item.maximum_number_operations_performed)
        for item in found.user_information
        if isinstance(item, AsynchronousOperationsWindowNegotiation)
    ]
    assert windows == ([(1, 1)] if read(body).asynchronous else [])
    assert answer[10:74] == body[4:68]  # titles and what is reserved, as received


def changed(kind: int, value: bytes) -> bytes:
    """A request whose user information has one more item."""
    body = asked(build_context(MR))
    at = body.index(b"\x50\0", 68)
    (length,) = struct.unpack_from(">H", body, at + 2)
    item = struct.pack(">BBH", kind, 0, len(value)) + value
    return body[: at + 2] + struct.pack(">H", length + len(item)) + body[at + 4 :] + item


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (0x51, b"\0\0\1"),  # a maximum length of three bytes
        (0x51, b"\0\0\0\6"),  # no message fits in
        (0x54, b""),
        (0x54, b"\0\x051.2.3\1"),  # a role without its last byte
        (0x54, b"\0\0\1\0"),  # and one of no class
        (0x54, b"\0\x091.2.3\1\0"),  # and one longer than its item
        (0x56, b"\0"),
        (0x58, b"\1"),
    ],
)
def test_user_information_that_is_malformed_is_no_request(kind: int, value: bytes) -> None:
    assert isinstance(answered(changed(kind, value)), ProtocolError)


@pytest.mark.parametrize("kind", [0x00, 0x57, 0x5A, 0xFF])
def test_items_that_are_not_known_are_passed_over(kind: int) -> None:
    body = changed(kind, b"NEEDLE") + struct.pack(">BBH", kind, 0, 3) + b"abc"
    assert read(body).contexts == read(asked(build_context(MR))).contexts


def context_item(context_id: int, *names: tuple[int, str]) -> bytes:
    value = bytes((context_id, 0, 0, 0))
    for kind, name in names:
        value += struct.pack(">BBH", kind, 0, len(name)) + name.encode()
    return struct.pack(">BBH", 0x20, 0, len(value)) + value


@pytest.mark.parametrize(
    "item",
    [
        context_item(2, (0x30, MR), (0x40, "1.2")),  # an even number
        context_item(1, (0x30, MR), (0x40, "1.2")),  # a number that another has
        context_item(3, (0x40, "1.2")),
        context_item(3, (0x30, MR)),
        context_item(3, (0x30, MR), (0x40, "")),
        context_item(3, (0x30, ""), (0x40, "1.2")),
        context_item(3, (0x30, MR), (0x30, MR), (0x40, "1.2")),
        b"\x20\0\0\2\3\0",  # shorter than its own head
    ],
)
def test_a_presentation_context_that_is_none(item: bytes) -> None:
    assert isinstance(answered(asked(build_context(MR)) + item), ProtocolError)


def test_what_a_context_holds_besides_its_syntaxes_is_passed_over() -> None:
    body = asked(build_context(MR)) + context_item(3, (0x7F, "x"), (0x30, MR), (0x40, TRANSFER_SYNTAXES[1] + "\0"))
    assert read(body).contexts[-1] == (3, MR, (TRANSFER_SYNTAXES[1],))


def test_more_contexts_than_numbers_are_none() -> None:
    many = b"".join(context_item(2 * number + 1, (0x30, MR), (0x40, "1.2")) for number in range(128))
    body = asked(build_context(MR))
    start = body.index(b"\x20\0", 68)
    (length,) = struct.unpack_from(">H", body, start + 2)
    assert len(read(body[:start] + many + body[start + 4 + length :]).contexts) == 128
    assert isinstance(answered(body + many), ProtocolError)


def test_nothing_of_a_context_that_is_refused_goes_back() -> None:
    body = asked(build_context(MR)) + context_item(3, (0x30, "NEEDLE"), (0x40, "NEEDLE"))
    answer, contexts = negotiation.accept(read(body), STORAGE_CLASSES, 131_072)
    assert set(contexts) == {1}
    assert b"NEEDLE" not in answer
