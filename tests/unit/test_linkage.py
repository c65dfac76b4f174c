import hmac
import re
import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from scp.db import engine
from scp.db.engine import DatabaseError
from scp.db.linkage import Linkage, pseudonym_of
from scp.db.sealing import Sealing
from scp.instance import Identity
from scp.outcome import Failure, Outcome

KEY = bytes(range(32))
ZOE = Identity("PLANTED-MRN-77", "PLANTED-ISSUER", "1.2.826.99.1")


@pytest.fixture
def linkage(tmp_path):
    linkage = Linkage(tmp_path / "linkage.db", KEY)
    linkage.open()
    return linkage


def test_the_same_identity_is_the_same_subject(linkage, tmp_path):
    first = linkage.resolve(ZOE)
    assert linkage.resolve(ZOE) == first
    again = Linkage(tmp_path / "linkage.db", KEY)
    again.open()
    assert again.resolve(ZOE) == first
    assert linkage.counts() == (1, 1)


def test_another_study_is_another_visit_of_the_same_subject(linkage):
    first = linkage.resolve(ZOE)
    second = linkage.resolve(Identity(ZOE.patient_id, ZOE.issuer, "1.2.826.99.2"))
    assert (second.pseudonym, second.secret) == (first.pseudonym, first.secret)
    assert second.scan_research_id != first.scan_research_id
    assert linkage.counts() == (1, 2)


OTHERS = [
    Identity("PLANTED-MRN-78", ZOE.issuer, "1.2.826.99.2"),
    Identity(ZOE.patient_id, "ANOTHER", "1.2.826.99.2"),
    Identity(ZOE.patient_id + ZOE.issuer, "", "1.2.826.99.2"),
]


@pytest.mark.parametrize("other", OTHERS)
def test_another_patient_shares_nothing_even_on_the_same_day(linkage, other):
    mine, theirs = linkage.resolve(ZOE), linkage.resolve(other)
    assert mine.pseudonym != theirs.pseudonym
    assert mine.secret != theirs.secret
    assert mine.scan_research_id != theirs.scan_research_id


@pytest.mark.parametrize("sent", [" PLANTED-MRN-77 ", "PLANTED-MRN-77"])
def test_padding_and_composition_do_not_split_a_patient(linkage, sent):
    assert linkage.resolve(Identity(sent, ZOE.issuer, ZOE.study_uid)) == linkage.resolve(ZOE)
    composed, decomposed = (Identity(text, "", "1.2") for text in ("Z\u00e9", "Ze\u0301"))
    assert linkage.resolve(composed) == linkage.resolve(decomposed)


@pytest.mark.parametrize("other", OTHERS)
def test_a_study_of_two_patients_is_refused_and_leaves_nothing(linkage, other):
    linkage.resolve(ZOE)
    with pytest.raises(Failure) as caught:
        linkage.resolve(replace(other, study_uid=ZOE.study_uid))
    assert caught.value.outcome is Outcome.OTHER_PERSON
    assert "PLANTED" not in str(caught.value)
    assert linkage.counts() == (1, 1)
    assert linkage.resolve(other).pseudonym != linkage.resolve(ZOE).pseudonym


@pytest.mark.parametrize(
    ("known", "changed"), [({"sex": "F"}, {"sex": "M"}), ({"birth_date": "1"}, {"birth_date": "2"})]
)
def test_a_study_whose_patient_changes_is_refused(linkage, known, changed):
    first = linkage.resolve(replace(ZOE, **known))
    for _ in range(2):
        with pytest.raises(Failure, match="is not that of the study"):
            linkage.resolve(replace(ZOE, **changed))
    assert linkage.resolve(ZOE) == linkage.resolve(replace(ZOE, **known)) == first
    elsewhere = linkage.resolve(replace(ZOE, study_uid="1.2.826.99.2", **changed))
    assert elsewhere.pseudonym == first.pseudonym


def test_what_a_study_did_not_say_first_it_may_say_later(linkage):
    first = linkage.resolve(ZOE)
    assert linkage.resolve(replace(ZOE, sex="F")) == first
    assert linkage.resolve(replace(ZOE, birth_date="19520101")) == first
    for other in ({"sex": "M"}, {"birth_date": "19530101"}, {"sex": "F", "birth_date": "19530101"}):
        with pytest.raises(Failure):
            linkage.resolve(replace(ZOE, **other))


def test_studies_with_something_in_common_are_one_visit(linkage):
    first, second = (replace(ZOE, study_uid=f"1.2.{number}", visit="day 20250917") for number in (1, 2))
    assert linkage.resolve(first) == linkage.resolve(second)
    other = linkage.resolve(replace(first, visit="day 20250918", study_uid="1.2.3"))
    assert other.pseudonym == linkage.resolve(first).pseudonym
    assert other.scan_research_id != linkage.resolve(first).scan_research_id
    stranger = replace(first, patient_id="PLANTED-MRN-78", study_uid="1.2.4")
    assert linkage.resolve(stranger).scan_research_id != linkage.resolve(first).scan_research_id
    assert linkage.counts() == (2, 3)


def test_a_linkage_of_the_first_release_is_carried_over(tmp_path):
    folder = Path(engine.__file__).parent / "sql" / "linkage"
    linkage = Linkage(tmp_path / "linkage.db", KEY)
    database = linkage._engine._database()
    database.conn.executescript((folder / "0001_subjects.sql").read_text())
    database.execute("CREATE TABLE migration (name TEXT PRIMARY KEY)")
    database.execute("INSERT INTO migration VALUES ('0001_subjects.sql')")
    blinds = linkage.blinds(ZOE)
    with linkage._engine.write():
        linkage._add(ZOE, blinds)
    (before,) = database.execute("SELECT scan_research_id FROM visit").fetchone()
    linkage.open()
    assert linkage.resolve(replace(ZOE, sex="F")).scan_research_id == before
    assert linkage.counts() == (1, 1)


def test_numbers_and_pseudonyms_have_the_contracts_shape(linkage):
    for number in range(50):
        subject = linkage.resolve(Identity(f"P{number}", "", f"1.2.{number}"))
        assert re.fullmatch(r"[1-9][0-9]{11}", subject.scan_research_id)
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{7,31}", subject.pseudonym)


@given(st.binary(min_size=32, max_size=32))
def test_pseudonyms_are_a_function_of_the_secret_alone(secret):
    assert pseudonym_of(secret) == pseudonym_of(secret)
    assert pseudonym_of(secret) != pseudonym_of(secrets.token_bytes(32))


def test_nothing_identified_lies_in_the_files(linkage, tmp_path):
    planted = replace(ZOE, visit="PLANTED-DAY", sex="PLANTED-SEX", birth_date="PLANTED-DATE")
    linkage.resolve(planted)
    linkage.close()
    raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for word in (ZOE.patient_id, ZOE.issuer, ZOE.study_uid, planted.visit, planted.sex, planted.birth_date):
        assert word.encode() not in raw


def test_a_wrong_key_refuses_to_start(linkage, tmp_path):
    linkage.resolve(ZOE)
    with pytest.raises(DatabaseError, match=r"linkage\.db: was made with another linkage\.key"):
        Linkage(tmp_path / "linkage.db", bytes(32)).open()


def test_sealed_values_are_bound_to_their_row_and_column(linkage):
    sealed = linkage._seal(b"secret", "subject.secret", "A")
    assert linkage._unseal(sealed, "subject.secret", "A") == b"secret"
    for column, row in (("subject.identity", "A"), ("subject.secret", "B")):
        with pytest.raises(InvalidTag):
            linkage._unseal(sealed, column, row)


def test_sealing_twice_never_looks_the_same(linkage):
    assert linkage._seal(b"x", "c", "r") != linkage._seal(b"x", "c", "r")


def test_many_threads_make_one_subject(linkage):
    with ThreadPoolExecutor(16) as pool:
        subjects = set(pool.map(lambda _: linkage.resolve(ZOE), range(64)))
    assert len(subjects) == 1
    assert linkage.counts() == (1, 1)


def test_fingerprints_need_the_key(linkage, tmp_path):
    other = Linkage(tmp_path / "other.db", bytes(32))
    assert linkage.fingerprint(b"data") == linkage.fingerprint(bytearray(b"data"))
    assert linkage.fingerprint(b"data") != other.fingerprint(b"data")
    assert linkage.source("1.2", b"data") != linkage.source("1.3", b"data")
    assert linkage.source("1.2", b"data").uid == linkage.source("1.2", b"other").uid


def test_repr_and_str_hide_the_identity(linkage):
    text = f"{ZOE!r} {linkage.resolve(ZOE)!r}"
    assert "PLANTED" not in text
    assert linkage.resolve(ZOE).secret.hex() not in text
    assert "secret" not in text


def other_connection(path):
    return sqlite3.connect(path, isolation_level=None)


def test_a_blind_index_is_the_hmac_of_its_words_with_their_lengths():
    linkage = Sealing(KEY)
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"blind index").derive(KEY)
    words = b"\0\0\0\5visit\0\0\0\3Z\xc3\xa9"
    assert linkage._blind("visit", "Zé") == hmac.digest(key, words, "sha256")
    assert linkage._blind("visit", "Zé") == linkage._blind("visit", "Zé") != linkage._blind("visitZ", "é")


@given(st.lists(st.sampled_from(("1.2.1", "1.2.2", "1.2.3")), min_size=1, max_size=12))
def test_one_instance_after_the_other_is_of_its_own_study(tmp_path_factory, studies):
    linkage = Linkage(tmp_path_factory.mktemp("linkage") / "linkage.db", KEY)
    linkage.open()
    found = [linkage.resolve(replace(ZOE, study_uid=study)).scan_research_id for study in studies]
    assert len(set(found)) == len(set(studies))
    assert dict(zip(studies, found, strict=True)) == {
        study: linkage.resolve(replace(ZOE, study_uid=study)).scan_research_id for study in studies
    }
    linkage.close()


def test_what_is_made_of_an_identity_is_made_once_in_a_row(linkage, monkeypatch):
    made, real = [], Linkage.blinds
    monkeypatch.setattr(Linkage, "blinds", lambda self, identity: made.append(identity) or real(self, identity))
    other = replace(ZOE, study_uid="1.2.826.99.2")
    for identity in (ZOE, replace(ZOE), other, other, ZOE, replace(ZOE, sex="F")):
        linkage.resolve(identity)
    assert made == [ZOE, other, ZOE, replace(ZOE, sex="F")]


def test_an_identity_that_is_erased_between_two_instances_is_another_subject(linkage, tmp_path):
    first = linkage.resolve(ZOE)
    other = other_connection(tmp_path / "linkage.db")
    other.executescript("DELETE FROM study; DELETE FROM visit; DELETE FROM subject")
    other.close()
    second = linkage.resolve(ZOE)
    assert second.pseudonym != first.pseudonym
    assert second.secret != first.secret


def test_a_visit_that_is_moved_between_two_instances_is_the_other_one(linkage, tmp_path):
    first = linkage.resolve(ZOE).scan_research_id
    target = linkage.resolve(replace(ZOE, study_uid="1.2.826.99.2")).scan_research_id
    assert linkage.resolve(ZOE).scan_research_id == first
    other = other_connection(tmp_path / "linkage.db")
    other.execute("UPDATE visit SET moved_to = ? WHERE scan_research_id = ?", (target, first))
    other.close()
    assert linkage.resolve(ZOE).scan_research_id == target


def test_a_patient_who_is_found_out_between_two_instances_is_refused(linkage, tmp_path):
    linkage.resolve(replace(ZOE, sex="F"))
    linkage.resolve(replace(ZOE, sex="F"))
    other = other_connection(tmp_path / "linkage.db")
    other.execute("UPDATE study SET sex = x'00'")
    other.close()
    with pytest.raises(Failure) as failure:
        linkage.resolve(replace(ZOE, sex="F"))
    assert failure.value.outcome is Outcome.OTHER_PERSON
