"""Items laid out alike leave as they would one by one, whatever the recipe does with what is in them."""

from dataclasses import replace

import pytest
from encoded import explicit, image, instance, sequence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repeating import OWN, Branch, Leaf, one_by_one, repeated, values_from, written

from scp.alike import Neighbours
from scp.deidentify import splice
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import load
from scp.outcome import Failure

SEQUENCES = (
    "PerFrameFunctionalGroupsSequence", "ReferencedImageSequence", "FrameContentSequence", "PlanePositionSequence",
    "RealWorldValueMappingSequence",
)  # fmt: skip
OTHERS = ("AcquisitionDateTime", "Modality", "StackID", "SliceThickness", "ImagePositionPatient")
ALL = "\n".join(("REMOVE ALL", *(f"KEEP {keyword}" for keyword in (*SEQUENCES, *OTHERS))))
RULES = (
    "REMOVE ALL\nKEEP PerFrameFunctionalGroupsSequence",
    f"{ALL}\nKEEP PatientComments",
    f"{ALL}\nBLANK PatientName",
    f"{ALL}\nREPLACE PatientName func:patient_pseudonym".replace("KEEP ReferencedImageSequence\n", ""),
    "REMOVE ALL\nKEEP PerFrameFunctionalGroupsSequence\nKEEP PlanePositionSequence\nKEEP SliceThickness",
)
FRAME = (
    Leaf(0x00080018, 8),
    Leaf(0x00104000, 14),
    Branch(0x00209113, ((Leaf(0x00080018, 14), Leaf(0x00200032, 14)),), undefined=False, undefined_items=True),
    Branch(0x00409096, ((), (Leaf(0x00180050, 2),)), undefined=True, undefined_items=False),
)


def made(plan, subject, *elements):
    try:
        return b"".join(plan.apply(instance(image(*elements)), subject).parts)
    except Failure as failure:
        return failure.outcome, failure.why


def both(plan, subject, *elements):
    """What leaves, and what would leave if each item were looked at by itself."""
    quickly = made(plan, subject, *elements)
    with one_by_one():
        return quickly, made(plan, subject, *elements)


@pytest.mark.parametrize("name", ["basic", "mip", "research-mri"])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=repeated())
def test_recipes_of_ours_make_the_same_of_them(name, subject, data):
    plan = PLANS[name] if name in PLANS else PLANS.setdefault(name, compile_plan(load(name), Policy({})))
    quickly, slowly = both(plan, subject, data)
    assert quickly == slowly


@pytest.mark.parametrize("lines", RULES)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=repeated(), seed=st.integers(0, 99))
def test_whatever_the_rules_are(lines, plan_of, subject, data, seed):
    plan = PLANS[lines] if lines in PLANS else PLANS.setdefault(lines, plan_of(lines))
    random = values_from(seed)
    more = sequence(0x00081140, *(written(FRAME, random) for _ in range(random.randrange(6))))
    quickly, slowly = both(plan, subject, more, data)
    assert quickly == slowly


def test_of_items_that_stay_whole_one_slice_each_is_left(plan_of, subject, monkeypatch):
    plan = plan_of(f"{ALL}\nKEEP PatientComments")
    programs = []
    work_out = splice.Writer.written

    def noted(writer, shape, at):
        found = work_out(writer, shape, at)
        programs.append(found.program)
        return found

    monkeypatch.setattr(splice.Writer, "written", noted)
    random = values_from(3)
    data = sequence(OWN, *(written(FRAME, random) for _ in range(20)))
    quickly, slowly = both(plan, subject, data)
    assert quickly == slowly
    assert len(programs[-1]) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(several=st.lists(st.tuples(repeated(), st.integers(0, 30)), min_size=2, max_size=5))
def test_layouts_that_are_kept_from_others_make_the_same_of_them(subject, several):
    """Elsewhere in another data set, where other bytes stand in the place that the layout was learnt from."""
    plan = PLANS.setdefault("mip", compile_plan(load("mip"), Policy({})))
    other = PLANS.setdefault("basic", compile_plan(load("basic"), Policy({})))
    neighbours = Neighbours()
    for data, room in several:
        sent = instance(image(data, explicit(0x00081030, "LO", "x" * room)))
        try:
            dataset = neighbours.read(sent.arrival.data, explicit=True)
        except Failure:
            continue
        for each in (plan, other):
            ends = []
            for one in (dataset, sent.dataset):
                try:
                    ends.append(b"".join(each.apply(replace(sent, dataset=one), subject).parts))
                except Failure as failure:
                    ends.append((failure.outcome, failure.why))
            assert ends[0] == ends[1]


def test_private_elements_are_taken_by_what_their_creator_is(plan_of, subject):
    plan = plan_of('REMOVE ALL\nKEEP PerFrameFunctionalGroupsSequence\nKEEP (0019,"SIEMENS MR HEADER",0C)')

    def item(creator, value):
        return explicit(0x00190010, "LO", creator) + explicit(0x0019100C, "IS", value)

    theirs, others = "SIEMENS MR HEADER", "SIEMENS MR OTHERS"
    data = sequence(OWN, *[item(theirs, "4321"), item(others, "8765")] * 4)
    quickly, slowly = both(plan, subject, data)
    assert quickly == slowly
    assert quickly.count(b"4321") == 4
    assert b"8765" not in quickly


def test_what_was_sent_with_a_wrong_vr_is_looked_at_one_by_one(plan_of, subject):
    plan = plan_of(ALL)
    unknown = sequence(OWN, *[explicit(0x00180050, "UN", "1 ") + explicit(0x00200032, "DS", "1\\2\\3 ")] * 5)
    quickly, slowly = both(plan, subject, unknown)
    assert quickly == slowly
    wrong = sequence(OWN, *[explicit(0x00180050, "SQ", b"")] * 5)
    quickly, slowly = both(plan, subject, wrong)
    assert quickly == slowly


def test_the_guard_sees_what_stands_in_each_of_them(plan_of, subject):
    """A value that only one frame has is a needle like any other."""
    plan = plan_of(f"{ALL}\nKEEP ImageComments")
    names = [f"NAME{number}QWERTZ" for number in range(6)]
    data = sequence(OWN, *(explicit(0x00100010, "PN", name) for name in names))
    for name in names:
        said = explicit(0x00204000, "LT", f"seen {name}")
        outcome, why = made(plan, subject, said, data)
        assert outcome.label == "residual"
        assert "PatientName" in why
        assert made(plan, subject, explicit(0x00204000, "LT", "nobody"), data)


PLANS: dict[str, object] = {}
