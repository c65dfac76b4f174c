"""`%filter` as deid executes it and as the plan does: the same images have a label, the same pixels are hidden.

Both mean: criteria on text and on numbers of one value, `contains` also on several, joined within a line and by `+`
between lines; rectangles inside the image. What differs on purpose is a test of its own below, with its reason.
"""

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
import pydicom
import pytest
from deid.config import DeidRecipe
from encoded import EXPLICIT, MR, UID, explicit, image, sequence
from encoded import instance as encoded_instance
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from test_blank import described, us_region
from test_differential import of_public_scans, of_pydicom_data
from test_sample_files import GOOD
from test_sample_files import instance as instance_of

from scp.dataset import DataSet
from scp.deidentify import criteria, part10
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import RecipeError
from scp.deidentify.recipe import read as read_recipe
from scp.instance import Subject
from scp.outcome import Failure

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what pydicom deprecates
    from deid.dicom.pixels import DicomCleaner, has_burned_pixels

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
NEEDED = "%header\n# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
FILES = [*GOOD, *of_pydicom_data(), *of_public_scans()]
LABELS = [
    "contains Modality MR|CT",
    "contains Manufacturer ge|siemens",
    "contains ImageType PRIMARY",
    "contains ImageType DERIVED|SECONDARY",
    "contains StudyDate ^2",
    "contains Rows 5",
    "contains SliceThickness [.]",
    "contains PatientName \\^",
    "contains PixelSpacing 0",
    "contains PixelRepresentation 0",
    "contains ContrastBolusAgent a",
    "contains SeriesDescription loc|head|t[12]",
    "contains 0x00080060 MR",
    "notcontains Modality MR",
    "notcontains BurnedInAnnotation YES",
    "notcontains ImageType DERIVED",
    "equals Modality mr",
    "equals Manufacturer GE MEDICAL SYSTEMS",
    "equals Rows 512",
    "equals SamplesPerPixel 1",
    "equals InstanceNumber 1",
    "equals SliceThickness 5.0",
    "equals BurnedInAnnotation NO",
    "equals SOPClassUID 1.2.840.10008.5.1.4.1.1.2",
    "notequals Modality MR",
    "notequals Rows 512",
    "notequals BurnedInAnnotation NO",
    "missing BurnedInAnnotation",
    "missing Modality",
    "missing AccessionNumber",
    "missing 0x00080060",
    "present AccessionNumber",
    "present ReferencedImageSequence",
    "present PixelData",
    "present 0x00080060",
    "empty AccessionNumber",
    "empty PatientName",
    "empty StudyID",
    "empty ReferencedImageSequence",
    "empty ImageType",
    "empty 0x00080050",
    "contains Modality CT + contains ImageType PRIMARY",
    "contains Modality CT || contains Modality MR",
    "contains Modality CT || contains Modality MR + notcontains ImageType DERIVED",
    "notequals Modality MR || equals Rows 64 + contains PatientName a",
    "contains Modality MR + missing BurnedInAnnotation",
    "contains Modality MR\n  + missing BurnedInAnnotation\n  + equals Rows 64",
    "contains Modality MR\n  notcontains ImageType DERIVED || equals Rows 64",
]


def recipe(folder: Path, *labels: str, directive: str = "pixels_quarantine", header: str = NEEDED) -> Path:
    """One group for each label, so that deid says which of them an image has."""
    groups = " ".join(f"g{number}" for number in range(len(labels)))
    path = folder / "filters.dicom"
    path.write_text(
        f"FORMAT dicom\n%labels\nADD {directive} {groups}\n"
        + "".join(f"%filter g{number}\nLABEL label {number}\n  {text}\n" for number, text in enumerate(labels))
        + header
    )
    return path


def theirs(path: Path, dataset: Dataset) -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {result["group"] for result in has_burned_pixels(dataset, deid=DeidRecipe(str(path)))["results"]}


def ours(path: Path, dataset: DataSet) -> set[str]:
    return {label.group for label in read_recipe(path).labels if criteria.meets(label)(dataset)}


def both(folder: Path, label: str, *elements: bytes) -> tuple[bool, bool]:
    """Whether a small image has the label by deid and by the plan."""
    path = recipe(folder, label)
    data = image(*elements)
    sent = pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + data))
    return bool(theirs(path, sent)), bool(ours(path, encoded_instance(data).dataset))


# The same


@pytest.mark.filterwarnings("ignore")
def test_each_image_has_the_same_labels(tmp_path: Path) -> None:
    path = recipe(tmp_path, *LABELS)
    recipe_of_deid, held = DeidRecipe(str(path)), [criteria.meets(label) for label in read_recipe(path).labels]
    met: set[str] = set()
    for file in FILES:
        said = has_burned_pixels(pydicom.dcmread(file), deid=recipe_of_deid)["results"]
        dataset = instance_of(file).dataset
        mine = {f"g{number}" for number, meets in enumerate(held) if meets(dataset)}
        assert mine == {result["group"] for result in said}, file.name
        met |= mine
    assert len(FILES) > 100
    assert len(met) > len(LABELS) * 0.8, "nearly every label is one that some file has"


WORDS = ["MR", "mr", "CT", "5", "55", "ANNA", "DOE^ANNA", "AX T1", ""]
FIELDS = {
    "Modality": (0x00080060, "CS"),
    "SeriesDescription": (0x0008103E, "LO"),
    "PatientName": (0x00100010, "PN"),
    "StudyID": (0x00200010, "SH"),
    "InstitutionName": (0x00080080, "LO"),
}
EXPRESSIONS = ["M", "^mr$", "5", "anna|ct", "^$", "x", "[a-c]", "e.a"]
VALUED = st.tuples(st.sampled_from(["contains", "notcontains"]), st.sampled_from(sorted(FIELDS)),
                   st.sampled_from(EXPRESSIONS)) | st.tuples(
    st.sampled_from(["equals", "notequals"]), st.sampled_from(sorted(FIELDS)),
    st.sampled_from([word for word in WORDS if word]))  # fmt: skip
BARE = st.tuples(st.sampled_from(["missing", "present", "empty"]), st.sampled_from(sorted(FIELDS)))
LINE = st.tuples(st.lists(VALUED, max_size=3), st.lists(BARE, max_size=2)).map(lambda both: [*both[0], *both[1]])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(FIELDS)), st.sampled_from(WORDS)),
    st.lists(LINE.filter(bool), min_size=1, max_size=3),
    st.lists(st.sampled_from(["+", "||"]), min_size=12, max_size=12),
)
@pytest.mark.filterwarnings("ignore")
def test_any_criteria_hold_as_they_do_for_deid(
    tmp_path_factory: pytest.TempPathFactory, sent: dict[str, str], lines: list[list[tuple[str, ...]]], signs: list[str]
) -> None:
    sign = iter(signs)
    written = []
    for terms in lines:
        text = " ".join(terms[0])
        for term in terms[1:]:
            text += f" {next(sign)} {' '.join(term)}"
        written.append(text)
    elements = [explicit(*FIELDS[field], value) for field, value in sent.items()]
    by_deid, by_plan = both(tmp_path_factory.mktemp("criteria"), "\n  + ".join(written), *elements)
    assert by_deid == by_plan


def cleaned(path: Path, data: bytes) -> Any:
    """The pixels that deid leaves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cleaner = DicomCleaner(deid=str(path), output_folder=str(path.parent))
        assert cleaner.detect(pydicom.dcmread(BytesIO(data)))["flagged"]
        return cleaner.clean()


def blanked(path: Path, data: bytes) -> Any:
    """The pixels that the plan leaves."""
    made = compile_plan(read_recipe(path), Policy({})).apply(encoded_instance(data), SUBJECT)
    return pydicom.dcmread(BytesIO(b"".join(made.parts))).pixel_array


@st.composite
def shapes(draw: st.DrawFn) -> tuple[bytes, int, int, dict[str, Any]]:
    """A small image of ones, its rows and columns, and what describes it."""
    rows, columns = draw(st.integers(2, 9)), draw(st.integers(2, 9))
    samples, frames = draw(st.sampled_from([(1, 1), (1, 3), (3, 1), (3, 2)]))
    width = draw(st.sampled_from([1, 2])) if samples == 1 else 1
    pixels = pack("<H", 1)[:width] * (rows * columns * samples * frames)
    photometric = "RGB" if samples == 3 else draw(st.sampled_from(["MONOCHROME2", "PALETTE COLOR"]))
    said = {"samples": samples, "photometric": photometric, "frames": str(frames), "allocated": width * 8}
    return pixels, rows, columns, said


@settings(max_examples=80, deadline=None)
@given(shapes(), st.lists(st.tuples(*[st.integers(0, 8)] * 4, st.booleans()), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore")
def test_any_rectangles_hide_the_same_pixels(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[bytes, int, int, dict[str, Any]],
    boxes: list[tuple[int, int, int, int, bool]],
) -> None:
    pixels, rows, columns, said = shape
    lines = ["coordinates 0,0,1,1"]  # what begins with what is kept is a difference of its own
    for x, y, width, height, keep in boxes:
        left, top = min(x, columns - 1), min(y, rows - 1)
        right, bottom = min(left + width + 1, columns), min(top + height + 1, rows)
        if keep:
            lines.append(f"keepcoordinates {left},{top},{right},{bottom}")
        else:
            lines.append(f"ctpcoordinates {left},{top},{right - left},{bottom - top}")
    lines.append("coordinates 0,0,1,1")
    path = recipe(tmp_path_factory.mktemp("boxes"), "present Rows\n  " + "\n  ".join(lines), directive="pixels_blank")
    data = described(pixels, rows, columns, **said)
    mine = blanked(path, data)
    assert np.array_equal(mine, cleaned(path, part10.head(MR, UID, EXPLICIT) + data))
    assert not mine.all()


NATIVE = ["CT_small.dcm", "MR_small.dcm", "SC_rgb.dcm", "SC_rgb_2frame.dcm", "examples_palette.dcm", "SC_rgb_16bit.dcm"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "lines",
    ["coordinates all", "ctpcoordinates all", "coordinates 3,5,40,30\n  keepcoordinates 10,10,20,20",
     "coordinates all\n  keepcoordinates 5,5,60,60\n  ctpcoordinates 6,7,8,9",
     "coordinates 0,0,64,12\n  ctpkeepcoordinates 1,1,3,3"],
)  # fmt: skip
def test_in_pydicom_s_images_the_same_pixels_are_hidden(lines: str, tmp_path: Path) -> None:
    path = recipe(tmp_path, f"present Rows\n  {lines}", directive="pixels_blank")
    plan = compile_plan(read_recipe(path), Policy({}))
    found = [file for file in FILES if file.name in NATIVE]
    for file in found:
        mine = pydicom.dcmread(BytesIO(b"".join(plan.apply(instance_of(file), SUBJECT).parts))).pixel_array
        assert np.array_equal(mine, cleaned(path, file.read_bytes())), file.name
        assert not np.array_equal(mine, pydicom.dcmread(file).pixel_array)
    assert len(found) >= 4


# The differences that are meant: what a criterion holds for


TYPES = explicit(0x00080008, "CS", "ORIGINAL\\PRIMARY")


@pytest.mark.parametrize(
    ("label", "elements"),
    [
        # deid compares with Python's spelling of a list, so that one of several values never equals anything.
        ("equals ImageType PRIMARY", [TYPES]),
        ("equals ImageType ORIGINAL\\PRIMARY", [TYPES]),
        # ... and the beginning of several values is a bracket to it.
        ("contains ImageType ^ORIGINAL", [TYPES]),
        # deid's documentation gives alternatives; its code looks for a bar.
        ("equals Modality CT|MR", [explicit(0x00080060, "CS", "MR")]),
        # deid gives a criterion the value of another one where one before it has none.
        ("missing BurnedInAnnotation + contains Modality MR", [explicit(0x00080060, "CS", "MR")]),
        # `||` at the beginning of a line is `+` to deid, whatever its documentation says.
        ("contains Modality CT\n  || contains Modality MR", [explicit(0x00080060, "CS", "MR")]),
        # A number without a value is absent to deid.
        ("present PatientWeight", [explicit(0x00101030, "DS", "")]),
        # By its tag, deid compares the printed element with the value.
        ("equals 0x00080060 MR", [explicit(0x00080060, "CS", "MR")]),
        # deid lowers expressions, so that what is no digit becomes what is one.
        ("contains StudyID ^\\D+$", [explicit(0x00200010, "SH", "ABC ")]),
    ],
)  # fmt: skip
def test_what_deid_does_not_find_is_found(label: str, elements: Sequence[bytes], tmp_path: Path) -> None:
    by_deid, by_plan = both(tmp_path, label, *elements)
    assert (by_deid, by_plan) == (False, True)


@pytest.mark.parametrize(
    ("label", "elements"),
    [
        ("notequals ImageType PRIMARY", [TYPES]),
        ("notequals Modality CT|MR", [explicit(0x00080060, "CS", "MR")]),
        ("missing PatientWeight", [explicit(0x00101030, "DS", "")]),
        # 0 is a value, and deid takes it for none.
        ("empty PixelRepresentation", []),
        ("empty PatientWeight", [explicit(0x00101030, "DS", "0 ")]),
        # deid searches the printed form: of sequences all of their items, by a tag the attribute's name as well.
        ("contains ReferencedImageSequence Referenced", [sequence(0x00081140, explicit(0x00081155, "UI", "1.2"))]),
        ("contains 0x00080060 Modality", [explicit(0x00080060, "CS", "MR")]),
        ("contains ImageType L', 'P", [TYPES]),
    ],
)
def test_what_deid_finds_where_it_is_not_is_not_found(label: str, elements: Sequence[bytes], tmp_path: Path) -> None:
    by_deid, by_plan = both(tmp_path, label, *elements)
    assert (by_deid, by_plan) == (True, False)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("contains Modality", "contains needs a field and a value"),
        ("missing Modality MR", "Modality MR is no keyword|missing needs a field and no value"),
        ("containz Modality MR", "unknown criterion containz"),
        ("contains Modallity MR", "Modallity is no keyword"),
        ("contains Modality (", "is no regular expression"),
        ("contains Modality MR\n  coordinates 1,2,3", "is no region"),
        ("contains Modality MR\n  coordinates 5,5,5,9", "is empty"),
        ("contains Modality MR\n  coordinates from:GraphicAnnotationSequence", "SequenceOfUltrasoundRegions only"),
    ],
)
def test_what_deid_passes_over_stops_the_start(label: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=sentence):
        compile_plan(read_recipe(recipe(tmp_path, label, directive="pixels_blank")), Policy({}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("group", ["whitelist", "graylist", "blacklist"])
def test_the_name_of_a_group_means_what_deid_says_it_does(group: str, tmp_path: Path) -> None:
    # To deid's code any label is a flag, the whitelist's too.
    path = tmp_path / "named.dicom"
    region = "\n  coordinates 0,0,2,1" if group == "graylist" else ""
    path.write_text(f"FORMAT dicom\n%filter {group}\nLABEL not burned in\n  equals Modality MR{region}\n{NEEDED}")
    data = image(explicit(0x00080060, "CS", "MR"), explicit(0x00280004, "CS", "MONOCHROME2"),
                 explicit(0x00280101, "US", b"\x10\0"), explicit(0x00280102, "US", b"\x0f\0"))  # fmt: skip
    assert theirs(path, pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + data))) == {group}
    plan = compile_plan(read_recipe(path), Policy({}))
    if group == "blacklist":
        with pytest.raises(Failure, match="LABEL not burned in"):
            plan.apply(encoded_instance(data), SUBJECT)
        return
    whole = pydicom.dcmread(BytesIO(b"".join(plan.apply(encoded_instance(data), SUBJECT).parts))).PixelData
    assert whole == (bytes(range(8)) if group == "whitelist" else bytes(4) + bytes(range(4, 8)))


# The differences that are meant: which pixels are hidden


SQUARE = bytes(range(1, 17))


def hidden(path: Path, data: bytes) -> tuple[list[int], list[int]]:
    """The numbers of the pixels that are zero, by deid and by the plan."""
    by_deid, by_plan = cleaned(path, part10.head(MR, UID, EXPLICIT) + data), blanked(path, data)
    return [int(one) for one in np.flatnonzero(by_deid.ravel() == 0)], [
        int(one) for one in np.flatnonzero(by_plan.ravel() == 0)]  # fmt: skip


def blanking(folder: Path, *labels: str) -> Path:
    return recipe(folder, *labels, directive="pixels_blank")


@pytest.mark.filterwarnings("ignore")
def test_a_label_that_begins_with_what_is_kept_hides_the_rest(tmp_path: Path) -> None:
    # deid begins with everything shown, so that a label which only keeps hides nothing.
    by_deid, by_plan = hidden(blanking(tmp_path, "present Rows\n  keepcoordinates 0,0,4,3"), described(SQUARE, 4, 4))
    assert (by_deid, by_plan) == ([], [12, 13, 14, 15])


@pytest.mark.filterwarnings("ignore")
def test_a_label_of_coordinates_alone_is_every_image_s(tmp_path: Path) -> None:
    # So deid's code has it, and raises where such a label is the first.
    path, data = blanking(tmp_path, "coordinates 0,0,4,3"), described(SQUARE, 4, 4)
    with pytest.raises(UnboundLocalError):
        cleaned(path, part10.head(MR, UID, EXPLICIT) + data)
    assert np.flatnonzero(blanked(path, data).ravel()).tolist() == [12, 13, 14, 15]
    by_deid, by_plan = hidden(blanking(tmp_path, "missing Rows", "coordinates 0,0,4,3"), data)
    assert by_deid == by_plan == list(range(12))


@pytest.mark.filterwarnings("ignore")
def test_what_one_label_hides_no_other_shows(tmp_path: Path) -> None:
    # To deid all labels are one list, and the last one shows again what the first has hidden.
    labels = "present Rows\n  coordinates 0,0,4,1", "present Columns\n  coordinates 0,3,1,4\n  keepcoordinates 0,0,4,1"
    by_deid, by_plan = hidden(blanking(tmp_path, *labels), described(SQUARE, 4, 4))
    assert (by_deid, by_plan) == ([12], [0, 1, 2, 3, 12])


@pytest.mark.filterwarnings("ignore")
def test_regions_of_ultrasound_are_what_is_shown(tmp_path: Path) -> None:
    # deid hides the images and leaves the text around them.
    label = "present Rows\n  coordinates from:SequenceOfUltrasoundRegions"
    data = described(SQUARE, 4, 4, sequence(0x00186011, us_region(0, 1, 3, 2)))
    by_deid, by_plan = hidden(blanking(tmp_path, label), data)
    assert by_deid == [4, 5, 6], "without the last row and column of the region"
    assert by_plan == [0, 1, 2, 3, 12, 13, 14, 15]


@pytest.mark.filterwarnings("ignore")
def test_regions_are_those_of_the_image_itself(tmp_path: Path) -> None:
    # deid writes the first image's regions into the recipe, and hides them in all that follow.
    path = blanking(tmp_path, "present Rows\n  coordinates from:SequenceOfUltrasoundRegions")
    first, second = (
        described(SQUARE, 4, 4, sequence(0x00186011, us_region(*box))) for box in ((0, 0, 1, 1), (2, 2, 3, 3))
    )
    once = DeidRecipe(str(path))
    masks = [
        has_burned_pixels(pydicom.dcmread(BytesIO(part10.head(MR, UID, EXPLICIT) + data)), deid=once)["results"][0]
        for data in (first, second)
    ]
    assert masks[0]["coordinates"] == masks[1]["coordinates"] == [[0, ["0,0,1,1"]]]
    shown = [np.flatnonzero(blanked(path, data).ravel()).tolist() for data in (first, second)]
    assert shown == [[0, 1, 4, 5], [10, 11, 14, 15]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("photometric", "samples", "black"), [("MONOCHROME1", 1, [255]), ("YBR_FULL", 3, [0, 128, 128])]
)
def test_what_is_hidden_is_black(photometric: str, samples: int, black: list[int], tmp_path: Path) -> None:
    # deid writes zeros: white in MONOCHROME1, green in YBR_FULL.
    path = blanking(tmp_path, "present Rows\n  coordinates 0,0,1,1")
    data = described(bytes([7]) * (4 * samples), 2, 2, photometric=photometric, samples=samples)
    made = compile_plan(read_recipe(path), Policy({})).apply(encoded_instance(data), SUBJECT)
    raw = pydicom.dcmread(BytesIO(b"".join(made.parts))).PixelData
    assert list(raw[:samples]) == black
    assert set(raw[samples:]) == {7}


@pytest.mark.parametrize(
    ("label", "data"),
    [
        # Written for another size of image: deid hides nothing and says that it has cleaned.
        ("present Rows\n  coordinates 100,100,200,200", described(SQUARE, 4, 4)),
        # The sequence is not there: deid hides nothing.
        ("present Rows\n  coordinates from:SequenceOfUltrasoundRegions", described(SQUARE, 4, 4)),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_would_hide_nothing_is_withheld(label: str, data: bytes, tmp_path: Path) -> None:
    path = blanking(tmp_path, label)
    assert (cleaned(path, part10.head(MR, UID, EXPLICIT) + data) != 0).all()
    with pytest.raises(Failure) as error:
        blanked(path, data)
    assert error.value.outcome.label == "pixels_withheld"


@pytest.mark.filterwarnings("ignore")
def test_the_header_is_the_de_identified_one(tmp_path: Path) -> None:
    # deid writes the pixels it has cleaned into the file that it was given, names and all.
    path = recipe(tmp_path, "present Rows\n  coordinates 0,0,1,1", directive="pixels_blank",
                  header=NEEDED + "REMOVE PatientName\n")  # fmt: skip
    sent = tmp_path / "sent.dcm"
    sent.write_bytes(part10.head(MR, UID, EXPLICIT) + described(SQUARE, 4, 4, explicit(0x00100010, "PN", "DOE^JOHN")))
    cleaner = DicomCleaner(deid=str(path), output_folder=str(tmp_path))
    cleaner.detect(str(sent))
    cleaner.clean()
    assert b"DOE^JOHN" in Path(str(cleaner.save_dicom())).read_bytes()
    made = compile_plan(read_recipe(path), Policy({})).apply(instance_of(sent), SUBJECT)
    assert b"DOE" not in b"".join(made.parts)
