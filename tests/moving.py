"""A house of real files whose linkage knows the subjects, so that its visits can be merged and split."""

from dataclasses import replace

from doubles import clean
from keeping import Keeping
from visiting import encoded, header

from scp.bounds import Bounds
from scp.db.moved import Moved
from scp.db.moves import Moves
from scp.deidentify.functions.tokens import token
from scp.instance import Identity
from scp.moving import Moving

KEY = bytes(range(32))
ZOE = Identity("PLANTED-MRN-77", "PLANTED-ISSUER", "1.2.826.99.1")
YAN = replace(ZOE, patient_id="PLANTED-MRN-78", study_uid="1.2.826.98.1")


def study(number, of=ZOE, **fields):
    """One more study of somebody."""
    return replace(of, study_uid=f"{of.study_uid}.{number}", **fields)


class Rearranging(Keeping):
    """`send` is the walk from the linkage on: what an identity's instance becomes now, and where it then stands."""

    def __init__(self, folder, monkeypatch, **settings):
        super().__init__(folder, monkeypatch, **settings)
        self.linkage = Moved(self.config.linkage_path, KEY)
        self.linkage.open()
        self.moving = self.another()

    def another(self):
        """What merges and splits, as another process has it."""
        moves = Moves(self.config.index_path)
        return Moving(self.index, moves, self.opened, self.staging, token, self.config.reports, Bounds())

    def opened(self):
        linkage = Moved(self.config.linkage_path, KEY)
        linkage.open()
        return linkage

    def made(self, number, identity=ZOE, subject=None, **attributes):
        """The instance, de-identified as the subject that it is now, or was when `subject` was asked for."""
        subject = subject or self.linkage.resolve(identity)
        uid = {name: token(f"{identity.study_uid}.{number}{name}", subject.secret) for name in ("sop", "series")}
        values = {"PatientID": subject.pseudonym, "StudyInstanceUID": token(identity.study_uid, subject.secret)}
        slice_ = header(number, subject.scan_research_id, **{**values, "SOPInstanceUID": uid["sop"], **attributes})
        return clean(
            number,
            visit=subject.scan_research_id,
            body=encoded(slice_),
            pseudonym=subject.pseudonym,
            sop_instance_uid=uid["sop"],
            moves=subject.moves,
            calling="PACS",
        )

    def send(self, *numbers, identity=ZOE, **attributes):
        """The number of the visit in which these instances then are."""
        made = [self.made(number, identity, **attributes) for number in numbers]
        return self.store(*made).scan_research_id

    def left_as(self, identity):
        """A study's StudyInstanceUID as it left."""
        return token(identity.study_uid, self.linkage.resolve(identity).secret)

    def staged(self, visit):
        """The files of a visit in staging."""
        return sorted(self.staging.root.glob(f"{visit}-*/*.dcm"))

    def close(self):
        super().close()
        self.linkage.close()
        self.moving.moves.close()
