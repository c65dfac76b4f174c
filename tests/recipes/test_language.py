"""What recipes mean: verbs, fields and their precedence, and that deid reads the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from deid.config import DeidRecipe
from encoded import explicit, image, instance, sequence

from scp import dictionary
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import find, read
from scp.instance import DeidentifiedInstance, Subject

Compiles = Callable[..., Plan]
NAME, BIRTH_DATE, SEX = "PatientName", "PatientBirthDate", "PatientSex"


def action(plan: Plan, keyword: str) -> str:
    return plan.explain(keyword)[0].action


def applied(plan: Plan, subject: Subject, *elements: bytes) -> bytes:
    """The de-identified data set, without what stands before it."""
    made: DeidentifiedInstance = plan.apply(instance(image(*elements)), subject)
    data = b"".join(made.parts)
    return data[data.index(b"\x08\0\x16\0UI") :]


def test_remove_all_leaves_what_lines_name(plan_of: Compiles) -> None:
    plan = plan_of("REMOVE ALL\nKEEP Rows\nREPLACE PatientID X")
    kept = {tag for tag, step in plan.decisions.items() if step.action.value != "removed"}
    assert kept == {dictionary.TAGS[word] for word in ("SOPClassUID", "SOPInstanceUID", "Rows", "PatientID")}


def test_without_remove_all_what_the_dictionary_knows_is_kept(plan_of: Compiles) -> None:
    plan = plan_of("REMOVE PatientName")
    assert action(plan, NAME) == "removed"
    assert action(plan, "Rows") == "kept as sent"
    assert plan.explain("Rows")[0].line == 0


def test_unknown_and_private_attributes_never_pass_unnamed(plan_of: Compiles, subject: Subject) -> None:
    private = explicit(0x00190010, "LO", "SIEMENS MR HEADER"), explicit(0x0019100A, "US", b"\7\0")
    odd = explicit(0x00189999, "LO", "UNKNOWN"), explicit(0x60003000, "OW", b"OVERLAYS")
    gone = explicit(0x00041500, "CS", "DIRECTORY "), explicit(0xFFFCFFFC, "OB", b"PADDING!")
    data = applied(
        plan_of("REMOVE PatientName"), subject, *private, *odd, *gone, explicit(0x00200000, "UL", b"\4\0\0\0")
    )
    for needle in (b"SIEMENS", b"UNKNOWN", b"OVERLAYS", b"DIRECTORY", b"PADDING", b"\x20\0\0\0UL"):
        assert needle not in data
    assert b"PATIENT-77" in data


@pytest.mark.parametrize(
    "lines",
    [
        "KEEP contains:PatientN\nREMOVE startswith:Patient",
        "REMOVE startswith:Patient\nKEEP contains:PatientN",
        "REMOVE ALL\nKEEP PatientName",
        "REMOVE ALL\nKEEP contains:^PatientName$",
        "BLANK startswith:Patient\nKEEP PatientName",
        "REPLACE select:VR:PN X\nKEEP PatientName",
    ],
)
def test_keep_is_strongest(plan_of: Compiles, lines: str) -> None:
    assert action(plan_of(lines), NAME) == "kept as sent"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("REMOVE ALL\nREPLACE PatientName X", "replaced"),
        ("REPLACE PatientName X\nREMOVE ALL", "replaced"),
        ("REMOVE startswith:Patient\nREPLACE select:VR:PN X", "replaced"),
        ("REMOVE startswith:Patient\nBLANK endswith:Sex", "removed"),
        ("BLANK select:VR:PN\nREPLACE PatientName X", "replaced"),
        ("REPLACE PatientName X\nBLANK select:VR:PN", "replaced"),
        ("REPLACE select:VR:PN X\nBLANK PatientName", "kept without value"),
        ("REPLACE select:VR:PN X\nBLANK startswith:PatientNa", "kept without value"),
        ("BLANK contains:PatientName|Modality\nREPLACE select:VR:PN X", "replaced"),
        ("REMOVE ALL\nBLANK PatientName", "kept without value"),
        ("BLANK PatientName\nREMOVE startswith:Patient", "kept without value"),
    ],
)
def test_remove_leaves_alone_what_is_replaced_and_the_last_or_nearest_wins(
    plan_of: Compiles, lines: str, expected: str
) -> None:
    # A rule that decides nothing would be refused, so each of these has something else to do as well.
    plan = plan_of(lines.replace("BLANK endswith:Sex", "BLANK endswith:Sex|Modality"))
    assert action(plan, NAME if "Sex" not in lines else SEX) == expected


def test_add_writes_over_keep_of_an_expression_at_the_top_only(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of("REMOVE ALL\nKEEP contains:PatientSex|ReferencedStudySequence\nADD PatientSex O")
    inside = sequence(0x00081110, explicit(0x00100040, "CS", "F "))
    data = applied(plan, subject, inside, explicit(0x00100040, "CS", "M "))
    assert explicit(0x00100040, "CS", "O ") in data
    assert explicit(0x00100040, "CS", "F ") in data
    assert explicit(0x00100040, "CS", "M ") not in data
    top, nested = plan.explain("PatientSex")
    assert (top.action, nested.action) == ("written, sent or not", "kept as sent")


@pytest.mark.parametrize(
    "field", ["PatientName", "(0010,0010)", "00100010", "0010,0010", "startswith:PatientNam", "endswith:^patientname"]
)
def test_every_way_to_name_a_public_attribute(plan_of: Compiles, field: str) -> None:
    assert action(plan_of(f"REMOVE {field}"), NAME) == "removed"


def test_the_expressions_reach_what_they_say(plan_of: Compiles) -> None:
    by_vr, by_group = plan_of("REMOVE select:VR:PN"), plan_of("REMOVE select:group:0010")
    every_other = plan_of("REMOVE except:^(SOP|Rows|Columns)")
    for tag, attribute in dictionary.ATTRIBUTES.items():
        if attribute.keyword in {"SOPClassUID", "SOPInstanceUID"} or tag not in by_vr.decisions:
            continue
        assert (by_vr.decisions[tag].action.value == "removed") == ("PN" in attribute.vrs)
        assert (by_group.decisions[tag].action.value == "removed") == (tag >> 16 == 0x0010)
        starts = attribute.keyword.startswith(("SOP", "Rows", "Columns"))
        assert (every_other.decisions[tag].action.value == "removed") != starts


@pytest.mark.parametrize("field", ['(0019,"SIEMENS MR HEADER",0A)', '0019,"SIEMENS MR HEADER",0a'])
def test_private_attributes_by_their_creator(plan_of: Compiles, subject: Subject, field: str) -> None:
    plan = plan_of(f"REMOVE ALL\nKEEP {field}")
    creators = explicit(0x00190010, "LO", "OTHER"), explicit(0x00190012, "LO", "SIEMENS MR HEADER")
    elements = (
        explicit(0x0019100A, "US", b"\1\0"),
        explicit(0x0019120A, "US", b"\2\0"),
        explicit(0x0019120B, "DS", "3 "),
    )
    data = applied(plan, subject, *creators, *elements)
    assert creators[1] + elements[1] in data
    assert b"OTHER" not in data
    assert elements[0] not in data
    assert elements[2] not in data
    assert action(plan, field) == "kept as sent"
    assert action(plan, '(0019,"SIEMENS MR HEADER",0B)') == "removed"


def test_a_creator_without_a_kept_element_goes(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of('REMOVE ALL\nKEEP (0019,"SIEMENS MR HEADER",0A)')
    assert b"SIEMENS" not in applied(plan, subject, explicit(0x00190010, "LO", "SIEMENS MR HEADER"))


def test_private_blocks_are_resolved_at_each_level(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of('REMOVE ALL\nKEEP ReferencedStudySequence\nKEEP (0019,"SIEMENS MR HEADER",0A)')
    here = explicit(0x00190010, "LO", "SIEMENS MR HEADER"), explicit(0x0019100A, "US", b"\1\0")
    stray = sequence(0x00081110, explicit(0x0019100A, "US", b"\2\0"))  # its own level names no creator
    data = applied(plan, subject, stray, *here)
    assert b"".join(here) in data
    assert explicit(0x0019100A, "US", b"\2\0") not in data


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("REPLACE PatientName ANON", explicit(0x00100010, "PN", "ANON")),
        ("REPLACE PatientName A B  C", explicit(0x00100010, "PN", "A B C")),
        ("REPLACE PatientName X", explicit(0x00100010, "PN", "X ")),
        ("BLANK PatientName", explicit(0x00100010, "PN", "")),
        ("REPLACE PatientName func:date_month", explicit(0x00100010, "PN", "")),
        ("REPLACE PatientName func:patient_pseudonym", explicit(0x00100010, "PN", "Pq7kLm20Xy")),
        ("KEEP PatientName", explicit(0x00100010, "PN", "DOE^JOHN")),
        ("ADD PatientName X", explicit(0x00100010, "PN", "X ")),
    ],
)
def test_what_stands_in_the_place_of_a_value(plan_of: Compiles, subject: Subject, line: str, written: bytes) -> None:
    data = applied(plan_of(f"REMOVE ALL\n{line}"), subject, explicit(0x00100010, "PN", "DOE^JOHN"))
    assert data.endswith(written)


def test_jitter_moves_and_a_bad_date_becomes_empty(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of("REMOVE ALL\nJITTER StudyDate -3\nJITTER SeriesDate 3")
    data = applied(plan, subject, explicit(0x00080020, "DA", "20250302"), explicit(0x00080021, "DA", "DOE"))
    assert data.endswith(explicit(0x00080020, "DA", "20250227") + explicit(0x00080021, "DA", ""))


def test_replace_writes_nothing_where_nothing_was_sent_and_add_does(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of("REMOVE ALL\nREPLACE PatientName X\nADD PatientSex O\nADD PatientAge func:age")
    data = applied(plan, subject)
    assert data.endswith(explicit(0x00100040, "CS", "O "))


def test_all_the_lines_of_a_recipe_in_its_order(shipped: Plan) -> None:
    mip, rows = shipped, shipped.summary()
    assert [row.line for row in rows] == sorted(row.line for row in rows)
    assert (rows[0].attribute, rows[0].action) == ("ALL", "removed")
    assert ("(0010,0020) PatientID", "replaced") in {(row.attribute, row.action) for row in rows}
    assert ("(0010,1010) PatientAge", "written, sent or not") in {(row.attribute, row.action) for row in rows}
    assert len(rows) == len(mip.recipe.rules)


def test_a_decision_names_the_line_that_made_it(shipped: Plan) -> None:
    mip = shipped
    lines = mip.recipe.path.read_text().splitlines()
    for keyword in ("PatientName", "PatientID", "Rows", "InstitutionName", "PerFrameFunctionalGroupsSequence"):
        for decision in mip.explain(keyword):
            assert lines[decision.line - 1] == decision.text
            assert decision.path == mip.recipe.path
    assert mip.explain("InstitutionName")[0].text == "REMOVE ALL"
    assert mip.explain("SharedFunctionalGroupsSequence")[0].action == "kept, its items by the same rules"
    assert mip.explain("00189999")[0].action == "removed"


@pytest.mark.parametrize("text", ["NoSuchKeyword", "contains:Patient", "ALL", "(0019,100A)"])
def test_what_names_no_attribute_cannot_be_explained(mip: Plan, text: str) -> None:
    with pytest.raises(ValueError, match=r".{20}"):
        mip.explain(text)


def test_the_digest_changes_with_recipe_and_policy(write: Callable[..., Path]) -> None:
    one = read(write("REMOVE ALL"))
    digests = [compile_plan(one, policy).digest for policy in (Policy({}), Policy({}), Policy({"a": "T1"}))]
    other = compile_plan(read(write("REMOVE ALL\n# a comment counts too")), Policy({})).digest
    assert digests[0] == digests[1]
    assert len({*digests, other}) == 3
    assert all(len(digest) == 64 for digest in (*digests, other))


@pytest.mark.parametrize("name", ["mip", "mip-strict"])
def test_deid_reads_the_same_actions(name: str) -> None:
    ours, theirs = read(find(name)), DeidRecipe(deid=str(find(name))).get_actions()
    assert [(rule.verb, rule.name) for rule in ours.rules] == [(row["action"], row["field"]) for row in theirs]


def test_what_deid_reads_otherwise_is_refused(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("REMOVE ALL\nKEEP Rows")
    monkeypatch.setattr("scp.deidentify.recipe.DeidRecipe", _Other)
    with pytest.raises(ValueError, match=r":7: deid's own parser understands this line differently"):
        read(path)


class _Other:
    """A deid that reads another field in the last line."""

    def __init__(self, deid: str) -> None:
        self.deid = DeidRecipe(deid=deid).deid
        self.deid["header"][-1]["field"] = "Columns"


@pytest.mark.parametrize("error", [SystemExit(1), KeyError("format"), OSError("gone")])
def test_what_deid_refuses_is_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def refuse(deid: str) -> None:
        raise error

    monkeypatch.setattr("scp.deidentify.recipe.DeidRecipe", refuse)
    with pytest.raises(ValueError, match="deid's own parser refuses it"):
        read(write("REMOVE ALL"))


def test_another_number_of_actions_than_deid_s_is_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.deidentify.recipe.DeidRecipe", _More)
    with pytest.raises(ValueError, match="deid's own parser finds another number of actions"):
        read(write("REMOVE ALL"))


class _More(_Other):
    """A deid that reads one action more than there is."""

    def __init__(self, deid: str) -> None:
        self.deid = DeidRecipe(deid=deid).deid
        self.deid["header"].append({"action": "KEEP", "field": "PatientName"})
