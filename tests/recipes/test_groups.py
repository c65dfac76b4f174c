"""Groups, labels, variables, layers: the parts of the language beyond one line for one attribute."""

from collections.abc import Callable
from pathlib import Path

import deid
import pytest
from encoded import explicit, image, instance, items, sequence

from scp.dataset import DataSet, read
from scp.deidentify import labels
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import Recipe, RecipeError, combine, load
from scp.deidentify.recipe import read as read_recipe
from scp.instance import Subject

NEEDED = "%header\n# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
NAME, COMMENTS = 0x00100010, 0x00204000
Writes = Callable[..., Recipe]


@pytest.fixture
def written(tmp_path: Path) -> Writes:
    def write(lines: str, sections: str = "", name: str = "own") -> Recipe:
        path = tmp_path / f"{name}.dicom"
        path.write_text(f"FORMAT dicom\n{sections}\n{NEEDED}{lines}\n")
        return read_recipe(path)

    return write


def compiled(recipe: Recipe, **variables: str) -> Plan:
    return compile_plan(recipe, Policy({}, variables))


def made(plan: Plan, subject: Subject, *elements: bytes) -> DataSet:
    data = b"".join(plan.apply(instance(image(*elements)), subject).parts)
    return read(data[144 + int.from_bytes(data[140:144], "little") :], explicit=True)


# %fields


def test_a_group_of_fields_is_all_its_members(written: Writes, subject: Subject) -> None:
    people = "%fields people\nFIELD PatientName\nFIELD (0008,0090)\nFIELD contains:Operators\nFIELD select:VR:AS\n"
    plan = compiled(written("REMOVE fields:people", people))
    for keyword in ("PatientName", "ReferringPhysicianName", "OperatorsName", "PatientAge"):
        assert plan.explain(keyword)[0].text == "REMOVE fields:people"
    assert plan.explain("PatientID")[0].action == "kept as sent"
    left = made(plan, subject, explicit(NAME, "PN", "DOE"), sequence(0x00209116, explicit(NAME, "PN", "DOE")))
    assert b"DOE" not in bytes(left.data)


def test_a_group_may_stand_below_the_lines_that_name_it(tmp_path: Path) -> None:
    path = tmp_path / "own.dicom"
    path.write_text(f"FORMAT dicom\n{NEEDED}BLANK fields:people\n\n%fields people\nFIELD PatientName\n")
    assert compiled(read_recipe(path)).explain("PatientName")[0].action == "kept without value"


# %values


WHO = '%values who\nFIELD PatientID\nSPLIT PatientName by="^";minlength=3\n'
COMMENT = "seen: doe, John (patient-77)."


@pytest.mark.parametrize(
    ("verb", "value"), [("REMOVE values:who", None), ("BLANK values:who", ""), ("REPLACE values:who XX", "XX")]
)
def test_what_holds_a_value_looked_for_is_not_left(
    written: Writes, subject: Subject, verb: str, value: str | None
) -> None:
    plan = compiled(written(f"KEEP PatientName\nREPLACE PatientID X\n{verb}", WHO))
    name, comment = explicit(NAME, "PN", "DOE^JOHN^M"), explicit(COMMENTS, "LT", COMMENT)
    harmless = explicit(0x00181030, "LO", "MPRAGE M")
    left = made(plan, subject, name, comment, harmless)
    assert (left.text(COMMENTS) if left.find(COMMENTS) else None) == value
    assert left.text(0x00181030) == "MPRAGE M", "one letter of a name is looked for nowhere"
    assert left.text(0x00100020) == "X"
    assert b"DOE" not in bytes(left.data), "the attribute that has the value holds it too"


@pytest.mark.parametrize("odd", ["(DOE", "D.E^J", "a+b*c", "[x", "$^"])
def test_values_are_no_expressions(written: Writes, subject: Subject, odd: str) -> None:
    plan = compiled(written("REMOVE values:who", "%values who\nFIELD PatientName\n"))
    left = made(plan, subject, explicit(NAME, "PN", odd), explicit(COMMENTS, "LT", f"is {odd} here"))
    assert left.find(COMMENTS) is None
    other = made(plan, subject, explicit(NAME, "PN", odd), explicit(COMMENTS, "LT", "DXE J is here"))
    assert other.text(COMMENTS) == "DXE J is here"


def test_values_are_found_inside_sequences_and_from_there(written: Writes, subject: Subject) -> None:
    plan = compiled(written("REMOVE values:who", "%values who\nFIELD PatientName\n"))
    hidden = sequence(0x00209116, explicit(NAME, "PN", "DOE^JOHN"))
    left = made(plan, subject, explicit(COMMENTS, "LT", "of doe^john"), hidden)
    assert b"DOE" not in bytes(left.data)
    assert b"doe" not in bytes(left.data)


def test_values_are_found_in_private_and_unknown_attributes(written: Writes, subject: Subject) -> None:
    line = 'KEEP (0019,"SIEMENS MR HEADER",08)\nREMOVE values:who'
    plan = compiled(written(line, "%values who\nFIELD PatientName\n"))
    creator, name = explicit(0x00190010, "LO", "SIEMENS MR HEADER"), explicit(NAME, "PN", "DOE^JOHN")
    left = made(plan, subject, name, creator, explicit(0x00191008, "CS", "DOE^JOHN"))
    assert b"DOE" not in bytes(left.data)
    unknown = explicit(0x00209116, "UN", items([b"\x10\0\x10\0\x08\0\0\0DOE^JOHN"]))
    left = made(plan, subject, name, unknown)
    assert b"DOE" not in bytes(left.data)


def test_the_identity_of_the_object_stays(written: Writes, subject: Subject) -> None:
    plan = compiled(written("REMOVE values:who", "%values who\nFIELD select:VR:UI\n"))
    left = made(plan, subject)
    assert left.text(0x00080016) == "1.2.840.10008.5.1.4.1.1.4"
    assert left.text(0x00080018).startswith("2.25.")
    assert left.find(0x0020000D) is None


def test_nothing_to_look_for_changes_nothing(written: Writes, subject: Subject) -> None:
    plan = compiled(written("REMOVE values:who", "%values who\nFIELD PatientName\n"))
    assert made(plan, subject, explicit(COMMENTS, "LT", "DOE")).text(COMMENTS) == "DOE"


# %filter


def test_labels_are_read_to_their_last_region(written: Writes) -> None:
    section = """%labels
ADD pixels_blank burned
%filter burned
# a whole-line comment
LABEL GE console # (CTP)
  contains Manufacturer GE + contains ManufacturerModelName LOGIQ|VIVID || missing Rows
  || equals 0x00080060 US
  + notequals BurnedInAnnotation NO
  coordinates 0,0,512,40
  keepcoordinates 10,10,20,20
  ctpcoordinates 5,6,7,8
  ctpkeepcoordinates 1,2,3,4
LABEL all of it
  present Rows
  coordinates all
  coordinates from:SequenceOfUltrasoundRegions
"""
    recipe = written("", section)
    first, second = recipe.labels
    assert (first.group, first.name, first.line) == ("burned", "GE console", 6)
    assert [criterion.operator for criterion in first.criteria] == ["", "or", "and"]
    assert first.criteria[0].between == ("and", "or")
    assert [term.tag for term in first.criteria[0].terms] == [0x00080070, 0x00081090, 0x00280010]
    assert [term.value for term in first.criteria[0].terms] == ["GE", "LOGIQ|VIVID", None]
    assert [region.box for region in first.regions] == [(0, 0, 512, 40), (10, 10, 20, 20), (5, 6, 12, 14), (1, 2, 4, 6)]
    assert [region.keep for region in first.regions] == [False, True, False, True]
    assert [(region.box, region.source) for region in second.regions] == [(None, None), (None, 0x00186011)]
    assert compiled(recipe).recipe.labels == recipe.labels


def test_the_labels_that_deid_ships_are_read(tmp_path: Path) -> None:
    shipped = (Path(deid.__file__).parent / "data" / "deid.dicom").read_text()
    filters = shipped[shipped.index("%filter") : shipped.index("%header")]
    path = tmp_path / "shipped.dicom"
    path.write_text(f"FORMAT dicom\n\n{filters}\n{NEEDED}")
    with pytest.raises(RecipeError, match="Manfacturer is no keyword"):
        read_recipe(path)  # deid ships two misspelt keywords, and those criteria never hold
    mended = filters.replace("Manfacturer ", "Manufacturer ").replace("Manufacture ", "Manufacturer ")
    path.write_text(f"FORMAT dicom\n\n{mended}\n{NEEDED}")
    recipe = read_recipe(path)
    assert len(recipe.labels) == filters.count("\nLABEL")
    assert len(recipe.labels) > 100
    assert sum(len(label.regions) for label in recipe.labels) == filters.count("coordinates ")


def test_what_deid_reads_otherwise_in_a_label_is_refused(written: Writes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scp.deidentify.labels.as_deid_reads", lambda _: {})
    with pytest.raises(RecipeError, match="LABEL x differently"):
        written("", "%filter g\nLABEL x\n contains Modality US\n")


@pytest.mark.parametrize("line", ["contains Modality US", "present Rows", "Rows"])
def test_a_criterion_is_no_region(line: str) -> None:
    assert labels.region(line) is None


# var: and deid_func:


def test_a_variable_is_a_constant_of_the_site(written: Writes, subject: Subject) -> None:
    plan = compiled(
        written("REPLACE PatientID var:site\n# because: a test\nJITTER StudyDate var:days"), site="ANON", days="-3"
    )
    left = made(plan, subject, explicit(0x00080020, "DA", "20250303"))
    assert (left.text(0x00100020), left.text(0x00080020)) == ("ANON", "20250228")


@pytest.mark.parametrize(
    ("line", "variables", "sentence"),
    [
        ("REPLACE PatientID var:site", {}, "var:site is not declared"),
        ("REPLACE PatientSex var:site", {"site": "X" * 17}, "longer than the 16 characters"),
        ("REPLACE PatientID var:site", {"site": "Zürich"}, "only printable ASCII"),
        ("JITTER StudyDate var:site", {"site": "soon"}, "a number of days"),
    ],
)
def test_a_variable_that_does_not_fit_is_refused(
    written: Writes, line: str, variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence):
        compiled(written(f"# because: a test\n{line}"), **variables)


def test_variables_change_the_digest(written: Writes) -> None:
    recipe = written("REPLACE PatientID var:site")
    assert compiled(recipe, site="A").digest != compiled(recipe, site="B").digest


@pytest.mark.parametrize("name", ["basic_uuid", "dicom_uuid", "pydicom_uuid", "suffix_uuid"])
def test_the_uids_of_deid_are_keyed_uids(written: Writes, subject: Subject, name: str) -> None:
    theirs = made(compiled(written(f"REPLACE StudyInstanceUID deid_func:{name}")), subject)
    ours = made(compiled(written("REPLACE StudyInstanceUID func:uid")), subject)
    assert theirs.text(0x0020000D) == ours.text(0x0020000D)


@pytest.mark.parametrize(
    ("options", "moved"), [("", "20250304"), ("days=-3", "20250228"), ("days=1 years=1", "20260304")]
)
def test_the_jitter_of_deid_moves_by_days_and_years(
    written: Writes, subject: Subject, options: str, moved: str
) -> None:
    plan = compiled(written(f"# because: a test\nREPLACE StudyDate deid_func:jitter {options}".rstrip()))
    assert made(plan, subject, explicit(0x00080020, "DA", "20250303")).text(0x00080020) == moved


# What explain says of values


@pytest.mark.parametrize(("verb", "action"), [("REMOVE", "removed"), ("BLANK", "kept without value"),
                                              ("REPLACE", "replaced")])  # fmt: skip
def test_explain_says_what_becomes_of_what_holds_a_value(
    written: Writes, subject: Subject, verb: str, action: str
) -> None:
    line = f"{verb} values:who{' X' if verb == 'REPLACE' else ''}"
    plan = compiled(written(f"REMOVE PatientName\n{line}", "%values who\nFIELD PatientName\n"))
    kept, held = plan.explain("ImageComments")
    assert (kept.attribute, kept.action) == ("(0020,4000) ImageComments", "kept as sent")
    assert (held.attribute, held.action, held.text) == (
        "(0020,4000) ImageComments with one of values:who",
        action,
        line,
    )
    sent = explicit(NAME, "PN", "DOE^JOHN"), explicit(COMMENTS, "LT", "of DOE^JOHN")
    assert b"DOE" not in bytes(made(plan, subject, *sent).data)
    for alone in ("PatientName", "SOPInstanceUID", "SOPClassUID", "Rows", "ReferencedImageSequence"):
        assert len(plan.explain(alone)) == 1, alone


# Layers and reasons


def test_what_a_later_recipe_says_holds(written: Writes) -> None:
    first = written("REMOVE ALL\nREPLACE PatientID X\nADD PatientSex O\nKEEP Rows", name="first")
    later = "BLANK PatientID\nREMOVE PatientSex\n# because: a test\nKEEP select:VR:DA\nREMOVE Rows"
    plan = compiled(combine([first, written(later, name="later")]))
    assert plan.explain("PatientID")[0].action == "kept without value"
    assert plan.explain("PatientSex")[0].action == "removed"
    assert plan.explain("StudyDate")[0].action == "kept as sent"
    assert plan.explain("Rows")[0].path.stem == "later"
    assert plan.explain("Columns")[0].path.stem == "first"
    assert [row.path.stem for row in plan.summary()] == ["first"] * 6 + ["later"] * 6


def test_a_line_of_an_earlier_recipe_may_be_overruled_but_not_useless(written: Writes) -> None:
    useless = written("KEEP PatientID\nBLANK contains:^PatientID$", name="useless")
    with pytest.raises(RecipeError, match=r"useless\.dicom:\d+: BLANK .* never applies"):
        compiled(combine([useless, written("REMOVE PatientID", name="later")]))


def test_directives_add_up(written: Writes) -> None:
    one, two = (f"%labels\nADD exclude_vr {vr}\n" for vr in ("UT", "OD"))
    plan = compiled(combine([written("", one, "one"), written("", two, "two")]))
    assert plan.excluded == {"UT", "OD"}


def test_the_same_group_of_labels_in_two_recipes_is_refused(written: Writes) -> None:
    section = "%filter g\nLABEL x\n contains Modality US\n"
    with pytest.raises(RecipeError, match=r"two\.dicom:3: another recipe has a %filter g already"):
        combine([written("", section, "one"), written("", section, "two")])


def test_several_names_are_loaded_in_their_order() -> None:
    recipe = load(" basic , retain-uids ")
    assert recipe.path.stem == "retain-uids"
    assert {rule.path.stem for rule in recipe.rules if rule.layer == 0} == {"basic"}
    assert load("basic").content != recipe.content


def test_a_reason_holds_up_to_the_next_empty_line_or_comment(tmp_path: Path) -> None:
    path = tmp_path / "own.dicom"
    path.write_text("FORMAT dicom\n%header\n#because: one\nKEEP Rows\nKEEP Columns\n\nKEEP BitsStored\n# because: two\n"
                    "KEEP HighBit\n# more\nKEEP BitsAllocated\n")  # fmt: skip
    assert [rule.because for rule in read_recipe(path).rules] == ["one", "one", "", "two", ""]
