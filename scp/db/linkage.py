"""The linkage: whose pseudonym and visit number are whose, sealed row by row, in a database of its own."""

import hmac
import json
import secrets
import threading
import time
from base64 import b32encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scp.db.engine import DatabaseError, Engine
from scp.db.fingerprint import Fingerprint
from scp.db.sealing import Sealing, normal
from scp.instance import Identity, Source, Subject
from scp.outcome import Failure, Outcome

_BY_RULE = b"\0"  # before what several studies have in common: no text that is read of a data set begins so
_VISIT_DIGITS = 12


class Linkage(Sealing):
    """Insert-or-get of a subject and a visit; the only place that keeps what a patient is called at the hospital.

    Each subject has 32 random bytes of which all its tokens are made, so that destroying that one row makes them
    underivable. Look-ups go by keyed blind indexes; identities and secrets are sealed with AES-256-GCM-SIV and bound
    to their row and column.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        super().__init__(key)
        self._engine = Engine(path, "linkage")
        self._last = threading.local()
        self._check = hmac.new(key, b"cloakroom linkage key", "sha256").hexdigest()

    def open(self) -> str:
        """Migrate, check the key against the database, and return the node's id.

        Raises DatabaseError when this key did not make this database: going on would give every patient a second
        identity.
        """
        self._engine.migrate()
        with self._engine.write():
            stored = self._engine.row("node", {"name": "key_check"})
            if stored is None:
                self._engine.change("set_node", {"name": "key_check", "value": self._check})
                self._engine.change("set_node", {"name": "id", "value": secrets.token_hex(8)})
            elif not hmac.compare_digest(stored["value"], self._check):
                raise DatabaseError(
                    f"{self._engine.path}: was made with another linkage.key; put the right key back, "
                    "a new one would give every patient a second identity"
                )
            node = self._engine.row("node", {"name": "id"})
        if node is None:
            raise DatabaseError(f"{self._engine.path}: has no node id; it was not made by this software")
        return str(node["value"])

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()

    def source(self, sop_instance_uid: str, data: bytes | bytearray | memoryview) -> Source:
        """Keyed fingerprints of an original: its UID's blind index and its content's digest."""
        return self.source_of(sop_instance_uid, self.fingerprint(data))

    def source_of(self, sop_instance_uid: str, fingerprint: bytes) -> Source:
        """The same with its content's fingerprint made before."""
        return Source(self._blind("instance", sop_instance_uid), fingerprint)

    def fingerprint(self, data: bytes | bytearray | memoryview) -> bytes:
        """A keyed digest of bytes as received: equal content is recognised, but only with the key."""
        return self._whole(data)

    def fingerprinting(self) -> Fingerprint:
        """The fingerprint of what comes piece by piece: `update` it with them, its `digest` is that of them all."""
        return Fingerprint(self._bulk_key, self._content_key)

    def resolve(self, identity: Identity) -> Subject:
        """The subject of this identity and study, made on first sight and durable before it is returned.

        Raises Failure OTHER_PERSON when the study is known to be of another patient, sex or birth date.
        """
        blinds = self._blinds_of(identity)
        found = self._find(identity, blinds)
        if found is None:
            with self._engine.write():
                self._claim(blinds)
                found = self._find(identity, blinds)
                if found is None:
                    self._add(identity, blinds)
                    found = self._find(identity, blinds)
                if found is not None and identity.visit and not identity.apart:
                    self._place(identity, blinds, found)
        if found is None:
            raise DatabaseError(f"{self._engine.path}: does not give back what was written into it")
        return found

    def _blinds_of(self, identity: Identity) -> dict[str, bytes | None]:
        """`blinds`, with those of the thread's last instance kept: they depend on nothing but identity and key.

        An instance is mostly of the same study as the one before. What is kept goes with the thread.
        """
        before: tuple[Identity, dict[str, bytes | None]] | None = getattr(self._last, "blinds", None)
        if before is None or before[0] != identity:
            before = self._last.blinds = identity, self.blinds(identity)
        return before[1]

    def fits(self) -> bool:
        """Whether this key made this database; raises DatabaseError where it is none."""
        self._engine.migrate()
        stored = self._engine.row("node", {"name": "key_check"})
        return stored is None or hmac.compare_digest(stored["value"], self._check)

    def rekey(self, key: bytes) -> int:
        """Seal every row anew under another key, in one transaction; returns how many subjects there are.

        Pseudonyms, visit numbers and the subjects' secrets stay what they are, so that nothing published changes. Of
        a study it stays known whose it is; sex and birth date, which are nowhere but in digests, are known again from
        its next instance on.
        """
        new = Linkage(self._engine.path, key)
        try:
            with self._engine.write():
                subjects = self._engine.rows("subjects")
                self._engine.change("forget_studies")
                for row in subjects:
                    self._rekey_subject(row, new)
                self._engine.change("put_node", {"name": "key_check", "value": new._check})
        finally:
            new.close()
        self._engine.rows("checkpoint")  # or the old seals would stay in the WAL
        return len(subjects)

    def _rekey_subject(self, row: Any, new: "Linkage") -> None:  # noqa: ANN401  a row of SQLite's
        pseudonym = str(row["pseudonym"])
        secret = self._unseal(row["secret"], "subject.secret", pseudonym)
        words = self._unseal(row["identity"], "subject.identity", pseudonym)
        patient_id, issuer = json.loads(words)
        self._engine.change("reseal_subject", new.resealed_subject(pseudonym, secret, words))
        for visit in self._engine.rows("visits_of", {"pseudonym": pseudonym}):
            number = str(visit["scan_research_id"])
            what = self._unseal(visit["identity"], "visit.identity", number)
            self._engine.change("reseal_visit", new.resealed_visit(number, what, words))
            if not what.startswith(_BY_RULE):
                self._engine.change("add_study", new.blinds(Identity(patient_id, issuer, what.decode())))
        for member in self._engine.rows("members_of", {"pseudonym": pseudonym}):
            study = self._unseal(member["identity"], "member.identity", str(member["scan_research_id"])).decode()
            blinds = new.blinds(Identity(patient_id, issuer, study))
            self._engine.change("add_study", blinds)
            sealed = new.sealed_member(str(member["scan_research_id"]), study, self._begins(member))
            self._engine.change("reseal_member", {**sealed, "member": blinds["member"], "before": member["blind"]})
        for placed in self._engine.rows("placed_of", {"pseudonym": pseudonym}):
            number = str(placed["scan_research_id"])
            uid = self._unseal(placed["identity"], "placed.identity", number)
            blinds = new.blinds(Identity(patient_id, issuer, uid.decode()))
            self._engine.change("add_study", blinds)
            row = {**blinds, "before": placed["blind"], "identity": new.resealed_placed(number, uid)}
            self._engine.change("reseal_placed", row)

    def resealed_subject(self, pseudonym: str, secret: bytes, words: bytes) -> dict[str, str | bytes]:
        """A subject's row under this key; `words` are its identity as the row holds it."""
        patient_id, issuer = json.loads(words)
        return {
            "pseudonym": pseudonym,
            "blind": self._blind("subject", normal(issuer), normal(patient_id)),
            "secret": self._seal(secret, "subject.secret", pseudonym),
            "identity": self._seal(words, "subject.identity", pseudonym),
        }

    def resealed_visit(self, number: str, what: bytes, words: bytes) -> dict[str, str | bytes | None]:
        """A visit's row under this key; `what` makes it one, as it holds it; `words` are its subject's identity."""
        patient_id, issuer = json.loads(words)
        rule = what.removeprefix(_BY_RULE).decode() if what.startswith(_BY_RULE) else ""
        identity = Identity(patient_id, issuer, "" if rule else what.decode(), visit=rule)
        return {
            "scan_research_id": number,
            "blind": self.blinds(identity)["visit"],
            "identity": self._seal(what, "visit.identity", number),
        }

    def resealed_placed(self, number: str, study: bytes) -> bytes:
        """Which study was placed in a visit, under this key."""
        return self._seal(study, "placed.identity", number)

    def counts(self) -> tuple[int, int]:
        """How many subjects and visits there are."""
        row = self._engine.rows("count")[0]
        return int(row["subjects"]), int(row["visits"])

    def blinds(self, identity: Identity) -> dict[str, bytes | None]:
        """Everything that is looked up, and nothing that can be read; what was not sent is None."""
        patient = (normal(identity.issuer), normal(identity.patient_id))
        by_rule = ("visit by rule", *patient, normal(identity.visit))
        sex, birth_date = normal(identity.sex), normal(identity.birth_date)
        study = normal(identity.study_uid)
        return {
            "subject": self._blind("subject", *patient),
            "visit": self._blind(*by_rule) if identity.visit else self._blind("visit", *patient, study),
            "member": None if identity.apart else self._blind("member", *patient, study),
            "study": self._blind("study", study),
            "sex": self._blind("sex", study, sex) if sex else None,
            "birth_date": self._blind("birth date", study, birth_date) if birth_date else None,
        }

    def _claim(self, blinds: dict[str, bytes | None]) -> None:
        """Whom the study is of: written down at first sight, held to afterwards; inside a transaction."""
        self._engine.change("add_study", blinds)
        if not self._engine.change("know_study", blinds):
            raise Failure(Outcome.OTHER_PERSON, "PatientID, PatientSex or PatientBirthDate is not that of the study")

    def _find(self, identity: Identity, blinds: dict[str, bytes | None]) -> Subject | None:
        """Where the study is by an operator's word, else by its rule; None where it is not known as this person's."""
        row = self._engine.row("visit", {**blinds, "hours": identity.hours})
        if row is None:
            return None
        secret = self._unseal(row["secret"], "subject.secret", row["pseudonym"])
        return Subject(row["pseudonym"], row["scan_research_id"], secret, row["moves"])

    def _place(self, identity: Identity, blinds: dict[str, bytes | None], subject: Subject) -> None:
        """Which study came to a visit by rule: the rule alone would not tell, when one of them is to be split off."""
        number = subject.scan_research_id
        sealed = self._seal(identity.study_uid.encode(), "placed.identity", number)
        self._engine.change("add_placed", {**blinds, "scan_research_id": number, "identity": sealed})

    def _add(self, identity: Identity, blinds: dict[str, bytes | None]) -> None:
        now = time.time()
        row = self._engine.row("subject", {"subject": blinds["subject"]})
        if row is None:
            secret = secrets.token_bytes(32)
            pseudonym = pseudonym_of(secret)
            words = json.dumps([identity.patient_id, identity.issuer]).encode()
            sealed = {
                "secret": self._seal(secret, "subject.secret", pseudonym),
                "identity": self._seal(words, "subject.identity", pseudonym),
            }
            self._engine.change(
                "add_subject", {"pseudonym": pseudonym, "subject": blinds["subject"], "now": now, **sealed}
            )
        else:
            pseudonym = row["pseudonym"]
        if identity.hours:
            self._join(identity, blinds, pseudonym, now)
        else:
            self._add_visit(identity, blinds, pseudonym, now)

    def _join(self, identity: Identity, blinds: dict[str, bytes | None], pseudonym: str, now: float) -> None:
        """The visit of a study that is new, by hours: the nearest one that began near enough, else one of its own."""
        rows = self._engine.rows("members_of", {"pseudonym": pseudonym})
        known = {str(row["scan_research_id"]): begins for row in rows if (begins := self._begins(row)) is not None}
        number, begins = nearest(identity.begins, identity.hours, known), None
        if number is None:
            number, begins = self._add_visit(identity, blinds, pseudonym, now), identity.begins
        sealed = self.sealed_member(number, identity.study_uid, begins)
        self._engine.change("add_member", {**sealed, "member": blinds["member"]})

    def _begins(self, row: Any) -> float | None:  # noqa: ANN401  a row of SQLite's
        number, sealed = str(row["scan_research_id"]), row["begins"]
        return None if sealed is None else float(self._unseal(sealed, "member.begins", number))

    def sealed_member(self, number: str, study_uid: str, begins: float | None) -> dict[str, str | bytes | None]:
        """A row of a study that is in a visit by hours; `begins` only where the visit goes by it."""
        return {
            "scan_research_id": number,
            "identity": self._seal(study_uid.encode(), "member.identity", number),
            "begins": None if begins is None else self._seal(repr(begins).encode(), "member.begins", number),
        }

    def _add_visit(self, identity: Identity, blinds: dict[str, bytes | None], pseudonym: str, now: float) -> str:
        while True:
            # Decimal, first digit 1-9, at least 10 and at most 15 digits: the pre-processing takes it for a number.
            number = str(10 ** (_VISIT_DIGITS - 1) + secrets.randbelow(9 * 10 ** (_VISIT_DIGITS - 1)))
            what = _BY_RULE + identity.visit.encode() if identity.visit else identity.study_uid.encode()
            sealed = self._seal(what, "visit.identity", number)
            row = {"scan_research_id": number, "pseudonym": pseudonym, "identity": sealed, "now": now}
            if self._engine.change("add_visit", {**row, "visit": blinds["visit"]}):
                return number


def nearest(begins: float | None, hours: int, known: Mapping[str, float]) -> str | None:
    """The visit whose beginning is nearest to this one, at most so many hours away, before or after.

    Of two that are as near it is the earlier one. None where none is near enough, or it is not said when it begins.
    """
    if begins is None:
        return None
    near = [(abs(other - begins), other, number) for number, other in known.items()]
    distance, _, number = min(near, default=(float("inf"), 0.0, ""))
    return number if distance <= hours * 3600 else None


def pseudonym_of(secret: bytes) -> str:
    """PatientID as research sees it: a letter and 16 of base32, 80 bits of a keyed hash of the subject's secret."""
    token = hmac.digest(secret, b"patient", "sha256")[:10]
    return "S" + b32encode(token).decode("ascii")
