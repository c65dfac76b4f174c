"""The standard's tables: the generated recipes follow them row by row, and what is not the known table is refused."""

import csv
import hashlib
from itertools import combinations
from pathlib import Path

import pytest
from encoded import explicit, image, implicit, instance, items, sequence
from hypothesis import given
from hypothesis import strategies as st

from scp import dictionary
from scp.dataset import DataSet, read
from scp.deidentify import generate, profile
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.fields import NEVER
from scp.deidentify.functions.dummy import TEXTS
from scp.deidentify.functions.shift import days
from scp.deidentify.plan import Plan
from scp.deidentify.profile import OPTIONS, Option, Row
from scp.deidentify.recipe import FOLDER, RecipeError, load
from scp.instance import Subject
from scp.outcome import Failure, Outcome
from scp.table import Element, find

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
NEEDLE = b"QZNEEDLE"
KEPT_SEQUENCE = 0x00209116  # PlaneOrientationSequence, which no row of the table names
NAMED = [row for row in profile.rows() if row.tag is not None and row.tag >> 16 not in NEVER]
IN_OPTIONS = [(row, option) for option in OPTIONS for row in NAMED if row.options[option.name]]
VALUES = {
    "AE": b"QZNEEDLE", "AS": b"071Y", "CS": b"QZNEEDLE", "DA": b"19521130", "DS": b"7.7654321", "DT": b"19521130134502",
    "IS": b"76543210", "LO": b"T1 QZNEEDLE", "LT": b"T1 QZNEEDLE", "PN": b"DOE^QZNEEDLE", "SH": b"T1 QZNEEDLE",
    "ST": b"T1 QZNEEDLE", "TM": b"134502", "UC": b"T1 QZNEEDLE", "UI": b"1.2.826.77.4711", "UR": b"https://QZNEEDLE/a",
    "UT": b"T1 QZNEEDLE",
}  # fmt: skip
SINGLE = {"LT", "ST", "UR", "UT"}


def plan_of(names: str) -> Plan:
    return compile_plan(load(names), Policy({}))


BASIC = plan_of("basic")
WITH = {option.name: plan_of(f"basic,{option.name}") for option in OPTIONS}


def vr_of(row: Row) -> str:
    attribute = dictionary.find(row.tag or 0)
    return attribute.vrs[0] if attribute else "LO"


def sent_value(row: Row, *, several: bool = False, vrs: bool = True) -> bytes:
    """A value of the row's VR with something in it that must not stay."""
    vr = vr_of(row)
    if vr == "SQ":
        name = explicit(0x00100010, "PN", NEEDLE) if vrs else implicit(0x00100010, NEEDLE)
        return items([name] * (2 if several else 1))
    value = VALUES.get(vr, NEEDLE)
    if several and vr in VALUES and vr not in SINGLE:
        value += b"\\" + value
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) & 1)


def made(plan: Plan, *elements: bytes) -> DataSet:
    """The de-identified data set, read again."""
    data = b"".join(plan.apply(instance(image(*elements)), SUBJECT).parts)
    return read(data[144 + int.from_bytes(data[140:144], "little") :], explicit=True)


def outcomes(plan: Plan, row: Row) -> dict[str, tuple[bytes, Element | None, DataSet]]:
    """What becomes of a row's attribute in each place: what was sent, what came, and the data set it stands in."""
    tag, vr = row.tag or 0, vr_of(row)
    here = explicit(tag, vr, sent_value(row))
    unknown = explicit(tag, "UN", sent_value(row, vrs=False))
    single = tag in {0x00080018, 0x0020000E}  # they name the instance and its series, so there is one of them
    many = explicit(tag, vr, sent_value(row, several=not single))
    top, as_unknown, several = made(plan, here), made(plan, unknown), made(plan, many)
    inside = made(plan, sequence(KEPT_SEQUENCE, here))
    holder = inside.find(KEPT_SEQUENCE)
    assert holder is not None
    (item,) = inside.nested[holder.start].items
    return {
        "top": (sent_value(row), top.find(tag), top),
        "nested": (sent_value(row), find(item.elements, tag), inside),
        "in UN": (sent_value(row), as_unknown.find(tag), as_unknown),
        "several": (sent_value(row, several=not single), several.find(tag), several),
    }


def value(element: Element | None, within: DataSet) -> bytes:
    assert element is not None
    return bytes(within.data[element.value : element.end])


def check_basic(row: Row, sent: bytes, came: Element | None, within: DataSet) -> None:
    line = generate.basic_line(row)
    verb, *_, function = line.split()
    if row.basic == "X" or verb == "REMOVE":
        assert came is None
        return
    found, vr = value(came, within), vr_of(row)
    assert NEEDLE not in found
    assert came is not None
    assert came.vr == vr
    if verb == "BLANK":
        assert found == b""
    elif function == "func:uid":
        assert all(one.startswith(b"2.25.") for one in found.split(b"\\"))
    elif function in {"func:patient_pseudonym", "func:visit_number"}:
        assert found.strip() in {SUBJECT.pseudonym.encode(), SUBJECT.scan_research_id.encode()}
    elif vr in TEXTS:
        assert {one.strip() for one in found.split(b"\\")} == {TEXTS[vr].encode()}
        assert found.count(b"\\") == sent.count(b"\\")
    else:
        assert found
        assert found != sent


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.pattern)
def test_every_row_has_its_basic_outcome_everywhere(row: Row) -> None:
    for sent, came, within in outcomes(BASIC, row).values():
        check_basic(row, sent, came, within)


def check_option(row: Row, option: Option, sent: bytes, came: Element | None, within: DataSet) -> None:
    line = generate.option_line(row, option)
    if not line:
        check_basic(row, sent, came, within)
        return
    if option.name == "clean-graphics":
        assert came is None  # nothing is drawn in it; test_graphics.py has annotations that draw
        return
    found, vr = value(came, within), vr_of(row)
    if vr == "SQ":
        assert found
        assert NEEDLE not in found
    elif line.startswith("KEEP"):
        assert found == sent
    elif line.endswith("func:description"):
        assert {one.strip() for one in found.split(b"\\")} <= {b"T1", b"T1 T1"}
    else:
        assert line.endswith("func:date_shift")
        assert (found == sent) == (vr == "TM")
        assert len(found) == len(sent) or vr == "SH"


@pytest.mark.parametrize(("row", "option"), IN_OPTIONS, ids=lambda one: getattr(one, "pattern", None) or one.name)
def test_every_row_of_an_option_has_that_option_s_outcome_everywhere(row: Row, option: Option) -> None:
    for sent, came, within in outcomes(WITH[option.name], row).values():
        check_option(row, option, sent, came, within)


@pytest.mark.parametrize("tag", [0x50000010, 0x501E3000, 0x60000010, 0x60003000, 0x601E4000, 0x60000022])
@pytest.mark.parametrize("names", ["basic", "basic,clean-graphics", "research-mri", "mip"])
def test_curves_and_overlays_go(tag: int, names: str) -> None:
    assert made(plan_of(names), explicit(tag, "OW", NEEDLE)).find(tag) is None


@pytest.mark.parametrize("names", ["basic", "research-mri", "basic,retain-safe-private"])
@pytest.mark.parametrize("vr", ["LO", "UN", "OB", "UT"])
def test_unknown_private_attributes_go(names: str, vr: str) -> None:
    creator = explicit(0x00290010, "LO", "QZNEEDLE MAKER")
    left = made(plan_of(names), creator, explicit(0x00291001, vr, NEEDLE))
    assert left.find(0x00290010) is left.find(0x00291001) is None
    assert NEEDLE not in bytes(left.data)


def test_commands_and_file_meta_information_are_never_read_and_directories_go() -> None:
    rows = [row for row in profile.rows() if row.tag is not None and row.tag >> 16 in NEVER]
    assert len(rows) + len(NAMED) == 652
    for row in rows:
        element = explicit(row.tag or 0, "LO", NEEDLE)
        if (row.tag or 0) >> 16 <= 2:
            with pytest.raises(Failure) as error:
                instance(image(element))
            assert error.value.outcome is Outcome.MALFORMED
        else:
            assert made(BASIC, element).find(row.tag or 0) is None


@pytest.mark.parametrize("safe", profile.safe_private().values(), ids=lambda one: f"{one.creator}-{one.element:02X}")
def test_safe_private_attributes_stay_with_the_option_only(safe: profile.SafePrivate) -> None:
    vr = dictionary.private_vr(safe.group, safe.creator, safe.element) or safe.vr
    if vr in {"", "UN", "OB or OW"} or len(vr) > 2:
        vr = safe.vr or "UN"
    tag = safe.group << 16 | 0x1000 | safe.element
    inner = items([]) if vr == "SQ" else {"UI": b"1.2.3.77"}.get(vr, b"77  " * 2)
    sent = explicit(safe.group << 16 | 0x10, "LO", safe.creator), explicit(tag, vr, inner)
    assert made(BASIC, *sent).find(tag) is None
    kept = WITH["retain-safe-private"].private.get((safe.group, safe.creator, safe.element))
    came = made(WITH["retain-safe-private"], *sent).find(tag)
    assert (came is None) == (kept is None)
    if came and vr == "UI":
        assert b"1.2.3.77" not in bytes(made(WITH["retain-safe-private"], *sent).data)


def test_nearly_all_safe_private_attributes_are_known() -> None:
    assert len(WITH["retain-safe-private"].private) == 472


# The recipes as files


def test_generating_again_changes_nothing() -> None:
    for path, text in generate.recipes().items():
        assert (FOLDER / path).read_text("ascii") == text, path
    assert {path.name for path in (FOLDER / "options").glob("*")} == {f"{option.name}.dicom" for option in OPTIONS}


def test_generating_writes_what_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "options").mkdir()
    generate.main(tmp_path)
    assert (tmp_path / "basic.dicom").read_bytes() == (FOLDER / "basic.dicom").read_bytes()
    assert len(capsys.readouterr().out.splitlines()) == 12


def test_every_line_of_a_generated_recipe_names_a_tag() -> None:
    for line in (FOLDER / "basic.dicom").read_text("ascii").split("%header")[1].splitlines():
        assert line == "" or "(" in line


def test_all_options_together_compile_and_say_their_codes() -> None:
    names = [option.name for option in OPTIONS if option.name != "retain-full-dates"]
    left = made(plan_of(",".join(["basic", *names])))
    method = left.find(0x00120064)
    for code in ("113100", "113103", "113104", "113105", "113107", "113108", "113109", "113110", "113111", "113112"):
        assert code.encode() in value(method, left)
    assert b"113106" not in value(method, left)
    assert left.text(0x00280303) == "MODIFIED"
    assert left.text(0x00120062) == "YES"
    assert "Retain Institution Identity Option" in left.text(0x00120063).split("\\")


@pytest.mark.parametrize(
    ("names", "codes", "times"),
    [
        ("basic", ["113100"], "REMOVED"),
        ("basic,retain-full-dates", ["113100", "113106"], "UNMODIFIED"),
        ("basic,modified-dates", ["113100", "113107"], "MODIFIED"),
        ("research-mri", ["113100", "113105", "113107", "113108", "113111"], "MODIFIED"),
        ("mip", ["113100", "113105", "113107", "113108", "113111"], "MODIFIED"),
        ("mip-strict", ["113100", "113105", "113107", "113108"], "MODIFIED"),
    ],
)
def test_an_object_says_what_was_applied(names: str, codes: list[str], times: str) -> None:
    left = made(plan_of(names), explicit(0x00120064, "SQ", items([explicit(0x00080100, "SH", "113110")])))
    method = left.find(0x00120064)
    assert method is not None
    said = [item.elements for item in left.nested[method.start].items]
    assert [value(elements[0], left).decode() for elements in said] == codes
    assert {value(elements[1], left) for elements in said} == {b"DCM "}
    assert [value(elements[2], left).decode().strip() for elements in said] == [profile.MEANINGS[one] for one in codes]
    assert left.text(0x00280303) == times


def test_uids_are_retained_only_with_their_option_and_only_if_they_are_uids() -> None:
    retained = WITH["retain-uids"].apply(instance(image()), SUBJECT)
    assert retained.sop_instance_uid == "1.2.3.4.5"
    assert retained.series_uid == "1.2.3.2"
    with pytest.raises(Failure) as error:
        WITH["retain-uids"].apply(instance(image(explicit(0x00080018, "UI", "DOE^JOHN"))), SUBJECT)
    assert error.value.outcome is Outcome.NOT_DEIDENTIFIED
    assert "DOE" not in str(error.value)
    assert BASIC.apply(instance(image()), SUBJECT).sop_instance_uid.startswith("2.25.")


@pytest.mark.parametrize("names", [option.name for option in OPTIONS])
def test_an_option_without_a_profile_is_refused(names: str) -> None:
    with pytest.raises(RecipeError):
        plan_of(names)


@pytest.mark.parametrize(("one", "other"), list(combinations([option.name for option in OPTIONS], 2)))
def test_any_two_options_go_together_by_name_but_for_both_kinds_of_dates(one: str, other: str) -> None:
    names = f"basic,{one},{other}"
    if {one, other} == {"retain-full-dates", "modified-dates"}:
        with pytest.raises(RecipeError, match="not both"):
            plan_of(names)
        return
    codes = {option.code for option in OPTIONS if option.name in {one, other}}
    left = made(plan_of(names))
    assert all(code.encode() in value(left.find(0x00120064), left) for code in codes | {profile.BASIC_CODE})


def test_full_and_modified_dates_exclude_each_other() -> None:
    with pytest.raises(RecipeError, match="not both"):
        plan_of("basic,retain-full-dates,modified-dates")


# research-mri


def test_research_mri_keeps_no_text_that_no_line_names() -> None:
    plan = plan_of("research-mri")
    named = set(generate._KEPT)
    for tag, attribute in dictionary.ATTRIBUTES.items():
        if tag >> 16 in NEVER or attribute.vrs[0] not in {"LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "AE", "UI"}:
            continue
        action = plan.decisions[tag].action.value
        explained = plan.decisions[tag].rule
        assert action != "kept as sent" or attribute.keyword in named or (explained and explained.because), attribute


def test_research_mri_moves_dates_and_groups_the_oldest() -> None:
    born = explicit(0x00100030, "DA", "19200101"), explicit(0x00101010, "AS", "099Y")
    scanned = explicit(0x00080020, "DA", "20250917"), explicit(0x00080022, "DA", "20250920")
    left = made(plan_of("research-mri"), *born, *scanned)
    assert left.text(0x00101010) == "090Y"
    assert left.text(0x00100030) == ""
    assert left.text(0x00080020) != "20250917"
    assert 1 <= -days(SUBJECT.secret) <= 3652
    assert NEEDLE not in bytes(left.data)


@given(st.sampled_from(NAMED), st.binary(min_size=9, max_size=40))
def test_research_mri_never_falls_over_a_value(row: Row, sent: bytes) -> None:
    vr = vr_of(row)
    if vr == "SQ":
        return
    sent += b" " * (len(sent) & 1)
    try:
        left = made(plan_of_research(), explicit(row.tag or 0, vr, sent))
    except Failure as failure:  # an escape no character set has, a value that only captures have, text that is none
        refused = {Outcome.MALFORMED, Outcome.PIXELS_WITHHELD, Outcome.NOT_DEIDENTIFIED}
        assert failure.outcome in refused  # noqa: PT017  either this or a result
        return
    assert left.text(0x00120062) == "YES"


def plan_of_research(cached: list[Plan] = []) -> Plan:  # noqa: B006  compiled once
    if not cached:
        cached.append(plan_of("research-mri"))
    return cached[0]


# The tables


def test_the_tables_are_the_ones_of_the_provenance() -> None:
    said = (profile.FOLDER / "README.md").read_text()
    for name in ("e.1-1", "e.3.10-1", "e.3.4-1"):
        assert hashlib.sha256((profile.FOLDER / f"{name}.csv").read_bytes()).hexdigest() in said


def test_the_counts_of_the_table() -> None:
    codes = [row.basic for row in profile.rows()]
    counts = {code: codes.count(code) for code in dict.fromkeys(codes)}
    assert counts == {"X": 416, "D": 93, "U": 55, "Z": 42, "X/D": 23, "X/Z": 11, "X/Z/D": 8, "Z/D": 6, "X/Z/U*": 2}
    options = {option.name: sum(bool(row.options[option.name]) for row in profile.rows()) for option in OPTIONS}
    assert options["modified-dates"] == options["retain-full-dates"] == 169
    assert options["clean-descriptors"] == 140
    assert options["retain-uids"] == 60
    assert [row for row in NAMED if dictionary.find(row.tag or 0) is None] == []


def test_what_the_dictionary_has_beyond_pydicom_s_says_where_from() -> None:
    with (profile.FOLDER / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["tag"] for row in rows if row["source"] != "ExifTool 13.59"} == {"0040E012"}
    by_tag = profile.by_tag()
    for row in rows:
        attribute = dictionary.find(int(row["tag"], 16))
        assert attribute is not None
        assert (attribute.keyword, attribute.vrs) == (row["keyword"], (row["vr"],))
        named = by_tag[int(row["tag"], 16)].name.replace(" ", "").lower()
        assert row["keyword"].lower() == named
    unverified = by_tag[0x0040E012]
    assert (unverified.basic, set(unverified.options.values())) == ("X", {""})


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda text: text.replace(",Basic Prof.,", ",Basic,"), "not the columns"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "655 rows"),
        (lambda text: text.replace("N,Y,X/Z/D,", "N,Y,X/Q,", 1), "a code that PS3.15 does not define"),
        (lambda text: text.replace("N,Y,U,,K,", "N,Y,U,,Q,", 1), "a code that PS3.15 does not define"),
        (lambda text: text.replace("(0008,0050)", "(0018,4000)", 1), "stands there twice"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, damage: object, sentence: str) -> None:
    assert callable(damage)
    path = tmp_path / "table.csv"
    path.write_text(damage((profile.FOLDER / "e.1-1.csv").read_text()))
    with pytest.raises(ValueError, match=sentence):
        profile.rows(path)


def test_another_table_of_safe_private_attributes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join((profile.FOLDER / "e.3.10-1.csv").read_text().splitlines()[:-1]))
    with pytest.raises(ValueError, match=r"not Table E\.3\.10-1"):
        profile.safe_private(path)


def test_a_dummy_item_is_a_data_set() -> None:
    for row in NAMED:
        if vr_of(row) == "SQ" and generate.basic_line(row).endswith("func:dummy"):
            left = made(BASIC, explicit(row.tag or 0, "SQ", sent_value(row)))
            element = left.find(row.tag or 0)
            assert element is not None
            (item,) = left.nested[element.start].items
            assert item.elements
