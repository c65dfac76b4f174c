"""What of the linkage changes when visits are merged or split: where a study's instances go from then on."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from scp.db.engine import DatabaseError
from scp.db.linkage import Linkage
from scp.instance import Identity

Token = Callable[[str, bytes], str]
"""What a StudyInstanceUID becomes under a subject's secret."""


class Moved(Linkage):
    """The same database; each change is one transaction, and made twice it is as if it had been made once."""

    def reserve(self, source: str) -> str:
        """The number of a new visit of the subject of `source`, to which nothing comes yet. Raises DatabaseError."""
        with self._engine.write():
            subject = self._subject(source)
            patient_id, issuer = json.loads(self._unseal(subject["identity"], "subject.identity", subject["pseudonym"]))
            # No instance's words begin so: what comes to this visit was placed there.
            identity = Identity(patient_id, issuer, "", visit=f"split {secrets.token_hex(16)}")
            return self._add_visit(identity, self.blinds(identity), str(subject["pseudonym"]), time.time())

    def merge(self, source: str, target: str) -> None:
        """Whatever would come to `source` comes to `target`; raises DatabaseError where they are not of one subject."""
        with self._engine.write():
            if not self._engine.change("redirect", {"source": source, "target": target}):
                raise DatabaseError(f"{self._engine.path}: does not know both visits as one subject's")

    def holds(self, number: str, study: str, token: Token) -> bool:
        """Whether it is known which study of the visit left as StudyInstanceUID `study`."""
        return self._study(number, study, token) is not None

    def split(self, source: str, target: str, study: str, moves: int, token: Token) -> None:
        """Instances of this study of `source` come to `target`, after so many `moves`. Raises DatabaseError."""
        with self._engine.write():
            # Done before a crash already: it is the target's by now.
            found = self._study(source, study, token) or self._study(target, study, token)
            if found is None:
                raise DatabaseError(f"{self._engine.path}: does not know the study that is split off")
            subject = self._subject(source)
            patient_id, issuer = json.loads(self._unseal(subject["identity"], "subject.identity", subject["pseudonym"]))
            sealed = self.resealed_placed(target, found)
            blinds = self.blinds(Identity(patient_id, issuer, found.decode()))
            self._engine.change("move_study", {**blinds, "scan_research_id": target, "identity": sealed})
            self._engine.change("set_moves", {"scan_research_id": source, "moves": moves})

    def _study(self, number: str, study: str, token: Token) -> bytes | None:
        """The StudyInstanceUID as it was sent, of what left as `study`, which may be the same (Retain UIDs Option)."""
        subject = self._subject(number)
        secret = self._unseal(subject["secret"], "subject.secret", subject["pseudonym"])
        for sent in self._studies(number):
            if study in {sent.decode(), token(sent.decode(), secret)}:
                return sent
        return None

    def _studies(self, number: str) -> Iterator[bytes]:
        for row in self._engine.rows("studies_of", {"scan_research_id": number}):
            yield self._unseal(row["identity"], row["sealed"], str(row["scan_research_id"]))

    def _subject(self, number: str) -> dict[str, Any]:
        row = self._engine.row("subject_of", {"scan_research_id": number})
        if row is None:
            raise DatabaseError(f"{self._engine.path}: does not know visit {number}")
        return dict(row)
