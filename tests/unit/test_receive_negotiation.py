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
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext

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
