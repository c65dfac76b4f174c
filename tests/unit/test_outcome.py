import re

import pytest

from scp.outcome import Failure, Outcome, Rejection

# PS3.4 Table B.2-1 and PS3.7 Annex C: what a C-STORE may be answered with.
FAILURES = {0x0110, 0x0122, 0x0124, *range(0xA700, 0xA800), *range(0xA900, 0xAA00), *range(0xC000, 0xD000)}


@pytest.mark.parametrize("outcome", Outcome)
def test_every_status_is_one_a_c_store_may_have(outcome):
    assert outcome.status == 0 or outcome.status in FAILURES


@pytest.mark.parametrize("outcome", Outcome)
def test_every_row_has_a_label_and_a_meaning(outcome):
    assert re.fullmatch(r"[a-z][a-z_]*", outcome.label)
    assert outcome.label.upper() == outcome.name
    assert len(outcome.meaning) > 10


def test_success_is_kept_for_what_is_stored():
    assert {outcome for outcome in Outcome if outcome.status == 0} == {Outcome.STORED, Outcome.UNCHANGED}


def test_nothing_that_succeeded_or_lacked_room_is_quarantined():
    for outcome in Outcome:
        if outcome.quarantined:
            assert outcome.status >= 0xA900


def test_what_is_quarantined_is_told_apart_by_its_status():
    statuses = [outcome.status for outcome in Outcome if outcome.quarantined]
    assert len(set(statuses)) == len(statuses)


def test_equal_rows_are_not_one_member():
    """An Enum takes two rows of equal value for one; the meanings keep them apart."""
    assert len(Outcome.__members__) == len(list(Outcome))
    assert len(Rejection.__members__) == len(list(Rejection))


def test_a_failure_carries_its_row():
    failure = Failure(Outcome.BURNED_IN, "BurnedInAnnotation is YES")
    assert failure.outcome is Outcome.BURNED_IN
    assert failure.why == "BurnedInAnnotation is YES"
    assert str(failure) == "burned_in: BurnedInAnnotation is YES"


# PS3.8 Table 9-21: reasons by source.
REASONS = {1: {1, 2, 3, 7}, 2: {1, 2}, 3: {1, 2}}


@pytest.mark.parametrize("rejection", Rejection)
def test_every_rejection_is_one_of_the_standards(rejection):
    row = rejection.value
    assert row.result in {1, 2}
    assert row.reason in REASONS[row.source]
    assert rejection.label == rejection.name.lower()
    assert row.meaning


def test_what_passes_by_itself_is_transient():
    assert {rejection for rejection in Rejection if rejection.value.result == 2} == {
        Rejection.CONGESTED,
        Rejection.DRAINING,
    }
