"""User identity and SOP class extended negotiation, as a stranger may send them."""

import base64
import errno
import io
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer import (
    CT,
    ESTABLISHED,
    EXPLICIT,
    GOODBYE,
    IMPLICIT,
    MR,
    UNHEARD,
    VERIFICATION,
    Accepted,
    Line,
    Node,
    Send,
    Step,
    associate,
    context,
    item,
    rejected,
    split,
)
from pynetdicom import AE
from pynetdicom.pdu_items import SOPClassExtendedNegotiationSubItem, UserIdentitySubItemAC, UserIdentitySubItemRQ
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation, UserIdentityNegotiation
from pynetdicom.sop_class import MRImageStorage

from scp.config import UserIdentity
from scp.outcome import Rejection
from scp.receive import extended, identity
from scp.receive.identity import Claim, Users, scrypt
from scp.receive.watched import SecretFileError
from scp.receive.wire import ProtocolError

SALT = bytes(range(16))
NO = rejected(1, 1, 1)


def line(name: str, password: str, salt: bytes = SALT) -> str:
    words = (base64.b64encode(data).decode() for data in (salt, scrypt(password.encode(), salt)))
    return " ".join((name, *words)) + "\n"


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    path = tmp_path / "passwords"
    path.write_text("# wards\n\n" + line("ward7", "pass word") + line("jürg", "пароль"), "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def users(passwords: Path) -> Callable[..., Users]:
    return lambda check="password", **more: Users(UserIdentity(check=check, passwords=passwords, **more))


def claim(form: int, primary: str | bytes = b"", secondary: str | bytes = b"", *, answer: bool = False) -> bytes:
    """The sub-item, written by hand."""
    first, second = (text.encode() if isinstance(text, str) else text for text in (primary, secondary))
    body = struct.pack(">BBH", form, answer, len(first)) + first + struct.pack(">H", len(second)) + second
    return item(0x58, body)


def answered(node: Node, sent: bytes) -> dict[int, list[bytes]]:
    """The user sub-items of the A-ASSOCIATE-AC."""
    peer: Line = node.connect()
    with peer.sock:
        peer.sock.sendall(sent)
        kind, body = peer.receive()
        assert kind == 2
        found: dict[int, list[bytes]] = {}
        for number, value in split(dict(split(body[68:]))[0x50]):
            found.setdefault(number, []).append(value)
        for step in GOODBYE:
            step.play(peer)
    return found


CASES: dict[str, tuple[str, bytes, bool]] = {
    "password": ("password", claim(2, "ward7", "pass word"), True),
    "password with letters of its own": ("password", claim(2, "jürg", "пароль"), True),
    "wrong password": ("password", claim(2, "ward7", "password"), False),
    "another's password": ("password", claim(2, "jürg", "pass word"), False),
    "empty password": ("password", claim(2, "ward7", ""), False),
    "unknown name": ("password", claim(2, "ward8", "pass word"), False),
    "empty name": ("password", claim(2, "", ""), False),
    "a note is no name": ("password", claim(2, "#", "wards"), False),
    "name alone where passwords are checked": ("password", claim(1, "ward7"), False),
    "name alone": ("username", claim(1, "ward7"), True),
    "unknown name alone": ("username", claim(1, "ward8"), False),
    "password where a name is enough": ("username", claim(2, "ward7", "pass word"), True),
    "wrong password where a name is enough": ("username", claim(2, "ward7", "wrong"), False),
    "Kerberos": ("username", claim(3, "ward7"), False),
    "SAML": ("password", claim(4, "ward7"), False),
    "JSON web token": ("password", claim(5, "ward7"), False),
    "a form that nobody knows": ("password", claim(77, "ward7", "pass word"), False),
    "nothing": ("password", b"", False),
}


@pytest.mark.parametrize("name", CASES)
def test_who_gets_in(node: Callable[..., Node], users: Callable[..., Users], told: io.StringIO, name: str) -> None:
    check, sent, admitted = CASES[name]
    spoken = node(users=users(check))
    steps: tuple[Step, ...] = (ESTABLISHED[1], *GOODBYE) if admitted else NO
    spoken.play([Send(associate(user=sent)), *steps])
    spoken.settle()
    assert spoken.count("associations_total", result="rejected") == float(not admitted)
    for secret in ("ward", "word", "jürg", "пароль"):
        assert secret not in told.getvalue().replace("passwords", "")


def test_an_identity_is_asked_for_only_where_it_is_required(
    node: Callable[..., Node], users: Callable[..., Users]
) -> None:
    spoken = node(users=users(required=False))
    spoken.play([*ESTABLISHED, *GOODBYE])
    spoken.play([Send(associate(user=claim(2, "ward7", "wrong"))), *NO])


def test_a_title_that_is_not_admitted_learns_nothing_of_names(
    node: Callable[..., Node], users: Callable[..., Users]
) -> None:
    node(users=users()).play(
        [Send(associate(calling=b"STRANGER", user=claim(2, "ward7", "pass word"))), *rejected(1, 1, 3)]
    )


def test_a_positive_answer_is_given_when_it_is_asked_for(
    node: Callable[..., Node], users: Callable[..., Users]
) -> None:
    checking, passing_over = node(users=users()), node()
    right = claim(2, "ward7", "pass word", answer=True)
    assert answered(checking, associate(user=right))[0x59] == [b"\0\0"]
    assert 0x59 not in answered(checking, associate(user=claim(2, "ward7", "pass word")))
    assert 0x59 not in answered(passing_over, associate(user=right)), "not checked is not supported"
    item_read = UserIdentitySubItemAC()
    item_read.decode(identity.answer())
    assert item_read.server_response == b""


@pytest.mark.parametrize(
    "sent",
    [
        item(0x58, b""),
        item(0x58, b"\2\0\0"),
        item(0x58, struct.pack(">BBH", 2, 0, 9) + b"ward7"),
        item(0x58, struct.pack(">BBH", 2, 0, 5) + b"ward7" + struct.pack(">H", 9) + b"short"),
        item(0x58, struct.pack(">BBH", 2, 0, 5) + b"ward7" + struct.pack(">H", 1) + b"long"),
        claim(1, "ward7") * 2,
        item(0x56, b""),
        item(0x56, struct.pack(">H", 99) + MR.encode()),
    ],
)
def test_what_is_malformed_is_aborted_even_where_it_is_passed_over(node: Callable[..., Node], sent: bytes) -> None:
    node().play([Send(associate(user=sent)), *UNHEARD])


def test_pynetdicom_gets_in_with_its_password(node: Callable[..., Node], users: Callable[..., Users]) -> None:
    spoken = node(users=users())

    def attempt(password: bytes) -> bool:
        wish = UserIdentityNegotiation()
        wish.user_identity_type, wish.positive_response_requested = 2, True
        wish.primary_field, wish.secondary_field = b"ward7", password
        entity = AE("MODALITY")
        entity.add_requested_context(MRImageStorage, EXPLICIT)
        association = entity.associate(*spoken.address[:2], ae_title="CLOAKROOM", ext_neg=[wish])
        is_established = bool(association.is_established)
        if is_established:
            association.release()
            association.join(10)
        return is_established

    assert attempt(b"pass word")
    assert not attempt(b"password")


@given(form=st.integers(1, 2), wants=st.booleans(), first=st.binary(max_size=50), second=st.binary(max_size=50))
def test_claims_are_read_as_pynetdicom_writes_them(form: int, wants: bool, first: bytes, second: bytes) -> None:  # noqa: FBT001
    wish = UserIdentityNegotiation()
    wish.user_identity_type, wish.positive_response_requested = form, wants
    wish.primary_field, wish.secondary_field = first or b"x", second or b"y"
    sub_item = UserIdentitySubItemRQ()
    sub_item.from_primitive(wish)
    expected = Claim(form, wants, first or b"x", (second or b"y") if form == 2 else b"")
    found = identity.read(sub_item.encode()[4:])
    assert (found.form, found.wants_answer, found.primary) == (expected.form, expected.wants_answer, expected.primary)
    assert form == 1 or found.secondary == expected.secondary


@given(st.binary(max_size=40))
def test_any_bytes_are_a_claim_or_a_protocol_error(body: bytes) -> None:
    try:
        found = identity.read(body)
    except ProtocolError:
        return
    assert 6 + len(found.primary) + len(found.secondary) == len(body)


def test_names_and_passwords_are_shown_nowhere() -> None:
    found = identity.read(claim(2, "ward7", "pass word")[4:])
    assert "ward7" not in repr(found)
    assert "pass" not in repr(found).replace("password", "")


def test_an_unknown_name_costs_as_much_as_a_known_one(
    users: Callable[..., Users], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One hash for each, whoever it is: time does not tell who is known."""
    asked: list[bytes] = []
    monkeypatch.setattr(identity, "scrypt", lambda password, salt: asked.append(password) or scrypt(password, salt))
    checking = users()
    for name in (b"ward7", b"nobody", b""):
        assert checking.check(Claim(2, wants_answer=False, primary=name, secondary=b"wrong")) is Rejection.USER_IDENTITY
    assert asked == [b"wrong"] * 3


def test_the_hash_of_a_name_that_is_not_known_lets_nobody_in(
    users: Callable[..., Users], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "scrypt", lambda _password, _salt: bytes(32))
    assert users().check(Claim(2, wants_answer=False, primary=b"nobody", secondary=b"")) is Rejection.USER_IDENTITY


def test_strangers_cannot_make_many_hashes_at_once(
    users: Callable[..., Users], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def slow(_password: bytes, _salt: bytes) -> bytes:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return bytes(32)

    monkeypatch.setattr(identity, "scrypt", slow)
    checking = users()
    wrong = Claim(2, wants_answer=False, primary=b"ward7", secondary=b"wrong")
    threads = [threading.Thread(target=checking.check, args=(wrong,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == identity.AT_ONCE


def test_a_new_password_holds_without_a_restart(users: Callable[..., Users], passwords: Path) -> None:
    checking = users()
    new = Claim(2, wants_answer=False, primary=b"ward7", secondary=b"new")
    assert checking.check(new) is Rejection.USER_IDENTITY
    passwords.write_text(line("ward7", "new"))
    assert checking.check(new) is None
    passwords.write_text("ward7\n")
    assert checking.check(new) is None, "a file that cannot be read leaves the old in force"


def test_a_file_that_could_not_be_read_for_a_moment_is_read_the_next_time(
    users: Callable[..., Users], passwords: Path, told: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was taken out of it must not stay in because there was no descriptor left just then."""
    checking = users()
    old = Claim(2, wants_answer=False, primary=b"ward7", secondary=b"pass word")
    passwords.write_text(line("ward8", "pass word"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", Mock(side_effect=OSError(errno.EMFILE, "Too many open files")))
        assert [checking.check(old) for _ in range(3)] == [None] * 3
    assert checking.check(old) is Rejection.USER_IDENTITY
    assert told.getvalue().count('"event": "files_refused"') == 1, "told once, not with each connection"
    assert told.getvalue().count('"event": "files_renewed"') == 1


def test_a_file_that_was_refused_for_its_mode_holds_once_that_is_put_right(
    users: Callable[..., Users], passwords: Path
) -> None:
    checking = users()
    old, new = (Claim(2, wants_answer=False, primary=b"ward7", secondary=word) for word in (b"pass word", b"new"))
    replaced = passwords.with_name("replaced")
    replaced.write_text(line("ward7", "new"))
    replaced.chmod(0o644)
    replaced.rename(passwords)
    assert [checking.check(claim) for claim in (old, new)] == [None, Rejection.USER_IDENTITY]
    passwords.chmod(0o400)
    assert [checking.check(claim) for claim in (old, new)] == [Rejection.USER_IDENTITY, None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ward7", ":1: is not a line of name, salt and hash"),
        ("\nward7 a b", ":2: is not a line"),
        ("ward7 AAAA " + base64.b64encode(bytes(32)).decode(), ":1: is not a line"),
        (line("ward7", "x").replace("=", "!"), ":1: is not a line"),
        (line("ward7", "x").strip() + " more", ":1: is not a line"),
        (line("ward7", "x") + line("ward7", "y"), ":2: has a name for the second time"),
    ],
)
def test_a_file_of_passwords_that_is_wrong_is_told_by_line(passwords: Path, text: str, says: str) -> None:
    passwords.write_text(text)
    with pytest.raises(SecretFileError) as caught:
        Users(UserIdentity(check="password", passwords=passwords))
    assert str(caught.value).startswith(f"{passwords}{says}")
    assert "ward7" not in str(caught.value)


def test_a_file_of_passwords_that_others_can_read_is_refused(passwords: Path) -> None:
    passwords.chmod(0o604)
    with pytest.raises(SecretFileError, match="mode 0604"):
        Users(UserIdentity(check="password", passwords=passwords))


def asks(*classes: str) -> bytes:
    return b"".join(
        item(0x56, struct.pack(">H", len(uid)) + uid.encode() + bytes((2, 0, 3, 0, 2, 0))) for uid in classes
    )


def test_what_is_asked_of_a_storage_class_is_answered_truthfully(node: Callable[..., Node]) -> None:
    """Level 0, no signatures, may coerce: a recipe takes attributes away and changes others (PS3.4 B.3.1)."""
    contexts = (context(1, VERIFICATION, IMPLICIT), context(3, MR, EXPLICIT), context(5, CT, EXPLICIT))
    sent = associate(*contexts, user=asks(CT, MR, CT, VERIFICATION, "1.2.840.10008.5.1.4.31"))
    found = answered(node(), sent)[0x56]
    assert found == [struct.pack(">H", len(uid)) + uid.encode() + bytes((0, 0, 0, 0, 1, 0)) for uid in (CT, MR)]


def test_what_is_not_asked_is_not_answered(node: Callable[..., Node]) -> None:
    spoken = node()
    assert 0x56 not in answered(spoken, associate())
    assert 0x56 not in answered(spoken, associate(user=asks(CT))), "its context was not proposed"
    spoken.play([Send(associate(user=asks(MR) * 50)), Accepted({1: IMPLICIT, 3: EXPLICIT}), *GOODBYE])


def test_pynetdicom_reads_the_answer(node: Callable[..., Node]) -> None:
    wish = SOPClassExtendedNegotiation()
    wish.sop_class_uid, wish.service_class_application_information = MRImageStorage, b"\2\0\3\0\2\0"
    entity = AE("MODALITY")
    entity.add_requested_context(MRImageStorage, EXPLICIT)
    association = entity.associate(*node().address[:2], ae_title="CLOAKROOM", ext_neg=[wish])
    assert association.acceptor.sop_class_extended == {MRImageStorage: extended.CAPABILITIES}
    association.release()
    association.join(10)


@given(st.lists(st.sampled_from([MR, CT, "1.2.3.4.5"]), max_size=5))
def test_extended_items_are_as_pynetdicom_writes_them(asked: list[str]) -> None:
    found = []
    for _, value in split(extended.answer(asked, [MR, CT])):
        sub_item = SOPClassExtendedNegotiationSubItem()
        sub_item.decode(item(0x56, value))
        found.append(str(sub_item.uid))
        assert extended.read(value) == sub_item.uid
        assert sub_item.app_info == extended.CAPABILITIES
    assert found == sorted({MR, CT} & set(asked))
