"""The recipes that deid itself brings compile once their own mistakes are mended, and do what they say."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import deid
import pydicom
import pytest
from deid.config import DeidRecipe
from encoded import explicit, image, instance

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import RecipeError, read
from scp.instance import Subject

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
FOLDER = Path(deid.__file__).parent / "data"
VARIABLES = {"entity_timestamp": "19000101", "item_timestamp": "19000102"}
NEEDED = "\n%header\n# because: a test\nKEEP SOPClassUID\nREPLACE SOPInstanceUID func:uid\n"
TWICE = "REMOVE PerformingPhysicianName"
HEADER = [
    "ADD IssuerOfPatientID STARR",
    "ADD PatientID var:entity_id",
    "ADD AccessionNumber var:item_id",
    "REMOVE PatientsName",  # no keyword: deid passes over it
    "REMOVE jitter",  # nor is this
    "REMOVE endswith:time",  # as endswith:Time does
    TWICE,
]
"""Lines that say what another one has said, or nothing."""
MENDED: Mapping[str, tuple[list[str], int, int]] = {
    "deid.dicom": (["+ contains Manfacturer ADAC", "+ contains Manufacture MEDRAD", *HEADER], 50, 100),
    "deid.dicom.ultrasound": (HEADER, 50, 3),
    "deid.dicom.xray.chest": ([], 0, 1),
}
"""For each the lines that are left out, and how many rules and labels are left at least."""


def without(name: str, lines: list[str], folder: Path) -> Path:
    """The recipe without these lines: of a pair the second one."""
    kept: list[str] = []
    seen: set[str] = set()
    for line in (FOLDER / name).read_text().split("\n"):
        first = line == TWICE and line not in seen
        seen.add(line)
        kept.append(f"# {line}" if line.strip() in lines and not first else line)
    path = folder / name
    path.write_text("\n".join(kept) + NEEDED)
    return path


@pytest.mark.parametrize("name", MENDED)
def test_it_compiles_and_every_line_of_it_counts(name: str, tmp_path: Path) -> None:
    lines, rules, labels = MENDED[name]
    path = without(name, lines, tmp_path)
    recipe = read(path)
    by_deid = DeidRecipe(str(path))
    assert [(rule.verb, rule.name) for rule in recipe.rules] == [
        (action["action"], action["field"]) for action in by_deid.get_actions()]  # fmt: skip
    assert len(recipe.labels) == sum(map(len, (by_deid.get_filters() or {}).values()))
    assert len(recipe.rules) >= rules
    assert len(recipe.labels) >= labels
    assert compile_plan(recipe, Policy({}, VARIABLES)).pixels.rulings


@pytest.mark.parametrize("name", [name for name, (lines, _, _) in MENDED.items() if lines])
def test_each_mistake_stops_the_start(name: str, tmp_path: Path) -> None:
    lines = MENDED[name][0]
    for line in lines:
        path = without(name, [one for one in lines if one != line], tmp_path)
        with pytest.raises(RecipeError, match=r"is no keyword|has a rule for this field already"):
            compile_plan(read(path), Policy({}, VARIABLES))


@pytest.mark.filterwarnings("ignore")
def test_it_removes_what_it_names(tmp_path: Path) -> None:
    path = without("deid.dicom", MENDED["deid.dicom"][0], tmp_path)
    path.write_text(path.read_text().replace("%header", "%labels\nADD pixels_otherwise quarantine\n%header", 1))
    plan = compile_plan(read(path), Policy({}, VARIABLES))
    data = image(
        explicit(0x00100010, "PN", "DOE^JOHN"), explicit(0x00080031, "TM", "134502"),
        explicit(0x00081048, "PN", "LINDGREN^ASTRID"), explicit(0x00080020, "DA", "20250302"),
        explicit(0x00280301, "CS", "NO"), explicit(0x00080060, "CS", "MR"),
    )  # fmt: skip
    made = pydicom.dcmread(BytesIO(b"".join(plan.apply(instance(data), SUBJECT).parts)))
    assert {"PatientName", "SeriesTime", "PhysiciansOfRecord"}.isdisjoint(made.dir())
    assert made.StudyDate == VARIABLES["item_timestamp"]
    assert made.SOPClassUID.endswith("1.1.4")
