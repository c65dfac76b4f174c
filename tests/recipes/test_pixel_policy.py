"""Which images leave: the shipped recipes' answer for each kind, and what a policy of one's own may say."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from struct import pack

import pytest
from encoded import IMPLICIT, explicit, image, sequence
from encoded import instance as encoded_instance
from factories import ct, enhanced, instance, mr
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from test_blank import described, us_region

from scp.dataset import BOUNDS, PIXEL_DATA, DataSet, read
from scp.deidentify import criteria, dry
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.labels import Label, criterion
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, combine, find
from scp.deidentify.recipe import read as read_recipe
from scp.instance import Instance, Subject
from scp.outcome import Failure, Outcome
from scp.pixels import Header, begin

SHIPPED = ("mip", "mip-strict", "research-mri")
SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
MR, CT, PET = ("1.2.840.10008.5.1.4.1.1." + last for last in ("4", "2", "128"))
BURNED_IN, CODES, METHOD = 0x00280301, 0x00120064, 0x00120063
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: compile_plan(read_recipe(find(name)), Policy({})) for name in SHIPPED}


@pytest.fixture
def policy(tmp_path: Path) -> Write:
    """Writes a recipe with these directives and this %filter."""

    def written(directives: str, labels: str, header: str = "", name: str = "own") -> Path:
        path = tmp_path / f"{name}.dicom"
        needed = "# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
        path.write_text(f"FORMAT dicom\n%labels\n{directives}\n%header\n{needed}{header}\n{labels}\n")
        return path

    return written


def compiled(*paths: Path) -> Plan:
    return compile_plan(combine([read_recipe(path) for path in paths]), Policy({}))


def verdict(plan: Plan, given: Instance) -> str:
    try:
        plan.apply(given, SUBJECT)
    except Failure as failure:
        return f"{failure.outcome.label}: {failure.why}"
    return "leaves"


def of_class(sop_class: str, **attributes: object) -> Instance:
    return instance(mr(SOPClassUID=sop_class, **attributes))


def left(plan: Plan, given: Instance) -> DataSet:
    return dry.applied(plan, given, SUBJECT)


# The shipped recipes


LEAVE = [
    mr(),
    ct(),
    enhanced(),
    mr(ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]),
    mr(ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]),
    mr(ImageType=["DERIVED", "SECONDARY", "MPR"]),
    mr(ImageType=None),
    mr(ConversionType="", DateOfSecondaryCapture="20250101"),
    mr(PhotometricInterpretation="MONOCHROME1"),
    mr(BurnedInAnnotation="NO"),
    mr(SeriesDescription="proton density protocol"),
    mr(ImageType=["ORIGINAL", "PRIMARY", "PROTON_DENSITY"]),
    mr(SOPClassUID=PET),
    ct(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
]
STAY = [
    (mr(ConversionType="WSD"), "secondary capture"),
    (mr(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "screen of a console"),
    (ct(ImageType=["ORIGINAL", "PRIMARY", "CT_SOM5 PROT"]), "screen of a console"),
    (ct(ImageType=["DERIVED", "SECONDARY", "DOSE_INFO"]), "screen of a console"),
    (ct(SeriesDescription="Dose Report"), "page of a report"),
    (ct(SeriesDescription="PATIENT PROTOCOL 1"), "page of a report"),
    (mr(PhotometricInterpretation="RGB"), "colour"),
    (ct(ImageType=["DERIVED", "PRIMARY"]), "no label"),
    (ct(ImageType=None), "no label"),
    (ct(ImageType=["DERIVED", "ORIGINAL", "PRIMARY"]), "no label"),
]
OTHER_CLASSES = {
    "secondary capture": "7",
    "multi-frame true colour secondary capture": "7.4",
    "ultrasound": "6.1",
    "ultrasound multi-frame": "3.1",
    "x-ray angiography": "12.1",
    "x-ray fluoroscopy": "12.2",
    "computed radiography": "1",
    "digital x-ray": "1.1",
    "endoscopy photograph": "77.1.1",
    "external camera photograph": "77.1.4",
    "ophthalmic photograph": "77.1.5.1",
    "nuclear medicine": "20",
    "encapsulated PDF": "104.1",
    "enhanced MR colour": "4.3",
    "RT dose": "481.2",
}


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("number", range(len(LEAVE)))
def test_what_scanners_acquire_leaves(plans: dict[str, Plan], name: str, number: int) -> None:
    assert verdict(plans[name], instance(LEAVE[number])) == "leaves"


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("number", range(len(STAY)))
def test_what_shows_a_screen_or_a_page_stays(plans: dict[str, Plan], name: str, number: int) -> None:
    dataset, why = STAY[number]
    said = verdict(plans[name], instance(dataset))
    assert said.startswith("pixels_withheld: ")
    assert why in said


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("kind", OTHER_CLASSES)
def test_all_other_classes_of_images_stay(plans: dict[str, Plan], name: str, kind: str) -> None:
    given = of_class(f"1.2.840.10008.5.1.4.1.1.{OTHER_CLASSES[kind]}")
    assert verdict(plans[name], given).startswith("pixels_withheld: no label")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_document_without_pixels_stays_and_an_object_without_either_leaves(plans: dict[str, Plan], name: str) -> None:
    spectrum = of_class("1.2.840.10008.5.1.4.1.1.4.2", PixelData=None)
    assert verdict(plans[name], spectrum) == "leaves"
    document = of_class("1.2.840.10008.5.1.4.1.1.104.1", PixelData=None, EncapsulatedDocument=b"%PDF")
    assert "no label" in verdict(plans[name], document)


@pytest.mark.parametrize("name", [*SHIPPED, "basic"])
@pytest.mark.parametrize("make", [mr, ct, enhanced])
@pytest.mark.parametrize("said", ["YES", "yes ", "YES\0"])
def test_burned_in_identity_never_leaves(name: str, make: Callable[..., object], said: str) -> None:
    plan = compile_plan(read_recipe(find(name)), Policy({}))
    given = instance(mr())
    data = image(explicit(BURNED_IN, "CS", said))
    assert verdict(plan, encoded_instance(data)) == "burned_in: BurnedInAnnotation is YES"
    for syntax in ("1.2.840.10008.1.2.1", IMPLICIT):
        declared = instance(make(BurnedInAnnotation="YES"), syntax)  # type: ignore[arg-type]
        assert verdict(plan, declared) == "burned_in: BurnedInAnnotation is YES"
    assert verdict(plan, given) == "leaves"


def test_the_shipped_recipes_have_one_policy() -> None:
    sections = {name: find(name).read_text().partition("%filter")[2] for name in SHIPPED}
    directives = {
        name: [line for line in find(name).read_text().splitlines() if line.startswith("ADD pixels_")]
        for name in SHIPPED
    }
    assert len(set(sections.values())) == 1
    assert directives["mip"] == directives["mip-strict"] == directives["research-mri"]
    assert len(directives["mip"]) == 3


@pytest.mark.parametrize("name", ["examples_palette.dcm", "examples_ybr_color.dcm", "SC_rgb_rle.dcm"])
def test_real_ultrasound_and_captures_stay(plans: dict[str, Plan], name: str) -> None:
    assert verdict(plans["mip"], dry.instance(Path(str(get_testdata_file(name))))).startswith("pixels_withheld")


# One's own policy


BLANKING = "ADD applies 113100\nADD pixels_blank us"
US = "%filter us\nLABEL ultrasound\n  present Rows\n  keepcoordinates from:SequenceOfUltrasoundRegions\n"
CLAIMING = "ADD (0012,0063) func:applied_names\nADD (0012,0064) func:applied_codes"


def test_a_blanked_image_says_so_and_no_other_does(policy: Write) -> None:
    plan = compiled(policy(f"{BLANKING}\nADD pixels_pass rest", US.replace("present Rows", "equals Modality US")
                           + "%filter rest\nLABEL rest\n  notequals Modality US\n", CLAIMING))  # fmt: skip
    regions = sequence(0x00186011, us_region(0, 0, 1, 1))
    for modality, shown, code in (("US", 4, True), ("MR", 16, False)):
        data = described(b"\7" * 16, 4, 4, regions, explicit(0x00080060, "CS", modality), explicit(BURNED_IN, "CS", ""))
        result = left(plan, encoded_instance(data))
        assert result.value(PIXEL_DATA).count(b"\7") == shown
        assert (result.text(BURNED_IN) == "NO") is code
        assert (b"113101" in result.data.tobytes()) is code
        assert ("Clean Pixel Data Option" in result.text(METHOD)) is code
        assert b"113100" in result.data.tobytes()


def test_declared_burned_in_leaves_blanked_only(policy: Write) -> None:
    blanking = compiled(policy(BLANKING, "%filter us\nLABEL top\n  present Rows\n  coordinates 0,0,4,1\n"))
    given = encoded_instance(described(b"\7" * 16, 4, 4, explicit(BURNED_IN, "CS", "YES")))
    result = left(blanking, given)
    assert result.value(PIXEL_DATA) == bytes(4) + b"\7" * 12
    assert result.text(BURNED_IN) == "NO"
    assert bytes(given.dataset.data) == given.arrival.data  # what quarantine would seal is as it came
    passing = compiled(policy("ADD pixels_pass us", "%filter us\nLABEL all\n  present Rows\n", name="pass"))
    assert verdict(passing, given).startswith("burned_in")


def test_a_second_pass_changes_no_pixel(policy: Write) -> None:
    plan = compiled(policy(BLANKING, "%filter us\nLABEL top\n  present Rows\n  coordinates 1,0,3,2\n", CLAIMING))
    once = left(plan, encoded_instance(described(bytes(range(16)), 4, 4)))
    again = left(plan, encoded_instance(bytes(once.data)))
    assert again.value(PIXEL_DATA) == once.value(PIXEL_DATA)


def test_the_first_label_decides_and_a_later_recipe_is_asked_first(policy: Write) -> None:
    first = policy(
        "ADD pixels_quarantine no\nADD pixels_pass yes",
        "%filter no\nLABEL a\n  present Rows\n%filter yes\nLABEL b\n  present Rows\n",
    )
    assert "LABEL a (own.dicom:" in verdict(compiled(first), instance(mr()))
    later = policy("ADD pixels_pass more", "%filter more\nLABEL c\n  equals Modality MR\n", name="later")
    both = compiled(first, later.rename(later.with_name("more.dicom")))
    assert verdict(both, instance(mr())) == "leaves"
    assert "LABEL a" in verdict(both, instance(mr(Modality="US")))


def test_all_labels_that_blank_are_put_together(policy: Write) -> None:
    lines = "%filter us\n" + "".join(
        f"LABEL l{n}\n  present Rows\n  coordinates {box}\n" for n, box in enumerate(("0,0,4,1", "0,3,4,4"))
    )
    result = left(compiled(policy(BLANKING, lines)), encoded_instance(described(b"\7" * 16, 4, 4)))
    assert result.value(PIXEL_DATA) == bytes(4) + b"\7" * 8 + bytes(4)


def test_deid_s_own_names_of_groups_mean_what_deid_says(policy: Write) -> None:
    plan = compiled(policy("ADD exclude_vr OV",
        "%filter whitelist\nLABEL a\n  equals Modality MR\n%filter graylist\nLABEL b\n  equals Modality US\n"
        "  coordinates all\nLABEL flags only\n  equals Modality CT\n%filter blacklist\nLABEL c\n"
        "  present Rows\n"))  # fmt: skip
    found = {name: verdict(plan, instance(mr(Modality=name))) for name in ("MR", "US", "CT", "XC")}
    assert (found["MR"], found["US"]) == ("leaves", "leaves")
    assert "flags only" in found["CT"]
    assert "LABEL c" in found["XC"]


@pytest.mark.parametrize(("directives", "labels", "sentence"), [
    ("ADD pixels_pass g", "", r"5?: there is no %filter g with a LABEL"),
    ("ADD pixels_pass g\nADD pixels_blank g", "%filter g\nLABEL x\n present Rows\n", "stands for something already"),
    ("ADD id own", "%filter g\nLABEL x\n present Rows\n", "nothing says what becomes of its images"),
    ("ADD pixels_pass g", "%filter g\nLABEL x\n", "has no criterion"),
    ("ADD pixels_pass g", "%filter g\nLABEL x\n present Rows\n coordinates all\n", "nothing is blanked"),
    ("ADD pixels_blank g", "%filter g\nLABEL x\n present Rows\n coordinates from:Rows\n", "UltrasoundRegions only"),
    ("ADD pixels_otherwise pass", "", "say why in a line above"),
    ("ADD pixels_otherwise maybe", "", "pass or quarantine"),
    ("ADD pixels_pass a.b", "", "no name of a %filter"),
    ("ADD applies 113100 113101", "", "113101 is no code"),
])  # fmt: skip
def test_a_policy_that_means_less_than_its_author_thinks_does_not_compile(
    policy: Write, directives: str, labels: str, sentence: str
) -> None:
    with pytest.raises(RecipeError, match=sentence) as error:
        compiled(policy(directives, labels))
    assert error.value.line > 1


def test_without_a_label_an_image_stays_unless_the_recipe_says_why_not(policy: Write) -> None:
    labels = "%filter g\nLABEL x\n  equals Modality US\n"
    assert "no label" in verdict(compiled(policy("ADD pixels_quarantine g", labels)), instance(mr()))
    otherwise = "ADD pixels_quarantine g\n# because: only ultrasound shows names here\nADD pixels_otherwise pass"
    assert verdict(compiled(policy(otherwise, labels)), instance(mr())) == "leaves"


def test_the_policy_is_explained(plans: dict[str, Plan]) -> None:
    lines = find("mip").read_text().splitlines()
    rows = plans["mip"].explain("PixelData")
    assert [row.action for row in rows][-1] == "goes to quarantine"
    assert rows[0].action == "kept as sent"
    assert len(rows) == 2 + len(plans["mip"].recipe.labels)
    for row in rows[1:-1]:
        assert lines[row.line - 1] == row.attribute
    assert lines[rows[-1].line - 1] == rows[-1].text == "ADD pixels_otherwise quarantine"


# Streams


def streamed(data: bytes) -> tuple[Instance, bytes]:
    """The instance as it is when only its header came, and its pixels."""
    whole = encoded_instance(data)
    element = whole.dataset.find(PIXEL_DATA)
    assert element
    head = bytearray(data[: element.value])
    dataset, pixels = begin(head, iter(()), Header(explicit=True, ends=frozenset({PIXEL_DATA}), bounds=BOUNDS))
    return Instance(whole.arrival, dataset, pixels), data[element.value : element.end]


@given(st.lists(st.integers(0, 64), max_size=6), st.booleans())
def test_in_a_stream_the_same_pixels_are_blanked(borders: Sequence[int], odd: bool) -> None:  # noqa: FBT001
    size = (7, 9) if odd else (8, 8)
    data = described(bytes(range(1, size[0] * size[1] + 1)), *size)
    plan = STREAMING
    sent, pixels = streamed(data)
    head = plan.deidentify(sent, SUBJECT)
    blank = getattr(head, "blank", None)
    assert blank
    places = sorted({0, len(pixels), *(at % (len(pixels) + 1) for at in borders)})
    out = b"".join(bytes(blank(pixels[a:b], a)) for a, b in pairwise(places))
    whole = plan.apply(encoded_instance(data), SUBJECT)
    assert b"".join(head.parts) + out == b"".join(whole.parts)


def _streaming() -> Plan:
    path = Path(__file__).parent / "blanking.dicom"
    return compile_plan(read_recipe(path), Policy({}))


STREAMING = _streaming()


def test_encapsulated_pixels_are_not_blanked_in_a_stream() -> None:
    sent, _ = streamed(described(bytes(16), 4, 4))
    element = sent.dataset.elements[-1]._replace(end=1 << 33, stop=(1 << 33) + 8)
    elements = (*sent.dataset.elements[:-1], element)
    changed = replace(sent, dataset=replace(sent.dataset, elements=elements),
                      arrival=replace(sent.arrival, transfer_syntax="1.2.840.10008.1.2.5"))  # fmt: skip
    with pytest.raises(Failure, match="stream_bytes") as error:
        STREAMING.deidentify(changed, SUBJECT)
    assert error.value.outcome is Outcome.PIXELS_WITHHELD


# Criteria


@pytest.mark.parametrize(("line", "holds"), [
    ("equals Modality MR", True), ("equals Modality mr", True), ("equals Modality M", False),
    ("equals Modality CT|MR", True), ("notequals Modality CT|MR", False), ("notequals PatientName X", True),
    ("equals ImageType PRIMARY", True), (r"equals ImageType ORIGINAL\PRIMARY\M", True),
    (r"equals ImageType ORIGINAL\PRIMARY", False), (r"contains ImageType ^ORIGINAL\\PRIMARY", True),
    (r"contains Modality \D", True), (r"contains Modality \d", False), ("notcontains Modality U", True),
    ("equals Rows 4", True), ("contains Rows ^4$", True), ("equals 0x00280010 4", True),
    ("missing Rows", False), ("present Rows", True), ("missing PatientSize", True), ("present PatientSize", False),
    ("empty PatientWeight", True), ("empty PatientSize", False), ("empty Modality", False),
    ("equals EchoTime 3", True), ("contains PixelData .", False),
    ("missing Rows || present Columns", True), ("missing Rows + present Columns", False),
    ("present Rows || present Rows + missing Rows", False),
])  # fmt: skip
def test_a_criterion(line: str, holds: bool) -> None:  # noqa: FBT001
    dataset = instance(mr(PatientWeight="", EchoTime="3"))
    assert criteria.meets(Label(1, "g", "x", (criterion(line),)))(dataset.dataset) is holds


def test_lines_are_joined_from_left_to_right_as_deid_joins_them() -> None:
    def held(*lines: str) -> bool:
        return criteria.meets(Label(1, "g", "x", tuple(map(criterion, lines))))(instance(mr()).dataset)

    assert held("missing Rows", "|| present Rows")
    assert not held("present Rows", "missing Rows")
    assert not held("present Rows", "|| present Rows", "+ missing Rows")
    assert held("missing Rows", "+ missing Rows", "|| present Rows")


def test_values_of_other_kinds_are_text_to_a_criterion() -> None:
    data = image(explicit(0x00280106, "SS", pack("<h", -3)), explicit(0x00189087, "FD", pack("<dd", 1.5, 2)),
                 explicit(0x00080060, "UN", b"MR"), explicit(0x00280010, "UN", pack("<H", 2)))  # fmt: skip
    dataset = read(data, explicit=True)
    found = [criteria.text(dataset, tag) for tag in (0x00280106, 0x00189087, 0x00080060, 0x00280010, 0x00081140)]
    assert found == ["-3", "1.5\\2.0", "MR", "2", ""]
