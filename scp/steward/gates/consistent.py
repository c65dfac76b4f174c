"""One visit is one person: the Data Catalog takes each of these from whatever file it reads last."""

from collections import Counter
from collections.abc import Iterator

from scp.steward.gates.finding import Candidate, Said, names

SAME = ("PatientID", "StudyID", "PatientSex", "PatientBirthDate", "PatientAge")


def consistent(visit: Candidate) -> Iterator[Said]:
    """Attributes with several values in the visit, being absent counted as one; the files of the rarer ones."""
    for keyword in SAME:
        found = Counter(header.text(keyword) for header in visit.headers)
        if len(found) > 1:
            usual = found.most_common(1)[0][0]
            rare = [header for header in visit.headers if header.text(keyword) != usual]
            yield Said(f"{keyword} has {len(found)} values in one visit", names(rare))
