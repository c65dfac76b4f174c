"""The residual guard: what a recipe forgot of an instance's own values does not leave, and nothing else is held up."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from struct import pack

import pytest
from encoded import explicit, image, implicit, instance, sequence
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sample_files import GOOD
from test_sample_files import instance as sample

from scp import dictionary
from scp.deidentify import needles
from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.functions.original import Original
from scp.deidentify.needles import Kind, Needles, Recent, collect, identifying
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import RecipeError, find, load
from scp.deidentify.recipe import read as read_recipe
from scp.instance import Instance, Subject
from scp.outcome import Failure, Outcome

SUBJECT = Subject("Pq7kLm20Xy", "4820117365", b"\x07" * 32)
COMMENTS, SEQUENCE_NAME, MODEL, STATION = 0x00204000, 0x00180024, 0x00081090, 0x00081010
LAX = """REMOVE ALL
KEEP ImageComments
KEEP SequenceName
KEEP ManufacturerModelName
KEEP Manufacturer
KEEP ImageType
KEEP SliceThickness
KEEP SpecificCharacterSet
KEEP RequestAttributesSequence
KEEP StudyDescription
KEEP 0029,"SIEMENS CSA HEADER",10
KEEP PixelData
KEEP Rows
KEEP Columns
KEEP BitsAllocated
KEEP SamplesPerPixel
ADD InstitutionName CHUV Lausanne
REPLACE StudyDate func:date_month"""
NAME = explicit(0x00100010, "PN", "NEEDLEWORTH^ANNA MARIA^^DR")
UTF_8 = explicit(0x00080005, "CS", "ISO_IR 192")


@pytest.fixture(scope="module")
def lax(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Keeps free text as no recipe should."""
    path = tmp_path_factory.mktemp("lax") / "lax.dicom"
    path.write_text(
        f"FORMAT dicom\n%header\n# because: a test\nKEEP SOPClassUID\n{LAX}\nREPLACE SOPInstanceUID func:uid\n"
    )
    return compile_plan(read_recipe(path), Policy({}))


def refusal(plan: Plan, *elements: bytes, **pixels: bytes) -> str:
    """Why the image with these elements does not leave; empty where it does."""
    failure = failed(plan, instance(image(*elements, **pixels)))
    if failure is None:
        return ""
    assert failure.outcome is Outcome.RESIDUAL
    return failure.why


def failed(plan: Plan, given_: Instance) -> Failure | None:
    try:
        plan.apply(given_, SUBJECT)
    except Failure as failure:
        return failure
    return None


def comment(text: str | bytes) -> bytes:
    return explicit(COMMENTS, "LT", text)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        (NAME, "seen by needleworth"),
        (NAME, "ANNA was calm"),
        (NAME, "Maria"),
        (NAME, "AnnaNeedleworth"),
        (NAME, "needleworthanna!"),
        (NAME, "NEEDLEWORTH7"),
        (NAME, "N\0E\0E\0D\0L\0E\0W\0O\0R\0T\0H\0"),
        (NAME, "\0N\0E\0E\0D\0L\0E\0W\0O\0R\0T\0H"),
        (explicit(0x00100010, "PN", "LI^WEI"), "LIWEI"),
        (explicit(0x00100010, "PN", "LI^WEI"), "was WEI LI"),
        (explicit(0x00080090, "PN", "OTHERHAND^EVE\\THIRDHAND^EVE"), "ask Thirdhand"),
        (explicit(0x00100020, "LO", "AB-12-34"), "(AB-12-34)"),
        (explicit(0x00100020, "LO", "AB-12-34"), "xab1234x"),
        (explicit(0x00100020, "LO", "P17"), "P17 again"),
        (explicit(0x00100020, "LO", "7741960"), "no 7741960"),
        (explicit(0x00080050, "SH", "ACC00918"), "acc00918"),
        (explicit(0x00181000, "LO", "SN-4411-Z"), "SN4411Z"),
        (explicit(0x00080081, "ST", "12 Needle Lane\r\nNeedletown"), "of needletown"),
        (explicit(0x00102154, "SH", "+41 79 555 01 23"), "call 41795550123"),
        (explicit(0x00100030, "DA", "19540312"), "born 1954-03-12"),
        (explicit(0x00100030, "DA", "19540312"), "born 12.03.1954"),
        (explicit(0x00100030, "DA", "19540312"), "born 03/12/1954"),
        (explicit(0x0008002A, "DT", "20240229101112.5"), "on 20240229"),
        (explicit(0x0008002A, "DT", "20240229101112.5"), "at 20240229 and later"),
        (explicit(0x00080020, "DA", "20240229"), "20240229101112"),
        (explicit(0x00200052, "UI", "1.3.12.2.1107.5.2.43.66012.1"), "see 1.3.12.2.1107.5.2.43.66012.1"),
        (sequence(0x00081110, explicit(0x00081155, "UI", "1.2.840.99.1.5")), "1.2.840.99.1.5"),
    ],
)
def test_what_was_forgotten_is_named_and_stays(lax: Plan, source: bytes, left: str) -> None:
    why = refusal(lax, source, comment(left))
    tag = int.from_bytes(source[:2], "little") << 16 | int.from_bytes(source[2:4], "little")
    assert why.endswith("stands in (0020,4000) ImageComments")
    assert dictionary.write(tag) in why or "ReferencedSOPInstanceUID" in why
    assert not any(word.casefold() in why.casefold() for word in left.split() if len(word) > 3)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        (NAME, "Annalena went home"),
        (NAME, "a needleworthy effort"),
        (explicit(0x00100010, "PN", "LI^WEI"), "list of LI"),
        (explicit(0x00100010, "PN", "PHANTOM^TEST"), "a phantom test"),
        (explicit(0x00081070, "PN", "DUMMY"), "DUMMY"),  # our own, sent once more
        (explicit(0x00100010, "PN", "AXIAL^SAG"), "axial and sag"),
        (explicit(0x00100020, "LO", "17"), "17 of 30"),
        (explicit(0x00100020, "LO", "774196"), "7741960 and 1.774196"),
        (explicit(0x00100020, "LO", "000000"), "000000"),
        (explicit(0x00100030, "DA", "19540312"), "2.25.19540312"),
        (explicit(0x00100030, "DA", "1954"), "in 1954"),
        (explicit(0x00100030, "DA", ""), "nothing"),
        (explicit(0x00200052, "UI", "1.2.840.10008.1.4.1.1"), "1.2.840.10008.1.4.1.1"),
        (explicit(0x00200052, "UI", "1.3.12.2.1107.5.2.43.66012.1"), "1.3.12.2.1107.5.2.43.66012.17"),
        (explicit(0x00080080, "LO", "General Electric"), "General Electric"),
        (explicit(0x00081030, "LO", "KNEE AFTER FALL"), "knee after fall"),
    ],
)
def test_what_says_nothing_holds_nothing_up(lax: Plan, source: bytes, left: str) -> None:
    assert refusal(lax, source, comment(left)) == ""


def test_a_short_name_in_a_code_is_a_code(lax: Plan) -> None:
    west = explicit(0x00100010, "PN", "WEST^FFE")
    assert refusal(lax, west, explicit(0x00080008, "CS", "ORIGINAL\\PRIMARY\\M\\WEST")) == ""
    assert "SequenceName" in refusal(lax, west, explicit(SEQUENCE_NAME, "SH", "*west"))
    long = explicit(0x00100010, "PN", "WEST^NORMANDIE")
    assert "ImageType" in refusal(lax, long, explicit(0x00080008, "CS", "ORIGINAL\\NORMANDIE"))


def test_three_letters_in_binary_values_are_chance(lax: Plan) -> None:
    kim = explicit(0x00100010, "PN", "KIM^SUE")
    creator = explicit(0x00290010, "LO", "SIEMENS CSA HEADER")
    block = explicit(0x00291010, "OB", b"\x01\x02KIM\x03\x04 SUE \x05")
    assert refusal(lax, kim, creator, block) == ""
    assert refusal(lax, NAME, creator, explicit(0x00291010, "OB", b"\x01NEEDLEWORTH\x02")) != ""


def test_a_station_that_is_called_as_its_model_is_no_secret(lax: Plan) -> None:
    model = explicit(MODEL, "LO", "Ingenia Elition X")
    assert refusal(lax, model, explicit(STATION, "SH", "INGENIA")) == ""
    assert "StationName" in refusal(
        lax, explicit(MODEL, "LO", "Ingenia MRROOM3"), explicit(STATION, "SH", "MRROOM34"), comment("MRROOM34")
    )
    assert "DeviceSerialNumber" in refusal(
        lax, explicit(MODEL, "LO", "Ingenia 781155"), explicit(0x00181000, "LO", "781155")
    )


def test_a_date_that_the_recipe_writes_is_its_own(lax: Plan) -> None:
    first = explicit(0x00080020, "DA", "20240201")
    assert refusal(lax, first, explicit(0x00080021, "DA", "20240201")) == ""
    assert "ImageComments" in refusal(lax, first, comment("on 20240201"))


def test_a_constant_of_the_recipe_is_its_own(lax: Plan) -> None:
    assert refusal(lax, explicit(0x00080080, "LO", "CHUV Lausanne")) == ""
    assert "ImageComments" in refusal(lax, explicit(0x00080080, "LO", "CHUV Lausanne"), comment("CHUV Lausanne"))


def test_what_the_recipe_keeps_identifies_nobody(plan_of: Callable[..., Plan]) -> None:
    plan = plan_of("# because: a test\nKEEP StationName\nKEEP ImageComments\nREMOVE PatientName")
    assert refusal(plan, explicit(STATION, "SH", "MRROOM34"), comment("MRROOM34")) == ""
    assert refusal(plan, NAME, comment("Needleworth")) != ""


def test_inside_of_sequences_the_innermost_attribute_is_named(lax: Plan) -> None:
    nested = sequence(0x00400275, explicit(0x00080081, "ST", "x"), explicit(COMMENTS, "LT", "Needleworth"))
    assert refusal(lax, NAME, nested).endswith("stands in (0020,4000) ImageComments")
    source = sequence(0x00400275, explicit(0x00321032, "PN", "NESTEDNESS^X"))
    assert "RequestingPhysician stands in" in refusal(lax, source, comment("nestedness"))


def test_pixels_are_the_pixel_policy_s(lax: Plan) -> None:
    assert refusal(lax, NAME, pixels=explicit(0x7FE00010, "OW", b"NEEDLEWORTH^ANNA" * 4)) == ""


@pytest.mark.parametrize(
    ("charset", "encoding", "name"),
    [
        ("ISO_IR 100", "latin-1", "MÜLLERSDORF^ÄNNE"),
        ("ISO_IR 126", "iso8859_7", "\u0394\u03b9\u03bf\u03bd\u03c5\u03c3\u03b9\u03bf\u03c2^\u039b"),
        ("ISO_IR 192", "utf-8", "Müllersdorf^Änne"),
        ("GB18030", "gb18030", "王小东^小东"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞﾀﾛｳ^ﾀﾛｳ"),
    ],
)
def test_names_in_every_character_set(lax: Plan, charset: str, encoding: str, name: str) -> None:
    family = name.split("^", maxsplit=1)[0]
    head = explicit(0x00080005, "CS", charset), explicit(0x00100010, "PN", name.encode(encoding))
    for spelled in (family, family.upper(), family.lower()):
        assert refusal(lax, *head, comment(b"of " + spelled.encode(encoding))) != "", "as the data set writes it"
        assert refusal(lax, *head, comment(b"of " + spelled.encode())) != "", "as UTF-8"
    assert refusal(lax, *head, comment(b"nobody")) == ""


def test_unguarded_attributes_are_said_in_the_recipe(write: Callable[..., Path]) -> None:
    lines = "REMOVE StationName\nREMOVE PatientName\nKEEP SequenceName"
    looked = compile_plan(read_recipe(write(lines)), Policy({}))
    told = compile_plan(read_recipe(write(lines, "ADD unguarded StationName InstitutionName")), Policy({}))
    elements = explicit(STATION, "SH", "ROOM34"), explicit(SEQUENCE_NAME, "SH", "*ROOM34")
    assert (refusal(looked, *elements) != "", refusal(told, *elements)) == (True, "")
    assert refusal(told, NAME, explicit(SEQUENCE_NAME, "SH", "needleworth")) != ""
    with pytest.raises(RecipeError, match=r":3: .*PatientNmae is no keyword"):
        compile_plan(read_recipe(write(lines, "ADD unguarded PatientNmae")), Policy({}))


@pytest.mark.parametrize("name", ["mip", "mip-strict", "basic", "research-mri"])
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_real_files_are_not_held_up(path: Path, name: str) -> None:
    plan = PLANS[name]
    failure = failed(plan, sample(path))
    assert failure is None or failure.outcome is not Outcome.RESIDUAL


PLANS = {name: compile_plan(load(name), Policy({})) for name in ("mip", "mip-strict", "basic", "research-mri")}


@pytest.mark.parametrize("name", PLANS)
def test_the_attributes_that_are_looked_for(name: str) -> None:
    kinds = identifying(PLANS[name].decisions)
    assert kinds[0x00100010] is Kind.NAME
    assert kinds[0x00100020] is kinds[0x00181000] is kinds[0x00080050] is Kind.TEXT
    assert kinds[0x00100030] is Kind.DATE
    assert kinds[0x0020000D] is Kind.UID
    assert not {0x00081030, 0x0008103E, COMMENTS, 0x00100040} & kinds.keys(), "descriptions and sex say nothing"
    assert len(kinds) > 250


def test_retained_uids_and_dates_are_not_looked_for() -> None:
    plan = compile_plan(load("basic,retain-uids,retain-full-dates"), Policy({}))
    kinds = identifying(plan.decisions)
    assert 0x0020000D not in kinds
    assert 0x00080020 not in kinds
    assert kinds[0x00100030] is Kind.DATE, "the date of birth is never retained"


@settings(max_examples=200, deadline=None)
@given(
    st.from_regex(r"[A-Z]{6,12}", fullmatch=True),
    st.sampled_from([str, str.lower, str.title]),
    st.text("abc 0^=,;-", max_size=6),
    st.booleans(),
)
def test_any_family_name_is_found_in_any_text(family: str, case: Callable[[str], str], around: str, vrs: bool) -> None:  # noqa: FBT001
    text = f"{around.rstrip('abc')} {case(family)}"
    plan = PLANS["research-mri"]
    guard = plan._guard
    element = explicit if vrs else lambda tag, _vr, value: implicit(tag, value)
    data = element(0x00100010, "PN", f"{family}^X")
    syntax = "1.2.840.10008.1.2.1" if vrs else "1.2.840.10008.1.2"
    original = Original(instance(data, syntax).dataset, SUBJECT, {})
    if (family.lower().encode(), Kind.NAME) not in collect(guard.kinds, original, Recent()):
        return  # a maker's name or a protocol word
    with pytest.raises(Failure):
        guard.check(explicit(SEQUENCE_NAME, "LT", text), 0, original)
    guard.check(explicit(SEQUENCE_NAME, "LT", "nothing of it"), 0, original)


def test_spellings_are_remembered_from_one_instance_to_the_next_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = PLANS["research-mri"]._guard.kinds
    taken_apart = []
    spell = needles._spellings

    def spelled(kind: Kind, sent: bytes, original: Original) -> list[bytes]:
        taken_apart.append(sent)
        return list(spell(kind, sent, original))

    monkeypatch.setattr(needles, "_spellings", spelled)

    def collected(recent: Recent, *names: bytes, charset: str = "ISO_IR 192") -> Needles:
        elements = [explicit(0x00080005, "CS", charset)] * bool(charset)
        elements += [explicit(tag, "PN", name) for tag, name in zip((0x00100010, 0x00101001), names, strict=False)]
        original = Original(instance(b"".join(elements)).dataset, SUBJECT, {})
        found = collect(kinds, original, recent)
        assert found == collect(kinds, original, Recent())
        taken_apart[len(taken_apart) - len(names) :] = []  # what the fresh one did
        return found

    recent = Recent()
    yamada = "山田^太郎 ".encode()
    assert collected(recent, yamada)
    assert taken_apart == [yamada]
    collected(recent, yamada, b"QWERTZ^ANNA ")
    assert taken_apart == [yamada, b"QWERTZ^ANNA "]
    collected(recent, b"QWERTZ^ANNA ")
    assert [key[1] for key in recent.spellings] == [b"QWERTZ^ANNA "]  # of the one before nothing is left
    other = collected(recent, b"QWERTZ^ANNA ", charset="ISO_IR 100")
    assert len(taken_apart) == 3  # the same bytes may be other characters
    assert (b"qwertz", Kind.NAME) in other
    collected(recent, yamada, charset="")
    collected(recent, yamada)
    assert taken_apart[3:] == [yamada, yamada]


def test_what_nobody_could_look_through_in_time_does_not_leave(lax: Plan) -> None:
    """One instance, made for that, would keep a worker busy at will; many names, or much text, alone do not."""
    names = sequence(0x00081110, *(explicit(0x00081050, "PN", f"QW{n}ERTZ^A{n}B") for n in range(3_000)))
    short, long = comment("nothing of it"), explicit(COMMENTS, "UT", "nothing of it " * 150_000)
    assert not refusal(lax, names, short)
    assert not refusal(lax, NAME, long)
    failure = failed(lax, instance(image(names, long)))
    assert failure is not None
    assert (failure.outcome, failure.why) == (
        Outcome.NOT_DEIDENTIFIED,
        "too many different values to be looked for in so much",
    )


def test_a_thread_knows_nothing_of_what_another_one_saw() -> None:
    guard = PLANS["research-mri"]._guard
    original = Original(instance(explicit(0x00100010, "PN", "QWERTZ^ANNA ")).dataset, SUBJECT, {})
    guard.check(explicit(SEQUENCE_NAME, "LT", "nothing of it"), 0, original)
    assert guard._recent.spellings
    seen = []
    thread = threading.Thread(target=lambda: seen.append(dict(guard._recent.spellings)))
    thread.start()
    thread.join()
    assert seen == [{}]


def test_ideographic_and_phonetic_groups(lax: Plan) -> None:
    groups = explicit(0x00101001, "PN", "=山田^太郎=やまだ^たろう".encode())
    for left in ("山田 さん", "たろう"):
        assert "OtherPatientNames" in refusal(lax, UTF_8, groups, comment(left.encode()))


def test_nothing_is_remembered(lax: Plan) -> None:
    assert refusal(lax, NAME, comment("Needleworth")) != ""
    assert refusal(lax, explicit(0x00100010, "PN", "OTHER^ONE"), comment("Needleworth")) == ""


def test_two_pixels_of_a_kind_change_nothing(lax: Plan) -> None:
    """What is not pixel data stays in front of and behind it, byte for byte."""
    behind = explicit(0x7FE10010, "LO", "X")
    made = lax.apply(instance(image(behind, comment("fine"))), SUBJECT)
    assert made.size == len(b"".join(made.parts))
    assert pack("<HH2sH", 0x0020, 0x4000, b"LT", 4) + b"fine" in made.parts[0]
    again = lax.apply(instance(image(behind, comment("fine"))), replace(SUBJECT))
    assert again == made


def test_the_recipe_s_file_is_found_for_the_docs() -> None:
    assert "unguarded" in (find("mip").parent / "README.md").read_text("utf-8")
