"""The gate for the neuroimager: dcm2niix says of what leaves what it said of what came, dciodvfy finds no new error.

Over phantoms with the private blocks of four makers everywhere, and over public scans where they are at hand.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pydicom
import pytest
import scanners
from factories import file_meta
from imaging import conversions, header, leaks, needles
from pydicom.data import get_testdata_files
from test_sample_files import NOT_TAKEN, instance

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import load
from scp.outcome import Failure

pytestmark = pytest.mark.filterwarnings("ignore")  # scanners write longer than they may

REAL = Path(__file__).parents[3] / "shared" / "data"
RECIPES = ("research-mri", "mip")
OPTIONS = sorted(path.stem for path in (Path(__file__).parents[2] / "deid_recipes" / "options").iterdir())

# What a sidecar may say differently: who and when, and text that no list of words lets through.
TOKENS = {"PatientID", "PatientName", "PatientBirthDate", "StudyID", "StudyInstanceUID", "SeriesInstanceUID"}
IDENTITY = TOKENS | {
    "AccessionNumber", "DeviceSerialNumber", "InstitutionAddress", "InstitutionName", "InstitutionalDepartmentName",
    "ReferringPhysicianName", "StationName", "AcquisitionDateTime",
}  # fmt: skip
DESCRIPTIONS = {"ProcedureStepDescription", "ProtocolName", "SeriesDescription", "StudyDescription", "ImageComments"}
PRIVATE_TEXT = {
    "CoilString", "ConsistencyInfo", "ImageOrientationText", "PrescanReuseString", "PulseSequenceDetails",
    "ReceiveCoilActiveElements", "ReceiveCoilName", "SequenceName", "WipMemBlock",
}  # fmt: skip
OF_ITSELF = {"DeidentificationMethod", "DeidentificationMethodCodeSequence"}
MAY_DIFFER = {"research-mri": IDENTITY | DESCRIPTIONS | PRIVATE_TEXT | OF_ITSELF}
# The list of the MIP is shorter: no times, no state of the patient or of the machine on that day.
MAY_DIFFER["mip"] = MAY_DIFFER["research-mri"] | {
    "AcquisitionDuration", "AcquisitionTime", "BidsGuess", "DwellTime", "EstimatedEffectiveEchoSpacing",
    "EstimatedTotalReadoutTime", "ImageTypeText", "NonlinearGradientCorrection", "PatientSize", "PatientWeight",
    "PulseSequenceType", "SAR", "ScanOptions", "ScanningSequence", "SequenceVariant", "ShimSetting",
    "SpoilingState", "TablePosition", "WaterFatShift",
}  # fmt: skip
MATTERS = {
    "EchoTime", "RepetitionTime", "FlipAngle", "InversionTime", "SliceTiming", "PhaseEncodingDirection", "EchoNumber",
    "EffectiveEchoSpacing", "TotalReadoutTime", "MultibandAccelerationFactor", "PartialFourier", "BaseResolution",
    "BandwidthPerPixelPhaseEncode", "ParallelReductionFactorInPlane", "PhilipsRescaleSlope", "PhilipsScaleSlope",
    "SliceThickness", "SpacingBetweenSlices", "AcquisitionMatrixPE", "ReconMatrixPE", "PixelBandwidth",
}  # fmt: skip

# What of the public scans dcm2niix cannot fully convert as it came, and why; compared is all that it makes.
DEFECTIVE = {
    "philips-epi-dwi 601": "40 of its 70 images: dcm2niix warns of missing ones and writes no sidecar",
}
NO_IMAGES = {"siemens-xa-enhanced 99": "structured reports"}


def real_series():
    """The files of each public series by folder and number, in a stable order; the same number twice gets a letter."""
    found = {}
    for path in sorted(REAL.rglob("*")) if REAL.is_dir() else ():
        if path.is_file() and "licences" not in path.parts and path.suffix != ".md":
            dataset = pydicom.dcmread(path, specific_tags=["SeriesInstanceUID", "SeriesNumber", "Manufacturer"])
            name = f"{path.relative_to(REAL).parts[0]} {dataset.SeriesNumber}"
            found.setdefault((name, dataset.SeriesInstanceUID), (dataset.Manufacturer, []))[1].append(path)
    twice = Counter(name for name, _ in found)
    return {
        f"{name} {maker.split()[0]}" if twice[name] > 1 else name: files for (name, _), (maker, files) in found.items()
    }


SERIES = real_series()


@pytest.fixture(scope="session")
def plans():
    """The plans of recipes, compiled once."""
    made = {}

    def plan(name):
        if name not in made:
            made[name] = compile_plan(load(name), Policy({}))
        return made[name]

    return plan


def phantom(name, folder):
    """The files of a phantom series."""
    folder.mkdir()
    for number, dataset in enumerate(scanners.SERIES[name]()):
        dataset.file_meta = file_meta(dataset)
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return sorted(folder.iterdir())


def written(plan, files, subject, folder):
    """The files as they leave."""
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number:06d}.dcm").write_bytes(b"".join(plan.apply(instance(file), subject).parts))
    return sorted(folder.iterdir())


def differences(before, after, may_differ):
    """(file, field, before, after) of all that differs and may not."""
    assert sorted(after) == sorted(before)
    return [
        (name, field, before[name].get(field), after[name].get(field))
        for name in before
        for field in sorted({*before[name], *after[name]} - (may_differ if name.endswith(".json") else set()))
        if before[name].get(field) != after[name].get(field)
    ]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", scanners.SERIES)
def test_dcm2niix_says_the_same_of_a_phantom(plans, name, recipe, subject, tmp_path):
    came = phantom(name, tmp_path / "phantom")
    left = written(plans(recipe), came, subject, tmp_path / "left")
    before, after = conversions(came, tmp_path / "before"), conversions(left, tmp_path / "after")
    assert before
    assert differences(before, after, MAY_DIFFER[recipe]) == []
    told = {field for said in before.values() for field in said}
    assert {"EchoTime", "RepetitionTime", "voxels"} <= told
    assert told & {"SliceTiming", "PhaseEncodingDirection", "b-values"}
    words = [scanners.BURIED.encode(), scanners.SERIAL.encode(), scanners.DATE.encode(), *needles(came)]
    assert leaks(set(words), {file.name: header(file) for file in left}) == []


def test_what_may_differ_is_nothing_that_matters():
    assert not any(fields & MATTERS for fields in MAY_DIFFER.values())


@pytest.mark.debian
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", SERIES or ["no public scans: the phantoms have to do"])
def test_dcm2niix_says_the_same_of_a_public_scan(plans, name, recipe, subject, tmp_path):
    came = SERIES.get(name) or phantom("GE EPI", tmp_path / "phantom")
    left = written(plans(recipe), came, subject, tmp_path / "left")
    before, after = conversions(came, tmp_path / "before"), conversions(left, tmp_path / "after")
    assert bool(before) == (name not in NO_IMAGES)
    assert differences(before, after, MAY_DIFFER[recipe]) == []
    assert any(file.endswith(".json") for file in before) == (name not in {*DEFECTIVE, *NO_IMAGES})
    assert leaks(needles(came) | words_of(came, left), {file.name: header(file) for file in left}) == []


def words_of(came, left):
    """Descriptions that were sent and are not what leaves."""
    found = set()
    for before, after in zip(came[:1], left[:1], strict=True):
        sent, stays = (pydicom.dcmread(file, stop_before_pixels=True) for file in (before, after))
        for keyword in ("ProtocolName", "SeriesDescription", "StudyDescription"):
            text = str(sent.get(keyword, ""))
            if len(text) >= 6 and text != stays.get(keyword):
                found.add(text.encode("utf-8"))
    return found


# dciodvfy

_NOT_ITS_SUBJECT = "the recipe's list describes images, and what else such an object needs is not on it"
# Objects that may have new errors, by recipe and SOP Class, and why.
EXCEPTIONS = {
    ("mip", "Enhanced SR Storage"): _NOT_ITS_SUBJECT,
    ("mip", "Comprehensive SR Storage"): _NOT_ITS_SUBJECT,
    ("mip", "Basic Text SR Storage"): _NOT_ITS_SUBJECT,
    ("mip", "RT Plan Storage"): _NOT_ITS_SUBJECT,
    ("mip", "RT Dose Storage"): _NOT_ITS_SUBJECT,
    ("mip", "Segmentation Storage"): _NOT_ITS_SUBJECT,
    ("mip", "12-lead ECG Waveform Storage"): _NOT_ITS_SUBJECT,
}
# The literal list of the MIP leaves out Modality, SeriesInstanceUID and more: objects of mip-strict are incomplete, and
# that is all that they are.
INCOMPLETE = re.compile(r"Missing attribute|is required for|Unrecognized enumerated value|is not present in dataset")


def errors(file):
    """How often dciodvfy finds each error, wherever in a sequence."""
    done = subprocess.run(["dciodvfy", "-new", file], check=False, capture_output=True, timeout=120)
    lines = (done.stderr + done.stdout).decode("utf-8", "replace").splitlines()
    return Counter(_where(line) for line in lines if line.startswith("Error"))


def _where(line):
    """The error without item numbers and values."""
    line = re.sub(r"\[\d+\]", "", line)
    return re.sub(r" - Module=<.*| = <[^>]*>|(?<=value )<[^>]*>", "", line)


def objects(folder):
    """Some instances of every series: public scans, phantoms, and the files that pydicom brings."""
    for files in SERIES.values():
        yield from {files[0], files[len(files) // 2], files[-1]}
    for name in scanners.SERIES:
        yield phantom(name, folder / name.replace(" ", "-"))[0]
    for path in map(Path, sorted(get_testdata_files())):
        if "test_files" in path.parts and path.suffix == ".dcm" and _is_taken(path):
            yield path


def _is_taken(path):
    try:
        meta = pydicom.dcmread(path, specific_tags=[]).file_meta
    except (pydicom.errors.InvalidDicomError, ValueError, NotImplementedError):
        return False
    if not {"TransferSyntaxUID", "FileMetaInformationGroupLength", "MediaStorageSOPInstanceUID"} <= set(meta.dir()):
        return False
    return meta.TransferSyntaxUID not in NOT_TAKEN


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    """Every object that is taken, with dciodvfy's errors before."""
    folder = tmp_path_factory.mktemp("verified")
    found = []
    for path in objects(folder):
        try:
            came = instance(path)
        except Failure:
            continue
        if came.dataset.text(0x00080018):
            found.append((path, came, errors(path)))
    return found


@pytest.mark.debian
@pytest.mark.parametrize("recipe", [*RECIPES, "mip-strict", "basic", *(f"basic,{option}" for option in OPTIONS)])
def test_dciodvfy_finds_no_new_error(plans, recipe, verified, subject, tmp_path):
    found, left = {}, 0
    for path, came, before in verified:
        file = tmp_path / "left.dcm"
        try:
            file.write_bytes(b"".join(plans(recipe).apply(came, subject).parts))
        except Failure:
            continue  # what goes to quarantine is no object that leaves
        left += 1
        new = sorted(errors(file) - before)
        if recipe == "mip-strict":
            new = [line for line in new if not INCOMPLETE.search(line)]
        if new and (recipe, pydicom.uid.UID(came.arrival.sop_class_uid).name) not in EXCEPTIONS:
            found[path.name] = new
    assert found == {}
    assert left > 60
