"""What of deid's language is compiled as deid means it beyond single attributes, and what is done otherwise, by name.

The differences (a) to (l) are in `test_differential`, those of `%filter` in `test_filters`, of places in `test_placed`.
"""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from encoded import EXPLICIT, MR, UID, explicit, image, sequence
from encoded import instance as encoded_instance
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from test_differential import both, plan_of, theirs

from scp import dictionary
from scp.deidentify import coverage, dry, fields, part10
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.shift import date_time
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, read
from scp.dictionary import ATTRIBUTES
from scp.instance import Subject

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
SIEMENS = '(0019,"SIEMENS MR HEADER",'
CREATOR = explicit(0x00190010, "LO", "SIEMENS MR HEADER")
Compiles = Callable[..., Plan]

pytestmark = pytest.mark.filterwarnings("ignore")


def raises(recipe: str, folder: Path, *elements: bytes) -> bool:
    """Whether deid raises on a small image with these elements."""
    data = part10.head(MR, UID, EXPLICIT) + image(*elements)
    try:
        theirs(pydicom.dcmread(BytesIO(data)), recipe, folder)
    except (AttributeError, KeyError, TypeError, ValueError):
        return True
    return False


def left(plan: Plan, *elements: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(b"".join(plan.apply(encoded_instance(image(*elements)), SUBJECT).parts)))


# Compiled as deid means it


@pytest.mark.parametrize(
    ("line", "sent", "expected"),
    [
        ("REPLACE SamplesPerPixel 3", explicit(0x00280002, "US", b"\1\0"), 3),
        ("REPLACE EchoTrainLength 5", explicit(0x00180091, "IS", "1 "), 5),
        ("REPLACE (0018,9073) 2.5", explicit(0x00189073, "FD", bytes(8)), 2.5),
        ("REPLACE select:VR:FL -0.5", explicit(0x00181320, "FL", bytes(4)), -0.5),
        ("REPLACE select:VR:SL -7", explicit(0x00186020, "SL", bytes(4)), -7),
    ],
)
def test_numbers_are_written_to_what_is_numbers(line: str, sent: bytes, expected: float, tmp_path: Path) -> None:
    tag = int.from_bytes(sent[:2], "little") << 16 | int.from_bytes(sent[2:4], "little")
    by_deid, ours = both(line, tmp_path, sent)
    assert by_deid[tag].value == ours[tag].value == expected


def test_an_expression_that_reaches_sequences_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="can write text only"):  # deid raises where it meets one
        plan_of("REPLACE select:group:18 7", tmp_path)


@pytest.mark.parametrize(("text", "values"), [("5\\6\\7", [5, 6, 7]), ("0", 0), ("65535", 65535)])
def test_several_numbers_are_several_values(text: str, values: object, plan_of: Compiles) -> None:
    made = left(plan_of(f"REPLACE Rows {text}\nADD LargestMonochromePixelValue {text}"))
    for found in (made.Rows, made.LargestMonochromePixelValue):
        assert (list(found) if isinstance(values, list) else found) == values


@pytest.mark.parametrize("value", ["X", "70000", "-1", "1.5", "0x5", "1\\", "5 6"])
def test_what_is_no_number_of_the_kind_stops_the_start_where_deid_keeps_what_was_sent(
    value: str, plan_of: Compiles, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match="is no value that"):
        plan_of(f"REPLACE Rows {value}")
    data = part10.head(MR, UID, EXPLICIT) + image()
    if value in {"X", "1.5", "0x5"}:
        assert theirs(pydicom.dcmread(BytesIO(data)), f"REPLACE Rows {value}", tmp_path).Rows == 2


TIMED = explicit(0x0008002A, "DT", "20250302134502.25+0100")


def test_jitter_takes_expressions_and_groups(tmp_path: Path) -> None:
    dates = explicit(0x00080020, "DA", "20250302"), explicit(0x00080021, "DA", "20250303")
    inside = sequence(0x00400275, explicit(0x00400004, "DA", "20250304"))
    groups = "%fields days\nFIELD select:VR:DA\n%header\n"
    for line in ("JITTER endswith:Date -3", "JITTER select:VR:DA -3", f"{groups}JITTER fields:days -3"):
        by_deid, ours = both(line, tmp_path, *dates, inside)
        for made in (by_deid, ours):
            found = made.StudyDate, made.SeriesDate, made.RequestAttributesSequence[0].ScheduledProcedureStepEndDate
            assert found == ("20250227", "20250228", "20250301")


def test_the_uids_of_deid_take_expressions(plan_of: Compiles) -> None:
    made = left(plan_of("REPLACE contains:^(Study|Series)InstanceUID$ deid_func:pydicom_uuid"))
    assert {uid[:5] for uid in (made.StudyInstanceUID, made.SeriesInstanceUID)} == {"2.25."}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"BLANK {SIEMENS}0F)", ""),
        (f"REPLACE {SIEMENS}0F) Fast", "Fast"),
        (f"REPLACE {SIEMENS}0F) var:mode", "Known"),
        (f"REMOVE {SIEMENS}0F)", None),
    ],
)
def test_private_attributes_take_every_verb_but_add(line: str, expected: str | None, tmp_path: Path) -> None:
    path = tmp_path / "private.dicom"
    needed = f"KEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\nKEEP {SIEMENS}0A)"
    path.write_text(f"FORMAT dicom\n%header\n# because: a test\n{needed}\n{line}\n")
    plan = compile_plan(read(path), Policy({}, {"mode": "Known"}))
    sent = CREATOR, explicit(0x0019100A, "US", b"\1\0"), explicit(0x0019100F, "SH", "Normal")
    made = left(plan, *sent)
    assert made[0x0019100A].value == 1
    assert (made[0x0019100F].value if 0x0019100F in made else None) == expected
    if "var" not in line:
        by_deid = theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + image(*sent))), line, tmp_path)
        assert ((by_deid[0x0019100F].value or "") if 0x0019100F in by_deid else None) == expected


@pytest.mark.parametrize(
    ("creator", "sent", "moved"),
    [
        ("AMI Sequence Annotations_01", explicit(0x310310A0, "DA", "20250302"), "20250305"),
        ("Applicare/RadStore/Version 1.0", explicit(0x31131013, "DT", "20250302134502"), "20250305134502"),
    ],
)
def test_private_dates_move_and_that_says_why(creator: str, sent: bytes, moved: str, plan_of: Compiles) -> None:
    group, element = (int.from_bytes(sent[at : at + 2], "little") for at in (0, 2))
    line = f'JITTER ({group:04X},"{creator}",{element & 0xFF:02X}) 3'
    made = left(plan_of(line), explicit(group << 16 | 0x10, "LO", creator), sent)
    assert made[group, element].value == moved
    assert any(creator in weak.attribute and weak.because == "a test" for weak in coverage.weaknesses(plan_of(line)))
    with pytest.raises(RecipeError, match="say why"):
        plan_of(f"KEEP Rows\n\n{line}")


def test_groups_hold_private_attributes_too(tmp_path: Path) -> None:
    path = tmp_path / "group.dicom"
    path.write_text(
        f"FORMAT dicom\n%fields some\nFIELD {SIEMENS}0A)\nFIELD StudyDescription\nFIELD {SIEMENS}0F)\n"
        '%fields private\nFIELD (0051,"SIEMENS MR HEADER",13)\n%header\n# because: a test\n'
        "KEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\nREMOVE ALL\nKEEP fields:some\nBLANK fields:private\n"
    )
    plan = compile_plan(read(path), Policy({}))
    other = explicit(0x00510010, "LO", "SIEMENS MR HEADER"), explicit(0x00511013, "SH", "+LPH")
    numbers = explicit(0x0019100A, "US", b"\1\0"), explicit(0x0019100C, "IS", "7 ")
    made = left(plan, CREATOR, *numbers, *other, explicit(0x00081030, "LO", "AXIAL"))
    assert made[0x0019100A].value == 1
    assert made[0x00511013].value == ""
    assert made.StudyDescription == "AXIAL"
    assert 0x0019100C not in made
    rows = [row for row in plan.summary() if row.text == "KEEP fields:some"]
    assert [row.attribute for row in rows] == ["fields:some", f"{SIEMENS}0A)", f"{SIEMENS}0F)"]


@pytest.mark.parametrize(
    "options", ['by="^";minlength=4', "by='^';minlength=4", "by=^;minlength=4", "minlength=4;by=^", "minlength=4; by=^"]
)
def test_values_are_split_however_that_is_written(options: str, tmp_path: Path) -> None:
    path = tmp_path / "split.dicom"
    path.write_text(
        f"FORMAT dicom\n%values who\nSPLIT PatientName {options}\n%header\n# because: a test\nKEEP SOPClassUID\n"
        "REPLACE SOPInstanceUID func:uid\nREMOVE PatientName\nREMOVE values:who\n"
    )
    plan = compile_plan(read(path), Policy({}))
    name = explicit(0x00100010, "PN", "MUSTER^IDA")
    made = left(plan, name, explicit(0x00081030, "LO", "OF MUSTER"), explicit(0x0008103E, "LO", "MIDAS"))
    assert "StudyDescription" not in made
    assert made.SeriesDescription == "MIDAS", "a part of three letters is not looked for"


def test_values_are_split_at_more_than_one_character(tmp_path: Path) -> None:
    path = tmp_path / "split.dicom"
    path.write_text(
        'FORMAT dicom\n%values who\nSPLIT PatientComments by=" - "\n%header\n# because: a test\nKEEP SOPClassUID\n'
        "REPLACE SOPInstanceUID func:uid\nREMOVE PatientComments\nREMOVE values:who\n"
    )
    made = left(compile_plan(read(path), Policy({})), explicit(0x00104000, "LT", "ward-7 - Bergblick"),
                explicit(0x00081030, "LO", "at Bergblick"), explicit(0x0008103E, "LO", "ward"))  # fmt: skip
    assert "StudyDescription" not in made
    assert made.SeriesDescription == "ward"


# Expressions


EXPRESSIONS = [
    "patient's",
    "Patient.s Birth",
    "0010,0010",
    "00100010",
    "^0008003",
    "name$",
    "^\\(0010",
    "sequence$",
    "Study ?D",
]


@pytest.mark.parametrize("expander", ["startswith", "endswith", "contains", "except"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_searched_in_keyword_name_and_tag(expander: str, expression: str) -> None:
    from deid.dicom.fields import DicomField, field_matches_expander  # noqa: PLC0415  it warns

    ours = fields.parse(f"{expander}:{expression}")
    assert isinstance(ours, fields.Matching)
    lowered = expression.lower()
    form = {"startswith": f"^({lowered})", "endswith": f"({lowered})$"}.get(expander, lowered)
    sample = [
        tag
        for tag in ATTRIBUTES
        if tag >> 16 in {0x0008, 0x0010, 0x0018, 0x0040} and pydicom.datadict.dictionary_has_tag(tag)
    ]
    for tag in sample:
        element = pydicom.DataElement(tag, "LO", "")
        theirs_ = field_matches_expander(expander, form, None, DicomField(element, element.keyword, str(element.tag)))
        assert ours.matches(ATTRIBUTES[tag]) == theirs_, element.keyword


def test_every_attribute_has_its_spellings() -> None:
    for tag, attribute in ATTRIBUTES.items():
        spelled = dictionary.spellings(attribute)
        assert spelled[:3] == (attribute.keyword, f"({tag >> 16:04X},{tag & 0xFFFF:04X})", f"{tag:08X}")
        assert len(spelled) in {3, 4}
    assert dictionary.spellings(ATTRIBUTES[0x00100010])[3] == "Patient's Name"


# The differences that are meant, with the letters that follow those of the plan of the engine


def test_m_an_expression_is_not_searched_in_the_names_of_sequences_above(plan_of: Compiles, tmp_path: Path) -> None:
    # deid replaces what has nothing to do with a request, because a sequence above it has the word in its name.
    line = "REPLACE contains:RequestAttr|^StudyID$ X"
    inside = sequence(0x00400275, explicit(0x00400009, "SH", "STEP"))
    data = image(inside, explicit(0x00200010, "SH", "7 "))
    assert raises(line, tmp_path, inside), "and falls over the sequence itself"
    with pytest.raises(RecipeError, match="can write text only"):
        plan_of(line)
    by_deid = theirs(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + data)),
                     "REPLACE contains:RequestAttributesSequence__ X", tmp_path)  # fmt: skip
    assert by_deid.RequestAttributesSequence[0].ScheduledProcedureStepID == "X"
    with pytest.raises(RecipeError, match="name the place: Sequence__Keyword"):
        plan_of("REPLACE contains:RequestAttributesSequence__ X")


def test_n_keep_of_a_group_keeps_where_deid_ignores_it(tmp_path: Path) -> None:
    lines = "%fields some\nFIELD StudyDescription\n%header\nREMOVE StudyDescription\nKEEP fields:some"
    by_deid, _ = both(lines, tmp_path, explicit(0x00081030, "LO", "AXIAL"), ours="REMOVE PatientName")
    assert "StudyDescription" not in by_deid
    lines = lines.replace("REMOVE StudyDescription", "REMOVE ALL")
    _, ours = both(lines, tmp_path, explicit(0x00081030, "LO", "AXIAL"))
    assert ours.StudyDescription == "AXIAL"


def test_o_keep_all_leaves_exceptions_to_other_lines(tmp_path: Path) -> None:
    # To deid KEEP is strongest whatever it names, so that no line beside KEEP ALL does anything.
    name = explicit(0x00100010, "PN", "DOE^JOHN")
    by_deid, ours = both("REMOVE PatientName\nKEEP ALL", tmp_path, name, explicit(0x00081030, "LO", "AXIAL"))
    assert by_deid.PatientName == "DOE^JOHN"
    assert "PatientName" not in ours
    assert ours.StudyDescription == "AXIAL"


def test_p_jitter_leaves_the_time_as_it_was_written(tmp_path: Path) -> None:
    # deid writes a time of six digits and a fraction, whatever was sent, and a time alone becomes a date.
    by_deid, ours = both("JITTER AcquisitionDateTime 3", tmp_path, TIMED)
    assert by_deid.AcquisitionDateTime == "20250305134502.250000+0100"
    assert ours.AcquisitionDateTime == "20250305134502.25+0100"
    time = explicit(0x00080031, "TM", "101112")
    by_deid, _ = both("JITTER SeriesTime 1", tmp_path, time, ours="REMOVE PatientName")
    assert by_deid.SeriesTime != "101112"
    with pytest.raises(RecipeError, match="can move dates only"):
        plan_of("JITTER SeriesTime 1", tmp_path)


@pytest.mark.parametrize("field", ["patientname", "PATIENTNAME"])
def test_q_a_keyword_is_written_as_ps3_6_writes_it(field: str, tmp_path: Path) -> None:
    # deid takes any case for REMOVE and raises for ADD: half a language that would be learnt by accident.
    name = explicit(0x00100010, "PN", "DOE^JOHN")
    by_deid, _ = both(f"REMOVE {field}", tmp_path, name, ours="REMOVE PatientName")
    assert "PatientName" not in by_deid
    assert raises(f"ADD {field} X", tmp_path, name)
    with pytest.raises(RecipeError, match="did you mean PatientName"):
        plan_of(f"REMOVE {field}", tmp_path)


@pytest.mark.parametrize("condition", ["func:is_date", "var:some", "X"])
def test_r_remove_has_no_condition(condition: str, tmp_path: Path) -> None:
    # A condition is Python of the site's own that deid calls; where it is not there, the attribute stays.
    name = explicit(0x00100010, "PN", "DOE^JOHN")
    by_deid, _ = both(f"REMOVE PatientName {condition}", tmp_path, name, ours="REMOVE PatientName")
    assert ("PatientName" in by_deid) == (condition != "X")
    with pytest.raises(RecipeError, match="REMOVE takes no value"):
        plan_of(f"REMOVE PatientName {condition}", tmp_path)


@pytest.mark.parametrize("line", [f"ADD {SIEMENS}0A) 1", "ADD fields:some X", "ADD select:VR:PN X", "ADD ALL X"])
def test_s_what_deid_cannot_add_is_refused(line: str, tmp_path: Path) -> None:
    assert raises(f"%fields some\nFIELD PatientName\n\n%header\n{line}", tmp_path)
    with pytest.raises(RecipeError):
        plan_of(f"%fields some\nFIELD PatientName\n\n%header\n{line}", tmp_path)


def test_t_what_is_added_has_the_vr_of_the_dictionary(plan_of: Compiles, tmp_path: Path) -> None:
    # By its digits, deid adds every attribute as ST.
    by_deid, ours = both("ADD 00120063 x", tmp_path)
    assert (by_deid[0x00120063].VR, ours[0x00120063].VR) == ("ST", "LO")
    with pytest.raises(RecipeError, match="can write text and numbers only"):
        plan_of("ADD 00189999 x")


@pytest.mark.parametrize("line", ["REMOVE MediaStorageSOPInstanceUID", "BLANK (0002,0016)", "KEEP (0008,0000)"])
def test_u_what_is_always_made_anew_has_no_line(line: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is always made anew or left out"):
        plan_of(line, tmp_path)


@pytest.mark.parametrize("line", ["BLANK RequestAttributesSequence", "BLANK (0040,0275)"])
def test_v_a_sequence_without_value_has_no_items(line: str, tmp_path: Path) -> None:
    # deid gives it no value by which pydicom could write it.
    inside = sequence(0x00400275, explicit(0x00400009, "SH", "STEP"))
    _, ours = both(line, tmp_path, inside)
    assert ours["RequestAttributesSequence"].VR == "SQ"
    assert len(ours.RequestAttributesSequence) == 0


def test_w_a_keyword_of_many_groups_stands_for_all_of_them(tmp_path: Path) -> None:
    # deid finds no keyword of a repeating group and passes over the line.
    overlay = explicit(0x60000010, "US", b"\2\0"), explicit(0x60000022, "LO", "DOE JOHN")
    by_deid, ours = both("REMOVE OverlayDescription", tmp_path, *overlay)
    assert by_deid[0x60000022].value == "DOE JOHN"
    assert not [element for element in ours if element.tag.group == 0x6000]
    by_deid, ours = both("REPLACE OverlayDescription NEW", tmp_path, *overlay)
    assert by_deid[0x60000022].value == "DOE JOHN"
    assert ours[0x60000022].value == "NEW"
    assert raises("ADD OverlayDescription X", tmp_path, *overlay)
    with pytest.raises(RecipeError, match="write the tag of its group"):
        plan_of("ADD OverlayDescription X", tmp_path)


def test_x_values_of_one_character_are_looked_for_nowhere(tmp_path: Path) -> None:
    # To deid the sex is a value like any other, and M stands in half of the header.
    lines = "%values who\nFIELD PatientSex\n\n%header\nREMOVE values:who"
    sex = explicit(0x00100040, "CS", "M "), explicit(0x00080060, "CS", "MR")
    by_deid, ours = both(lines, tmp_path, *sex)
    assert "Modality" not in by_deid
    assert ours.Modality == "MR"


# Days and times


@given(st.datetimes(), st.integers(-4000, 4000), st.sampled_from([4, 6, 8, 10, 12, 14]), st.sampled_from(["", "+0100"]))
def test_a_date_and_time_keeps_its_precision(when: object, days: int, digits: int, offset: str) -> None:
    import datetime as dt  # noqa: PLC0415  of the types alone

    assert isinstance(when, dt.datetime)
    sent = f"{when.year:04}{when:%m%d%H%M%S}"[:digits]
    original = Original(encoded_instance(image()).dataset, SUBJECT)
    moved = date_time(days)(sent + offset, original)
    first = dt.date(when.year, when.month if digits > 4 else 1, when.day if digits > 6 else 1)
    try:
        after = first + dt.timedelta(days)
    except OverflowError:
        assert moved == ""
        return
    assert moved == f"{after.year:04}{after:%m%d}"[:digits] + sent[8:] + offset


@pytest.mark.parametrize("value", ["DOE", "2025x", "20251301", "20250302 DOE", "2025030225"])
def test_what_is_no_date_and_time_becomes_empty(value: str) -> None:
    original = Original(encoded_instance(image()).dataset, SUBJECT)
    assert date_time(3)(value, original) == ""


def test_y_palettes_are_attributes_like_all_others(tmp_path: Path) -> None:
    # deid never touches them, whatever a recipe says.
    palette = explicit(0x00281201, "OW", b"DOE JOHN")
    by_deid, ours = both("REMOVE RedPaletteColorLookupTableData", tmp_path, palette)
    assert by_deid.RedPaletteColorLookupTableData == b"DOE JOHN"
    assert "RedPaletteColorLookupTableData" not in ours


@pytest.mark.parametrize(
    ("field", "gone"),
    [
        ('(0051,"SIEMENS MR HEADER",0F)', "of secret"),
        ("RequestAttributesSequence__ScheduledProcedureStepID", "of second of third"),
        ("(0040,0275)__1__(0040,0009)", "of third"),
    ],
)
def test_values_are_taken_from_private_attributes_and_from_single_places(field: str, gone: str, tmp_path: Path) -> None:
    path = tmp_path / "values.dicom"
    path.write_text(
        f"FORMAT dicom\n%values who\nFIELD {field}\n%header\n# because: a test\nKEEP SOPClassUID\n"
        "REPLACE SOPInstanceUID func:uid\nREMOVE ScheduledProcedureStepID\nREMOVE values:who\n"
    )
    other = explicit(0x00510010, "LO", "SIEMENS MR HEADER"), explicit(0x0051100F, "LO", "secret")
    stray = explicit(0x00510011, "LO", "OTHER"), explicit(0x0051110F, "LO", "first")
    steps = [explicit(0x00400009, "SH", word) for word in ("second", "third")]
    texts = {"StudyDescription": "of first", "SeriesDescription": "of secret", "ImageComments": "of second"}
    more = explicit(0x00181030, "LO", "of third")
    kept = [
        explicit(dictionary.TAGS[keyword], "LT" if "Comm" in keyword else "LO", text) for keyword, text in texts.items()
    ]
    data = image(*other, *stray, sequence(0x00400275, *steps), *kept, more)
    plan = replace(compile_plan(read(path), Policy({})), unguarded=frozenset(ATTRIBUTES))
    made = pydicom.dcmread(BytesIO(b"".join(plan.apply(encoded_instance(data), SUBJECT).parts)))
    for keyword, text in {**texts, "ProtocolName": "of third"}.items():
        assert (keyword in made) != (text in gone), keyword
    sent = pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + data))
    by_deid = theirs(sent, f"%values who\nFIELD {field}\n%header\nREMOVE values:who", tmp_path)
    assert {keyword in by_deid for keyword, text in texts.items() if text in gone} <= {False}


# Fail-open or raising in deid, each by its own name


def test_keep_of_what_is_only_nested_holds(tmp_path: Path) -> None:
    # deid ignores it, and takes away what an author has named.
    inside = sequence(0x00400275, explicit(0x00400009, "SH", "STEP"))
    by_deid, ours = both("KEEP ScheduledProcedureStepID\nREMOVE contains:^ScheduledProc|^StudyID$", tmp_path, inside)
    assert "ScheduledProcedureStepID" not in by_deid.RequestAttributesSequence[0]
    assert ours.RequestAttributesSequence[0].ScheduledProcedureStepID == "STEP"


def test_a_year_alone_is_no_day(tmp_path: Path) -> None:
    # deid takes the day and month on which it runs.
    by_deid, ours = both("JITTER StudyDate 0", tmp_path, explicit(0x00080020, "DA", "2020"))
    assert by_deid.StudyDate.startswith("2020")
    assert len(by_deid.StudyDate) == 8
    assert ours.StudyDate == ""


@pytest.mark.parametrize("sent", ["20250230", "20250901-20250917", "        "])
def test_what_is_no_day_of_the_calendar_becomes_empty(sent: str, tmp_path: Path) -> None:
    element = explicit(0x00080020, "DA", sent)
    if sent.strip():
        assert raises("JITTER StudyDate 3", tmp_path, element)
    assert left(plan_of("JITTER StudyDate 3", tmp_path), element).StudyDate == ""


def test_days_that_nobody_declared_stop_the_start(tmp_path: Path) -> None:
    by_deid, _ = both(
        "JITTER StudyDate var:days", tmp_path, explicit(0x00080020, "DA", "20250302"), ours="REMOVE PatientName"
    )
    assert by_deid.StudyDate == "20250302"
    with pytest.raises(RecipeError, match="is not declared"):
        plan_of("JITTER StudyDate var:days", tmp_path)


def test_a_tag_in_brackets_can_be_added(tmp_path: Path) -> None:
    assert raises("ADD (0012,0063) x", tmp_path)
    assert left(plan_of("ADD (0012,0063) x", tmp_path)).DeidentificationMethod == "x"


@pytest.mark.parametrize("line", ["ADD ReferencedStudySequence x", "REPLACE ReferencedStudySequence x"])
def test_a_sequence_is_no_text(line: str, tmp_path: Path) -> None:
    assert raises(line, tmp_path, sequence(0x00081110, explicit(0x00081155, "UI", "1.2")))
    with pytest.raises(RecipeError, match="can write text and numbers only"):
        plan_of(line, tmp_path)


def test_what_stands_before_the_data_set_is_made_anew(tmp_path: Path) -> None:
    head = part10.head(MR, UID, EXPLICIT)
    sent = b"DOE^JOHN".ljust(128) + head[128:]
    meta = explicit(0x00020016, "AE", "DOE JOHN")
    length = int.from_bytes(head[140:144], "little") + len(meta)
    sent = sent[:140] + length.to_bytes(4, "little") + head[144:] + meta + image(explicit(0x00041500, "CS", "DOE "))
    by_deid = theirs(pydicom.dcmread(BytesIO(sent)), "REMOVE PatientName", tmp_path)
    assert b"DOE" in by_deid.preamble
    assert by_deid.file_meta.SourceApplicationEntityTitle == "DOE JOHN"
    path = tmp_path / "sent.dcm"
    path.write_bytes(sent)
    assert b"DOE" not in b"".join(plan_of("REMOVE PatientName", tmp_path).apply(dry.instance(path), SUBJECT).parts)


def test_z_a_value_that_is_found_decides_on_its_attribute_everywhere(tmp_path: Path) -> None:
    # deid takes away the element, and each sequence in whose printed form it reads the value.
    lines = "%values who\nSPLIT PatientComments minlength=4\n%header\nREMOVE PatientComments\nREMOVE values:who"
    inside = sequence(0x00400275, *(explicit(0x00400007, "LO", text) for text in ("at Bergblick", "other")))
    comments = explicit(0x00104000, "LT", "Bergblick")
    by_deid, ours = both(lines, tmp_path, comments, inside)
    assert "RequestAttributesSequence" not in by_deid
    assert [len(item) for item in ours.RequestAttributesSequence] == [0, 0]
    top = explicit(0x00081030, "LO", "at Bergblick"), sequence(0x00081110, explicit(0x00081030, "LO", "other"))
    by_deid, ours = both(lines, tmp_path, comments, *top)
    for made, nested in ((by_deid, 1), (ours, 0)):
        assert "StudyDescription" not in made
        assert len(made.ReferencedStudySequence[0]) == nested
