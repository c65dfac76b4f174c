"""deid itself and the plan, over every eligible file of pydicom, pydicom-data and public scans: the same comes out.

What both mean: verbs on public attributes with literals, and days for whole dates. Outside of it the plan differs on
purpose; each difference is a test of its own below, with its reason.
"""

import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import data_store
import pydicom
import pytest
from deid.config import DeidRecipe
from encoded import EXPLICIT, MR, UID, explicit, image, sequence
from encoded import instance as encoded_instance
from pydicom import Dataset
from test_sample_files import GOOD, instance, whole

from scp.deidentify import part10
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.fields import NEVER
from scp.deidentify.functions.dates import parse
from scp.deidentify.functions.tokens import is_uid
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, load
from scp.deidentify.recipe import read as read_recipe
from scp.dictionary import ATTRIBUTES
from scp.instance import Subject
from scp.outcome import Failure, Outcome

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports what pydicom deprecates
    from deid.dicom import replace_identifiers
    from deid.dicom.fields import _get_fields_inner

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
OURS = "# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
MOST_ELEMENTS = 600
"""Of a file compared: deid takes seconds for one with thousands."""
RECIPES = {
    "names": "REMOVE PatientName\nBLANK PatientID\nREPLACE StudyDescription SOME\nADD PatientIdentityRemoved YES",
    "tags": "REMOVE (0010,0010)\nREMOVE 00100030\nBLANK (0008,0080)\nREPLACE (0008,1030) NEW\nKEEP (0010,0040)\n"
    "REPLACE Rows 5",
    "vr": "REMOVE select:VR:PN\nBLANK select:VR:TM\nREPLACE select:VR:FD 1.5",
    "group": "REMOVE select:group:10",
    "expressions": "REMOVE contains:Institution\nREMOVE endswith:Physician\nBLANK contains:^Accession\n"
    "REMOVE contains:Patient.s|0018,12\nBLANK startswith:0008003\nBLANK endswith:0060",
    "beginnings": "REMOVE startswith:Patient\nBLANK startswith:Study.*Time\nREPLACE startswith:PatientNam ANON",
    "fields": "REMOVE fields:people\nBLANK fields:times\n\n"
    "%fields people\nFIELD PatientName\nFIELD contains:Physician\n\n%fields times\nFIELD select:VR:TM\n\n%header",
    "shields": "REMOVE contains:^Study\nREPLACE StudyDescription KEPT\nKEEP StudyDate",
    "all": "REMOVE ALL\nKEEP Rows\nKEEP PatientID\nREPLACE StudyDescription SOME",
    "except": "REMOVE except:^(Rows|Columns|PatientID|Modality|Bits.*)$",
    "jitter": "JITTER StudyDate 31\nREMOVE PatientBirthDate",
    "all_dates": "JITTER endswith:Date -400\nREMOVE PatientName",
    "places": "REPLACE SourceImageSequence__PurposeOfReferenceCodeSequence__CodeMeaning NEW\n"
    "REMOVE SourceImageSequence__ReferencedSOPClassUID\nBLANK DerivationCodeSequence__CodeMeaning\n"
    "REPLACE (0008,2112)__0__(0008,1155) 1.2\nREMOVE (0008,1140)__1__(0008,1155)\nREMOVE CodeValue\n"
    "REPLACE SequenceOfUltrasoundRegions__PhysicalDeltaX 1.5\nREPLACE (0018,6011)__0__(0018,6020) -3",
    "keep_all": "KEEP ALL\nADD PatientName ANON",
    "blank_all": "BLANK ALL\nREMOVE PatientName\nREMOVE contains:Physician\nREPLACE StudyDescription SOME",
    "add": "ADD PatientName ANON\nADD StudyID 7\nREMOVE StudyTime",
}
SCANS = Path(__file__).parents[3] / "shared" / "data"
CUT_SHORT = frozenset({"emri_small_jpeg_2k_lossless_too_short.dcm"})
NOT_COMPARED = {0x00080016, 0x00080018, 0x00283010, 0x7FE00010} | set(range(0x00281101, 0x00281224))
"""The identity of our objects, and what deid never touches: VOILUTSequence, pixel data and palettes."""


def theirs(dataset: Dataset, recipe: str, folder: Path) -> Dataset:
    """What deid makes of it, its cache emptied as it keeps every data set for ever."""
    path = folder / "theirs.dicom"
    path.write_text(f"FORMAT dicom\n%header\n{recipe}\n")
    _get_fields_inner.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (made,) = replace_identifiers([dataset], deid=DeidRecipe(str(path)), save=False)
    _get_fields_inner.cache_clear()
    assert isinstance(made, Dataset)
    return made


def plan_of(recipe: str, folder: Path) -> Plan:
    path = folder / "ours.dicom"
    path.write_text(f"FORMAT dicom\n%header\n# because: a test\n{recipe}\n{OURS}")
    return unguarded(compile_plan(read_recipe(path), Policy({})))


def unguarded(plan: Plan) -> Plan:
    """The engine alone, as deid has no guard (difference k)."""
    return replace(plan, unguarded=frozenset(ATTRIBUTES))


def comparable(dataset: Dataset) -> dict[int, object]:
    """What both engines are asked about: public attributes that the dictionary knows, without our own new UID."""
    found: dict[int, object] = {}
    for element in dataset:
        tag = int(element.tag)
        if tag not in ATTRIBUTES or tag >> 16 in NEVER or tag in NOT_COMPARED:
            continue
        if element.VR == "SQ":
            found[tag] = [comparable(item) for item in element.value]
        else:
            found[tag] = str(element.value if element.value is not None else "").strip()
    return found


def small(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sum(1 for _ in pydicom.dcmread(path).iterall()) <= MOST_ELEMENTS


def crashes_deid(path: Path) -> bool:
    """A sequence inside one of the same tag is where deid falls over (difference b)."""

    def nested(dataset: Dataset, above: frozenset[int]) -> bool:
        sequences = [element for element in dataset if element.VR == "SQ"]
        return any(
            int(one.tag) in above or any(nested(item, above | {int(one.tag)}) for item in one.value)
            for one in sequences
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nested(pydicom.dcmread(path), frozenset())


def of_pydicom_data() -> list[Path]:
    """The files of the PyPI package that are instances which the node takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        paths = sorted(Path(data_store.__file__ or "").parent.rglob("*.dcm"))
        return [path for path in paths if path.name not in CUT_SHORT and whole(path) is not None]


def of_public_scans() -> list[Path]:
    """The first file of each series, where the public scans are beside the repository."""
    folders: dict[Path, Path] = {}
    for path in sorted(SCANS.rglob("*.dcm")) if SCANS.is_dir() else ():
        folders.setdefault(path.parent, path)
    return list(folders.values())


def has_uids(path: Path) -> bool:
    """Whether what names its series is a UID; where it is none, it is not kept (difference l)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sent = str(pydicom.dcmread(path, specific_tags=["SeriesInstanceUID"]).get("SeriesInstanceUID", ""))
    return not sent or is_uid(sent)


def eligible(path: Path) -> bool:
    """Whether both engines take the file, deid within some seconds."""
    return small(path) and has_uids(path) and not crashes_deid(path)


FILES = [path for path in (*GOOD, *of_pydicom_data(), *of_public_scans()) if eligible(path)]


def test_there_are_enough_files() -> None:
    assert len(FILES) > 100


def dated(path: Path, name: str) -> bool:
    """Whether deid can move the file's dates that the recipe names; what it makes of others is difference b."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        if name == "jitter":
            return parse(str(dataset.get("StudyDate", ""))) is not None
        dates = [str(one.value) for one in dataset.iterall() if one.VR == "DA" and one.value]
        return bool(dates) and all(map(parse, dates))


PLANS: dict[str, Plan] = {}
"""Those of RECIPES, compiled once."""
JITTERS = {"jitter", "all_dates"}
PAIRS = [(path, name) for path in FILES for name in RECIPES if name not in JITTERS or dated(path, name)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("path", "name"), PAIRS, ids=lambda one: getattr(one, "name", one))
def test_the_same_comes_out(path: Path, name: str, tmp_path: Path) -> None:
    plan = PLANS[name] if name in PLANS else PLANS.setdefault(name, plan_of(RECIPES[name], tmp_path))
    made = b"".join(plan.apply(instance(path), SUBJECT).parts)
    ours = comparable(pydicom.dcmread(BytesIO(made)))
    assert comparable(theirs(pydicom.dcmread(path), RECIPES[name], tmp_path)) == ours


# The differences that are meant, by their letters in the plan of the engine


NAME = explicit(0x00100010, "PN", "DOE^JOHN")


def both(recipe: str, folder: Path, *elements: bytes, ours: str | None = None) -> tuple[Dataset, Dataset]:
    """What deid and what the plan make of a small image, the plan by a recipe of its own where that has to be."""
    data = part10.head(MR, UID, EXPLICIT) + image(*elements)
    by_deid = theirs(pydicom.dcmread(BytesIO(data)), recipe, folder)
    plan = plan_of(recipe if ours is None else ours, folder)
    made = b"".join(plan.apply(encoded_instance(image(*elements)), SUBJECT).parts)
    return by_deid, pydicom.dcmread(BytesIO(made))


@pytest.mark.parametrize(
    "line",
    ["remove PatientName", "REPLACE PatientName var:missing", "REPLACE PatientName deid_func:typo",
     "REPLACE PatientName func:typo", "REMOVE allfields", "REMOVE PatientName # comment", "REMOVE PatienName"],
)  # fmt: skip
def test_a_what_deid_lets_through_stops_the_start(line: str, tmp_path: Path) -> None:
    data = part10.head(MR, UID, EXPLICIT) + image(NAME)
    assert theirs(pydicom.dcmread(BytesIO(data)), line, tmp_path).PatientName == "DOE^JOHN"
    with pytest.raises(RecipeError):
        plan_of(line, tmp_path)


@pytest.mark.parametrize("sent", ["202003", "20201301", "00000000", "UNKNOWN"])
def test_b_a_date_that_is_none_becomes_empty_where_deid_raises(sent: str, tmp_path: Path) -> None:
    data = part10.head(MR, UID, EXPLICIT) + image(explicit(0x00080020, "DA", sent))
    with pytest.raises(ValueError, match=r"."), warnings.catch_warnings():
        theirs(pydicom.dcmread(BytesIO(data)), "JITTER StudyDate 3", tmp_path)
    made = plan_of("JITTER StudyDate 3", tmp_path).apply(
        encoded_instance(image(explicit(0x00080020, "DA", sent))), SUBJECT
    )
    assert pydicom.dcmread(BytesIO(b"".join(made.parts))).StudyDate == ""


def test_b_a_sequence_in_one_of_its_own_kind_is_gone_through(tmp_path: Path) -> None:
    inner = sequence(0x0040A730, explicit(0x0040A160, "UT", "DOE "))
    made = plan_of("REMOVE TextValue", tmp_path).apply(encoded_instance(image(sequence(0x0040A730, inner))), SUBJECT)
    assert b"DOE" not in b"".join(made.parts)


@pytest.mark.filterwarnings("ignore")
def test_c_a_private_sequence_is_found_by_its_creator(tmp_path: Path) -> None:
    creator = explicit(0x20010010, "LO", "Philips Imaging DD 001")
    hidden = sequence(0x2001105F, NAME, undefined=True)
    line = 'REMOVE (2001,"Philips Imaging DD 001",5F)'
    _, ours = both(line, tmp_path, creator, hidden)
    assert b"DOE" not in repr(ours).encode()


@pytest.mark.filterwarnings("ignore")
def test_d_group_lengths_are_dropped(tmp_path: Path) -> None:
    by_deid, ours = both("REMOVE PatientName", tmp_path, explicit(0x00100000, "UL", b"\x10\0\0\0"))
    assert 0x00100000 in by_deid
    assert 0x00100000 not in ours


def test_e_a_function_sees_the_original(tmp_path: Path) -> None:
    dates = explicit(0x00100030, "DA", "19521130"), explicit(0x00080020, "DA", "20250917")
    lines = "REMOVE PatientBirthDate\nREMOVE StudyDate\nADD PatientAge func:age"
    made = plan_of(lines, tmp_path).apply(encoded_instance(image(*dates)), SUBJECT)
    assert pydicom.dcmread(BytesIO(b"".join(made.parts))).PatientAge == "072Y"


def test_f_what_is_kept_is_the_same_bytes(tmp_path: Path) -> None:
    odd = explicit(0x00185100, "CS", " HFS  ")
    made = plan_of("REMOVE PatientName", tmp_path).apply(encoded_instance(image(odd)), SUBJECT)
    assert odd in b"".join(made.parts)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tag", [0x00081110, 0x00283010])
def test_g_a_sequence_that_is_kept_is_gone_through(tag: int, tmp_path: Path) -> None:
    keyword = ATTRIBUTES[tag].keyword
    by_deid, ours = both(f"KEEP {keyword}\nREMOVE PatientName", tmp_path, sequence(tag, NAME))
    assert "DOE" in str(by_deid[tag].value[0])
    assert "DOE" not in str(ours[tag].value[0])


@pytest.mark.filterwarnings("ignore")
def test_h_file_meta_information_is_made_anew(tmp_path: Path) -> None:
    by_deid, ours = both("REPLACE SOPInstanceUID 2.25.1", tmp_path, ours="REMOVE PatientName")
    assert by_deid.file_meta.MediaStorageSOPInstanceUID == UID
    assert ours.file_meta.MediaStorageSOPInstanceUID == ours.SOPInstanceUID != UID


@pytest.mark.filterwarnings("ignore")
def test_i_values_are_no_expressions(tmp_path: Path) -> None:
    section = "%values who\nFIELD PatientName\n\n%header\n"
    comment = explicit(0x00204000, "LT", "called DOE^JOHN")
    by_deid, _ = both(f"REMOVE values:who\n\n{section}", tmp_path, NAME, comment, ours="REMOVE PatientName")
    assert by_deid.ImageComments == "called DOE^JOHN", "the ^ of a name is an expression to deid"
    path = tmp_path / "values.dicom"
    path.write_text(f"FORMAT dicom\n{section}REMOVE values:who\n{OURS}")
    plan = unguarded(compile_plan(read_recipe(path), Policy({})))
    assert b"JOHN" not in b"".join(plan.apply(encoded_instance(image(NAME, comment)), SUBJECT).parts)


@pytest.mark.parametrize("transfer_syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"])
def test_j_deflated_and_big_endian_are_refused(transfer_syntax: str, tmp_path: Path) -> None:
    with pytest.raises(Failure) as error:
        plan_of("REMOVE PatientName", tmp_path).apply(encoded_instance(image(NAME), transfer_syntax), SUBJECT)
    assert error.value.outcome is Outcome.NOT_DEIDENTIFIED


@pytest.mark.filterwarnings("ignore")
def test_k_what_a_recipe_forgot_does_not_leave(tmp_path: Path) -> None:
    comment = explicit(0x00204000, "LT", "called DOE^JOHN")
    by_deid, _ = both("REMOVE PatientName", tmp_path, NAME, comment, ours="REMOVE PatientName")
    assert by_deid.ImageComments == "called DOE^JOHN"
    path = tmp_path / "forgetful.dicom"
    path.write_text(f"FORMAT dicom\n%header\nREMOVE PatientName\n{OURS}")
    with pytest.raises(Failure) as error:
        compile_plan(read_recipe(path), Policy({})).apply(encoded_instance(image(NAME, comment)), SUBJECT)
    assert error.value.outcome is Outcome.RESIDUAL
    assert error.value.why == "the value of (0010,0010) PatientName stands in (0020,4000) ImageComments"


def test_l_what_is_no_uid_is_not_kept_as_one(tmp_path: Path) -> None:
    series = explicit(0x0020000E, "UI", "DOE^JOHN")
    data = part10.head(MR, UID, EXPLICIT) + image(series)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert theirs(pydicom.dcmread(BytesIO(data)), "REMOVE PatientName", tmp_path).SeriesInstanceUID == "DOE^JOHN"
    with pytest.raises(Failure) as error:
        plan_of("REMOVE PatientName", tmp_path).apply(encoded_instance(image(series)), SUBJECT)
    assert error.value.outcome is Outcome.NOT_DEIDENTIFIED
    assert "DOE" not in error.value.why


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("line", ['REMOVE (0019,"SIEMENS MR HEADER",0C)', 'REMOVE 0019,"SIEMENS MR HEADER",0C'])
def test_a_private_attribute_is_named_by_its_creator_in_both(line: str, tmp_path: Path) -> None:
    creator = explicit(0x00190010, "LO", "SIEMENS MR HEADER")
    numbers = explicit(0x0019100A, "US", b"\1\0"), explicit(0x0019100C, "IS", "1000")
    by_deid, ours = both(
        line, tmp_path, creator, *numbers, ours=f'{line}\n# because: a test\nKEEP (0019,"SIEMENS MR HEADER",0A)'
    )
    for made in (by_deid, ours):
        assert 0x0019100C not in made
        assert made[0x0019100A].value == 1


@pytest.mark.filterwarnings("ignore")
def test_several_recipes_are_layers_where_deid_loses_what_they_collect(tmp_path: Path) -> None:
    first, second = tmp_path / "first.dicom", tmp_path / "second.dicom"
    first.write_text(f"FORMAT dicom\n%header\n# because: a test\nREMOVE PatientID\nREPLACE StudyDescription A\n{OURS}")
    second.write_text(
        "FORMAT dicom\n%fields who\nFIELD PatientName\n%header\nREPLACE StudyDescription B\nREMOVE fields:who\n"
    )
    elements = NAME, explicit(0x00081030, "LO", "AXIAL")
    plan = unguarded(compile_plan(load(f"{first},{second}"), Policy({})))
    ours = pydicom.dcmread(BytesIO(b"".join(plan.apply(encoded_instance(image(*elements)), SUBJECT).parts)))
    assert ours.StudyDescription == "B"
    assert "PatientName" not in ours
    assert "PatientID" not in ours


@pytest.mark.filterwarnings("ignore")
def test_a_line_that_names_an_attribute_is_an_exception_from_all(tmp_path: Path) -> None:
    # deid takes it away: an author who writes both wants the attribute to stay, without value.
    by_deid, ours = both("REMOVE ALL\nBLANK SeriesTime", tmp_path, explicit(0x00080031, "TM", "134502"))
    assert "SeriesTime" not in by_deid
    assert ours.SeriesTime == ""


LAYERS = (
    "REMOVE PatientName\nBLANK PatientID\nREPLACE StudyDescription FIRST\nREMOVE contains:Institution",
    "REPLACE StudyDescription SECOND\nADD PatientIdentityRemoved YES\nREMOVE select:VR:TM\nBLANK AccessionNumber",
)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", FILES[::6], ids=lambda path: path.name)
def test_two_recipes_on_one_another_are_the_same(path: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.dicom" for number in range(len(LAYERS))]
    for where, text in zip(paths, LAYERS, strict=True):
        where.write_text(f"FORMAT dicom\n%header\n{text}\n")
    _get_fields_inner.cache_clear()
    (made,) = replace_identifiers([pydicom.dcmread(path)], deid=DeidRecipe([str(one) for one in paths]), save=False)
    _get_fields_inner.cache_clear()
    paths[0].write_text(f"{paths[0].read_text()}{OURS}")
    plan = unguarded(compile_plan(load(",".join(map(str, paths))), Policy({})))
    ours = pydicom.dcmread(BytesIO(b"".join(plan.apply(instance(path), SUBJECT).parts)))
    assert comparable(made) == comparable(ours)
