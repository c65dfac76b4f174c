"""Lines that reach far: `KEEP ALL` and `BLANK ALL`, keywords of many groups, groups with places in them."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from encoded import EXPLICIT, IMPLICIT, MR, RLE, UID, explicit, image, implicit, instance, ordered, sequence
from pydicom import Dataset
from test_differential import both, theirs

from scp import dictionary
from scp.deidentify import coverage, fields, part10, profile
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, combine, load, read
from scp.instance import Subject
from scp.outcome import Failure, Outcome

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
NEEDED = "# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
REQUEST, STEP = 0x00400275, 0x00400009
WAY = "RequestAttributesSequence__ScheduledProcedureStepID"
SIEMENS = '(0019,"SIEMENS MR HEADER",0A)'
PRIVATE = explicit(0x00190010, "LO", "SIEMENS MR HEADER"), explicit(0x0019100A, "US", b"\7\0")
OVERLAY = tuple(
    part
    for group in (0x6000, 0x6002, 0x60FE)
    for part in (explicit(group << 16 | 0x22, "LO", f"TEXT {group:X}"), explicit(group << 16 | 0x3000, "OW", b"\1\0"))
)
Compiles = Callable[..., Plan]

pytestmark = pytest.mark.filterwarnings("ignore")


def left(plan: Plan, *elements: bytes, syntax: str = EXPLICIT) -> Dataset:
    plan = replace(plan, unguarded=frozenset(dictionary.ATTRIBUTES))
    data = b"".join(elements) if syntax == IMPLICIT else image(*elements)
    return pydicom.dcmread(BytesIO(b"".join(plan.apply(instance(data, syntax), SUBJECT).parts)))


def steps(made: Dataset) -> list[str | None]:
    return [item.get("ScheduledProcedureStepID") for item in made.RequestAttributesSequence]


def requests(*values: str) -> bytes:
    return sequence(REQUEST, *(explicit(STEP, "SH", value) for value in values))


# ALL


NAME = explicit(0x00100010, "PN", "DOE^JOHN")
STUDY = explicit(0x00081030, "LO", "AXIAL")


@pytest.mark.parametrize(
    ("line", "expected"),
    [("REMOVE PatientName", None), ("BLANK PatientName", ""), ("REPLACE PatientName X", "X"),
     ("REMOVE contains:^Patient", None), ("BLANK select:VR:PN", ""), ("REMOVE fields:people", None),
     ("ADD PatientName X", "X")],
)  # fmt: skip
@pytest.mark.parametrize("everything", ["KEEP ALL", "BLANK ALL", "KEEP all"])
def test_any_other_line_is_stronger_than_one_for_all(
    plan_of: Compiles, line: str, expected: str | None, everything: str
) -> None:
    group = "\n%fields people\nFIELD PatientName\n"
    for lines in (f"{line}\n{everything}", f"{everything}\n{line}"):
        made = left(plan_of(lines + group if "fields:" in line else lines), NAME, STUDY)
        assert made.get("PatientName") == expected
        assert made.StudyDescription == ("" if everything == "BLANK ALL" else "AXIAL")


def test_keep_all_keeps_what_the_dictionary_knows_and_nothing_else(plan_of: Compiles) -> None:
    unknown = explicit(0x00189999, "LO", "TEXT"), explicit(0x00080001, "UL", bytes(4))
    length, padding = explicit(0x00100000, "UL", bytes(4)), explicit(0xFFFCFFFC, "OB", bytes(4))
    sent = (
        NAME,
        requests("XONE"),
        explicit(0x00209111, "UN", b"\1\2\3\4"),
        *OVERLAY,
        *PRIVATE,
        *unknown,
        length,
        padding,
    )
    with pytest.raises(Failure) as error:  # UN keeps its rule: a sequence that nobody can look through stops it all
        left(plan_of("KEEP ALL"), *sent)
    assert error.value.outcome is Outcome.NOT_DEIDENTIFIED
    made = left(plan_of("KEEP ALL\nREMOVE (0020,9111)"), *sent)
    assert made.PatientName == "DOE^JOHN"
    assert steps(made) == ["XONE"]
    tags = {int(element.tag) for element in made}
    assert not {tag >> 16 for tag in tags} & {0x0019, 0x6000, 0x6002, 0x60FE, 0xFFFC}
    assert not tags & {0x00189999, 0x00100000, 0x00209111}
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID != UID


def test_keep_all_leaves_private_and_repeated_ones_to_lines_of_their_own(plan_of: Compiles) -> None:
    made = left(plan_of(f"KEEP ALL\nKEEP {SIEMENS}\nKEEP (6002,0022)\nREPLACE (6000,0022) X"), *PRIVATE, *OVERLAY)
    assert made[0x0019100A].value == 7
    assert (made[0x60000022].value, made[0x60020022].value) == ("X", "TEXT 6002")
    assert 0x60FE0022 not in made


def test_a_place_is_stronger_than_all(plan_of: Compiles) -> None:
    assert steps(left(plan_of(f"KEEP ALL\nREMOVE {WAY}"), requests("XONE"))) == [None]
    assert steps(left(plan_of(f"BLANK ALL\nKEEP RequestAttributesSequence\nKEEP {WAY}"), requests("XONE"))) == ["XONE"]


def test_blank_all_leaves_attributes_without_values(plan_of: Compiles) -> None:
    made = left(plan_of("BLANK ALL"), NAME, STUDY, requests("XONE"), *PRIVATE, *OVERLAY)
    values = {element.keyword: element.value for element in made if element.keyword[:3] != "SOP"}
    assert {"PatientName", "Rows", "StudyDescription", "RequestAttributesSequence"} <= values.keys()
    assert not any(values.values())
    assert {int(element.tag) >> 16 for element in made}.isdisjoint({0x0019, 0x6000, 0x7FE0})


def test_blank_all_leaves_no_pixel_element_that_its_syntax_could_not_have(plan_of: Compiles) -> None:
    frames = explicit(
        0x7FE00010, "OB", b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\2\0\0\0ab\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF
    )
    data = image(pixels=frames)
    made = b"".join(plan_of("BLANK ALL").apply(instance(data, RLE), SUBJECT).parts)
    assert "PixelData" not in pydicom.dcmread(BytesIO(made))
    kept = b"".join(plan_of("BLANK ALL\nKEEP PixelData").apply(instance(data, RLE), SUBJECT).parts)
    assert frames in kept


def test_blank_all_writes_no_vr_that_never_leaves(plan_of: Compiles) -> None:
    plan = plan_of("BLANK ALL", "ADD exclude_vr UC UR")
    assert plan.explain("RetrieveURL")[0].action == "removed"
    assert plan.explain("PatientName")[0].action == "kept without value"


def test_keep_all_says_why_for_every_row(tmp_path: Path) -> None:
    path = tmp_path / "all.dicom"
    path.write_text(f"FORMAT dicom\n%header\n# because: phantoms only\nKEEP ALL\n\n{NEEDED}BLANK PatientName\n")
    weak = coverage.weaknesses(compile_plan(read(path), Policy({})))
    rows = {one.attribute for one in weak if one.line == 4 and one.because == "phantoms only"}
    concrete = {dictionary.write(row.tag) for row in profile.rows() if row.tag and row.tag in dictionary.ATTRIBUTES}
    assert len(rows) > 500
    assert rows <= concrete
    assert dictionary.write(0x00100010) not in rows
    assert dictionary.write(0x00100030) in rows


def test_of_recipes_on_one_another_a_later_all_holds(tmp_path: Path) -> None:
    def layered(first: str, second: str) -> Plan:
        paths = [tmp_path / "1.dicom", tmp_path / "2.dicom"]
        paths[0].write_text(f"FORMAT dicom\n%header\n{NEEDED}# because: a test\n{first}\n")
        paths[1].write_text(f"FORMAT dicom\n%header\n{NEEDED}# because: a test\n{second}\n")
        return compile_plan(combine([read(path) for path in paths]), Policy({}))

    assert left(layered("REMOVE PatientName", "BLANK ALL"), NAME).PatientName == ""
    assert left(layered("REMOVE PatientName", "KEEP ALL"), NAME).PatientName == "DOE^JOHN"
    assert "PatientName" not in left(layered("KEEP ALL", "REMOVE PatientName"), NAME)
    assert 0x60000022 not in left(layered("KEEP (6000,0022)\nREMOVE (6002,0022)", "REMOVE ALL"), *OVERLAY)
    assert 0x60020022 not in left(layered("REMOVE (6002,0022)", "KEEP ALL"), *OVERLAY), "nor in a dictionary"


@pytest.mark.parametrize("recipe", ["basic", "mip", "research-mri"])
def test_keep_all_under_a_recipe_changes_nothing(tmp_path: Path, recipe: str) -> None:
    path = tmp_path / "under.dicom"
    path.write_text("FORMAT dicom\n%header\n# because: a test\nKEEP ALL\n")
    alone = compile_plan(load(recipe), Policy({}))
    plan = compile_plan(load(f"{path},{recipe}"), Policy({}))
    assert {tag: step.action for tag, step in plan.decisions.items()} == {
        tag: step.action for tag, step in alone.decisions.items()}  # fmt: skip
    assert (plan.private.keys(), plan.added.keys()) == (alone.private.keys(), alone.added.keys())


def test_all_in_a_group_is_all(plan_of: Compiles) -> None:
    group = "\n%fields every\nFIELD ALL\n"
    assert "PatientName" not in left(plan_of(f"KEEP fields:every\nREMOVE PatientName{group}"), NAME)
    with pytest.raises(RecipeError, match="a rule for this field already"):
        plan_of(f"KEEP fields:every\nBLANK ALL{group}")


# Keywords of many groups


def test_a_keyword_stands_for_all_even_groups(plan_of: Compiles) -> None:
    named = fields.parse("OverlayData")
    assert isinstance(named, fields.Repeated)
    assert [one.tag for one in named.attributes] == [group << 16 | 0x3000 for group in range(0x6000, 0x6100, 2)]
    assert {one.keyword for one in named.attributes} == {"OverlayData"}
    made = left(plan_of("REMOVE ALL\nKEEP OverlayData\nREPLACE OverlayDescription X"), *OVERLAY)
    assert [made[group << 16 | 0x3000].value for group in (0x6000, 0x6002, 0x60FE)] == [b"\1\0"] * 3
    assert [made[group << 16 | 0x22].value for group in (0x6000, 0x6002, 0x60FE)] == ["X"] * 3
    assert "PatientID" not in made


def test_curves_and_what_repeats_elements(plan_of: Compiles) -> None:
    made = left(plan_of("BLANK CurveDescription\nREMOVE SourceImageIDs"), explicit(0x50020022, "LO", "TEXT"),
                explicit(0x00203110, "CS", "TEXT"))  # fmt: skip
    assert made[0x50020022].value == ""
    assert 0x00203110 not in made
    assert "KEEP SourceImageIDs" in {one.text for one in plan_of("KEEP SourceImageIDs").explain("(0020,3110)")}


def test_pixel_data_is_no_variable_pixel_data(plan_of: Compiles) -> None:
    named = fields.parse("VariablePixelData")
    assert isinstance(named, fields.Repeated)
    assert 0x7FE00010 not in {one.tag for one in named.attributes}
    assert left(plan_of("REMOVE VariablePixelData")).PixelData == bytes(range(8))


@pytest.mark.parametrize("attribute", [one for _, _, one in dictionary._REPEATERS], ids=lambda one: one.keyword)
def test_every_such_keyword_is_all_its_tags_or_refused(attribute: dictionary.Attribute) -> None:
    found = dictionary.repeated(attribute.keyword)
    for one in found:
        assert dictionary.find(one.tag) == one
        assert not one.tag >> 16 & 1
    assert len(found) in {0, 15, 16, 127, 128, 256}
    assert bool(found) == (attribute.tag >> 16 not in {0x1000, 0x1010})


def test_the_line_for_one_group_is_the_exception(plan_of: Compiles) -> None:
    for lines in ("BLANK (6002,0022)\nREPLACE OverlayDescription X", "REPLACE OverlayDescription X\nBLANK (6002,0022)"):
        plan = plan_of(lines)
        made = left(plan, *OVERLAY)
        assert [made[group << 16 | 0x22].value for group in (0x6000, 0x6002, 0x60FE)] == ["X", "", "X"]
        assert [(one.attribute, one.action) for one in plan.explain("OverlayDescription")] == [
            ("OverlayDescription", "replaced"), ("(6002,0022) OverlayDescription", "kept without value")]  # fmt: skip
    assert plan_of("REMOVE ALL").explain("OverlayData")[0].action == "removed"


@pytest.mark.parametrize("verb", ["REMOVE", "BLANK"])
def test_the_line_for_one_group_is_the_exception_from_keep_too(plan_of: Compiles, verb: str) -> None:
    made = left(plan_of(f"KEEP OverlayData\n{verb} (6002,3000)"), *OVERLAY)
    found = [made[tag].value if tag in made else None for tag in (0x60003000, 0x60023000, 0x60FE3000)]
    assert [value or None for value in found] == [b"\1\0", None, b"\1\0"]
    assert (0x60023000 in made) == (verb == "BLANK")


def test_it_is_stronger_than_an_expression_and_a_later_layer_than_it(plan_of: Compiles) -> None:
    plan = plan_of("REMOVE contains:^OverlayDesc|6002\nBLANK OverlayDescription")
    assert plan.explain("(6002,0022)")[0].action == "kept without value"
    with pytest.raises(RecipeError, match="never applies"):
        plan_of("KEEP contains:Overlay\nBLANK OverlayDescription")


def test_implicit_overlays_have_the_dictionary_s_vr(plan_of: Compiles) -> None:
    head = implicit(0x00080016, f"{MR}\0"), implicit(0x00080018, f"{UID}\0")
    made = left(plan_of("KEEP OverlayData"), *head, implicit(0x60023000, b"\1\0"), syntax=IMPLICIT)
    assert made[0x60023000].VR == "OW"


def test_in_a_place_it_is_a_tag(plan_of: Compiles) -> None:
    curves, label = 0x50002600, 0x60000022  # CurveReferencedOverlaySequence
    for way in ("CurveReferencedOverlaySequence__CodeMeaning", "RequestAttributesSequence__OverlayDescription"):
        with pytest.raises(RecipeError, match="is no way down to an attribute"):
            plan_of(f"REMOVE {way}")
    with pytest.raises(RecipeError, match="does not stay with its items"):
        plan_of("KEEP (5000,2600)__(6000,0022)")
    lines = "KEEP CurveReferencedOverlaySequence\nKEEP (5000,2600)__(6000,0022)"
    inside = explicit(label, "LO", "TEXT"), explicit(label + 0x20000, "LO", "TEXT")
    (item,) = left(plan_of(lines), sequence(curves, ordered(*inside)), *inside)[curves].value
    assert [int(element.tag) for element in item] == [label]


def test_what_stays_of_overlays_is_listed_once(tmp_path: Path) -> None:
    path = tmp_path / "overlays.dicom"
    path.write_text(f"FORMAT dicom\n%header\n{NEEDED}REMOVE ALL\n# because: contours\nKEEP OverlayData\n"
                    "KEEP (6002,4000)\nKEEP CurveLabel\nADD (6000,4000) X\nKEEP OverlayRows\n")  # fmt: skip
    weak = coverage.weaknesses(compile_plan(read(path), Policy({})))
    found = [(one.attribute, one.code, one.because) for one in weak if one.because == "contours"]
    assert found == [("CurveLabel", "X", "contours"), ("(6002,4000) OverlayComments", "X", "contours"),
                     ("OverlayData", "X", "contours")]  # fmt: skip


def test_in_groups_and_among_values(tmp_path: Path) -> None:
    path = tmp_path / "groups.dicom"
    path.write_text(
        f"FORMAT dicom\n%fields overlays\nFIELD OverlayData\nFIELD (6000,0022)\nFIELD StudyDescription\n"
        f"%values who\nFIELD OverlayComments\n%header\n{NEEDED}REMOVE ALL\n# because: a test\nKEEP fields:overlays\n"
        "KEEP ImageComments\nREMOVE values:who\n"
    )
    plan = compile_plan(read(path), Policy({}))
    made = left(plan, *OVERLAY, STUDY)
    assert [made[group << 16 | 0x3000].value for group in (0x6000, 0x6002, 0x60FE)] == [b"\1\0"] * 3
    assert made[0x60000022].value == "TEXT 6000"
    assert 0x60020022 not in made
    assert [one.attribute for one in coverage.weaknesses(plan) if "overlays" in one.attribute] == ["fields:overlays"]
    comments = explicit(0x60044000, "LT", "DOE JOHN"), explicit(0x00204000, "LT", "of doe john")
    assert "ImageComments" not in left(plan, *comments)


# Places in groups


def group(verb: str, *members: str) -> str:
    listed = "\n".join(f"FIELD {one}" for one in members)
    return f"{verb}\n%fields some\n{listed}\n"


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("REMOVE fields:some", [None, None]),
        ("BLANK fields:some", ["", ""]),
        ("REPLACE fields:some NEWTEXT", ["NEWTEXT"] * 2),
    ],
)
def test_a_place_in_a_group_is_that_place(plan_of: Compiles, verb: str, expected: list[str], tmp_path: Path) -> None:
    # To deid it is the attribute, wherever it stands.
    elsewhere = sequence(0x00081032, explicit(STEP, "SH", "OTHER"))
    lines = group(verb, WAY)
    made = left(plan_of(lines), requests("XONE", "XTWO"), elsewhere)
    assert steps(made) == expected
    assert made.ProcedureCodeSequence[0].ScheduledProcedureStepID == "OTHER"
    data = part10.head(MR, UID, EXPLICIT) + image(requests("XONE", "XTWO"), elsewhere)
    by_deid = theirs(pydicom.dcmread(BytesIO(data)), f"{lines}%header", tmp_path)
    assert [
        item.get("ScheduledProcedureStepID") or expected[0] for item in by_deid.RequestAttributesSequence
    ] == expected
    assert by_deid.ProcedureCodeSequence[0].get("ScheduledProcedureStepID") != "OTHER"


def test_keep_and_jitter_of_a_group_with_places(plan_of: Compiles) -> None:
    lines = group("REMOVE ALL\nKEEP RequestAttributesSequence\nKEEP fields:some", WAY, "StudyDescription", SIEMENS)
    plan = plan_of(lines)
    made = left(plan, requests("XONE"), STUDY, *PRIVATE, sequence(0x00081032, explicit(STEP, "SH", "OTHER")))
    assert steps(made) == ["XONE"]
    assert made.StudyDescription == "AXIAL"
    assert made[0x0019100A].value == 7
    assert "ProcedureCodeSequence" not in made
    assert plan.explain(WAY)[0].text == "KEEP fields:some"
    named = [row.attribute for row in plan.summary() if row.text == "KEEP fields:some"]
    assert named == ["fields:some", WAY, SIEMENS]
    date = "RequestAttributesSequence__ScheduledProcedureStepEndDate"
    dated = sequence(REQUEST, explicit(0x00400004, "DA", "20250301"))
    moved = left(plan_of(group("JITTER fields:some 3", date)), dated, explicit(0x00080020, "DA", "20250301"))
    assert moved.RequestAttributesSequence[0].ScheduledProcedureStepEndDate == "20250304"
    assert moved.StudyDate == "20250301"


def test_numbers_and_names_of_places_in_groups(plan_of: Compiles) -> None:
    plan = plan_of(group("REMOVE fields:some", "(0040,0275)__1__(0040,0009)", "(0040,0275)__(0040,1001)"))
    assert steps(left(plan, requests("XONE", "XTWO"))) == ["XONE", None]
    names = [row.attribute for row in plan.summary() if row.text == "REMOVE fields:some"]
    assert names == ["(0040,0275)__1__(0040,0009)", "RequestAttributesSequence__RequestedProcedureID"]
    for name in names:
        assert str(fields.parse(name)) == name


def test_a_weakening_of_a_group_s_place_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "weak.dicom"
    path.write_text(f"FORMAT dicom\n%fields some\nFIELD {WAY}\n%header\n{NEEDED}REMOVE ScheduledProcedureStepID\n"
                    "# because: planning\nKEEP fields:some\n")  # fmt: skip
    weak = coverage.weaknesses(compile_plan(read(path), Policy({})))
    assert (WAY, "X", "planning") in [(one.attribute, one.code, one.because) for one in weak]


def test_a_private_attribute_by_its_number_is_refused(plan_of: Compiles, tmp_path: Path) -> None:
    # deid takes away whatever stands under the number, whose block it is or not.
    other = explicit(0x00190010, "LO", "GEMS_ACQU_01"), explicit(0x0019100A, "SS", b"\7\0")
    by_deid, _ = both("REMOVE (0019,100A)", tmp_path, *other, ours="REMOVE PatientName")
    assert 0x0019100A not in by_deid
    with pytest.raises(RecipeError, match="is private; write"):
        plan_of("REMOVE (0019,100A)")


def test_items_are_gone_through_under_all(plan_of: Compiles) -> None:
    inside = sequence(REQUEST, ordered(NAME, explicit(STEP, "SH", "XONE")))
    made = left(plan_of("KEEP ALL\nREMOVE PatientName"), inside)
    assert "PatientName" not in made.RequestAttributesSequence[0]
    assert steps(made) == ["XONE"]
