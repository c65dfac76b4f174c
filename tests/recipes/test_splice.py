"""Bytes in, bytes out: what is copied, what is rebuilt, what is refused."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest
from encoded import EXPLICIT, IMPLICIT, MR, RLE, UID, explicit, image, implicit, instance, items, ordered, sequence

import scp
from scp import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, __version__
from scp.dataset import UNDEFINED
from scp.deidentify.functions.csa import csa_numbers
from scp.deidentify.functions.original import Original
from scp.deidentify.functions.tokens import uid
from scp.deidentify.plan import Plan
from scp.instance import Subject
from scp.outcome import Failure, Outcome

Compiles = Callable[..., Plan]
STUDIES, NAME, SEX, COMMENT = 0x00081110, 0x00100010, 0x00100040, 0x00104000
START = b"\x08\0\x16\0UI"
KEEP_SEX = "REMOVE ALL\nKEEP ReferencedStudySequence\nKEEP PatientSex"
SEX_M, NAME_DOE = explicit(SEX, "CS", "M "), explicit(NAME, "PN", "DOE^JOHN")


def applied(plan: Plan, subject: Subject, data: bytes, transfer_syntax: str = EXPLICIT) -> bytes:
    made = b"".join(plan.apply(instance(data, transfer_syntax), subject).parts)
    return made[made.index(START) :]


def refused(plan: Plan, subject: Subject, data: bytes, transfer_syntax: str = EXPLICIT) -> Failure:
    with pytest.raises(Failure) as error:
        plan.apply(instance(data, transfer_syntax), subject)
    return error.value


# The file


def test_the_file_begins_anew(mip: Plan, subject: Subject) -> None:
    made = mip.apply(instance(image()), subject)
    data = b"".join(made.parts)
    assert data[:132] == bytes(128) + b"DICM"
    meta = data[132 : data.index(START)]
    length = int.from_bytes(meta[8:12], "little")
    assert meta[:8] == b"\x02\0\0\0UL\x04\0"
    assert len(meta) == 12 + length
    assert explicit(0x00020001, "OB", b"\0\1") in meta
    assert MR.encode() in meta
    assert made.sop_instance_uid.encode() in meta
    assert IMPLEMENTATION_CLASS_UID.encode() in meta
    assert IMPLEMENTATION_VERSION_NAME.encode() in meta
    assert UID.encode() not in meta


def test_the_version_name_stays_over_releases() -> None:
    assert __version__ not in IMPLEMENTATION_VERSION_NAME  # a release changes no file
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16


def test_size_and_digest_are_those_of_the_file(mip: Plan, subject: Subject) -> None:
    made = mip.apply(instance(image()), subject)
    data = b"".join(made.parts)
    assert made.size == len(data)
    assert made.digest == hashlib.sha256(data).digest()
    assert made.recipe == f"mip@{mip.digest[:16]}"


def test_what_the_index_needs_is_pseudonymous(mip: Plan, subject: Subject) -> None:
    numbers = explicit(0x00200011, "IS", "12"), explicit(0x00200013, "IS", "+7")
    original = instance(image(*numbers))
    made = mip.apply(original, subject)
    token = Original(original.dataset, subject)
    assert (made.pseudonym, made.scan_research_id) == (subject.pseudonym, subject.scan_research_id)
    assert made.sop_instance_uid == uid(UID, token)
    assert made.series_uid == uid("1.2.3.2", token)
    assert (made.sop_class_uid, made.transfer_syntax) == (MR, EXPLICIT)
    assert (made.series_number, made.instance_number) == (12, 7)


@pytest.mark.parametrize("number", ["", "DOE", "-4", "1.5", "9999999999999", "٣"])
def test_a_number_that_is_none_counts_as_0(mip: Plan, subject: Subject, number: str) -> None:
    data = image(explicit(0x00200013, "IS", number.encode()), explicit(0x00080005, "CS", "ISO_IR 192"))
    assert mip.apply(instance(data), subject).instance_number == 0


def test_the_same_instance_makes_the_same_bytes(mip: Plan, subject: Subject) -> None:
    one, two = (mip.apply(instance(image()), subject) for _ in range(2))
    assert one == two
    assert one.digest == two.digest


def test_large_pixel_data_is_a_slice_of_what_was_sent(mip: Plan, subject: Subject) -> None:
    sent = instance(image(explicit(0x7FE00010, "OW", bytes(1 << 20))))
    made = mip.apply(sent, subject)
    assert len(made.parts) == 2
    pixels = made.parts[1]
    assert isinstance(pixels, memoryview)
    assert pixels.obj is sent.arrival.data
    assert len(pixels) >= 1 << 20


# Kept elements


def test_neighbours_are_copied_byte_for_byte(plan_of: Compiles, subject: Subject) -> None:
    kept = explicit(0x00280030, "DS", "1.0\\ 1.0"), explicit(0x00281050, "DS", b"40  ")
    data = applied(plan_of("REMOVE ALL\nKEEP PixelSpacing\nKEEP WindowCenter\nKEEP Rows"), subject, image(*kept))
    assert data.endswith(explicit(0x00280010, "US", b"\2\0") + b"".join(kept))


@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00280030, "LO"), (0x00280010, "SS"), (0x7FE00010, "OB"), (0x00080060, "UT")]
)
def test_a_vr_of_the_same_kind_is_kept_as_sent(plan_of: Compiles, subject: Subject, tag: int, vr: str) -> None:
    plan = plan_of("REMOVE ALL\nKEEP PixelSpacing\nKEEP Rows\nKEEP PixelData\nKEEP Modality")
    element = explicit(tag, vr, bytes(8) if tag >> 16 == 0x7FE0 else b"\2\0")
    assert element in applied(plan, subject, image(element))


@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00280010, "LO"), (0x00280030, "OB"), (0x00280030, "FD"), (0x7FE00010, "UT"), (0x00280010, "SQ")]
)
def test_a_vr_of_another_kind_is_refused_where_it_would_be_kept(
    plan_of: Compiles, subject: Subject, tag: int, vr: str
) -> None:
    plan = plan_of("REMOVE ALL\nKEEP PixelSpacing\nKEEP Rows\nKEEP PixelData")
    element = explicit(tag, vr, b"" if vr == "SQ" else b"DOE^JOHN")
    failure = refused(plan, subject, image(element))
    assert failure.outcome is Outcome.NOT_DEIDENTIFIED
    assert "contradicts the dictionary" in failure.why
    assert "DOE" not in str(failure)
    assert b"DOE" not in applied(plan_of("REMOVE ALL"), subject, image(element))


def test_what_was_sent_as_un_leaves_under_its_own_vr(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of("REMOVE ALL\nKEEP PixelSpacing\nKEEP SmallestImagePixelValue\nKEEP PixelRepresentation")
    sent = explicit(0x00280030, "UN", b"1\\1 "), explicit(0x00280106, "UN", b"\xff\xff")
    data = applied(plan, subject, image(*sent, explicit(0x00280103, "US", b"\1\0")))
    assert data.endswith(explicit(0x00280106, "SS", b"\xff\xff"))
    assert explicit(0x00280030, "DS", b"1\\1 ") in data


@pytest.mark.parametrize("vr", ["SH", "LO", "LT", "ST", "UN", "UT"])
def test_elements_that_a_wrong_length_swallowed_leave_under_no_vr(plan_of: Compiles, subject: Subject, vr: str) -> None:
    """Whatever VR it was sent with: SequenceName is SH, and no recipe and no guard sees the name inside."""
    plan = plan_of("REMOVE ALL\nKEEP SequenceName")
    assert b"*ep2d_diff_b1000" in applied(plan, subject, image(explicit(0x00180024, vr, "*ep2d_diff_b1000")))
    failure = refused(plan, subject, image(explicit(0x00180024, vr, b"ep2d" + explicit(0x00181030, "LO", "DOE^JOHN"))))
    assert failure.outcome is Outcome.NOT_DEIDENTIFIED
    assert "holds what is no text" in failure.why
    assert "DOE" not in str(failure)


@pytest.mark.parametrize("blanks", [b" " * 1_000_000, b"ISO_IR 100" + b" \0" * 500_000 + b"\\"])
def test_a_long_row_of_blanks_is_no_row_of_terms_and_is_looked_at_once(
    plan_of: Compiles, subject: Subject, blanks: bytes
) -> None:
    """Tried at each of them again it would not end in time, and nothing else happens in this process meanwhile."""
    sent = (implicit(0x00080005, blanks + b"!!"), implicit(0x00080016, MR), implicit(0x00080018, UID))
    failure = refused(plan_of("REMOVE ALL\nKEEP SpecificCharacterSet"), subject, b"".join(sent), IMPLICIT)
    assert (failure.outcome, failure.why) == (Outcome.MALFORMED, "SpecificCharacterSet is no row of terms")


def test_un_of_undefined_length_in_place_of_a_value_is_refused(plan_of: Compiles, subject: Subject) -> None:
    element = sequence(0x00280030, implicit(NAME, "DOE"), vr="UN", undefined=True)
    assert (
        refused(plan_of("REMOVE ALL\nKEEP PixelSpacing"), subject, image(element)).outcome is Outcome.NOT_DEIDENTIFIED
    )


# Sequences


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("undefined_items", [False, True])
def test_items_are_rebuilt_with_the_lengths_as_they_were(
    plan_of: Compiles, subject: Subject, *, undefined: bool, undefined_items: bool
) -> None:
    def sent(*elements: bytes) -> bytes:
        deep = sequence(STUDIES, b"".join(elements), undefined=undefined, undefined_items=undefined_items)
        shallow = b"".join(elements)
        return sequence(STUDIES, deep + shallow, b"", undefined=undefined, undefined_items=undefined_items)

    data = applied(plan_of(KEEP_SEX), subject, image(sent(NAME_DOE, SEX_M)))
    assert data.endswith(sent(SEX_M))


def test_a_sequence_of_nothing_stays_a_sequence_of_nothing(plan_of: Compiles, subject: Subject) -> None:
    assert applied(plan_of(KEEP_SEX), subject, image(sequence(STUDIES))).endswith(sequence(STUDIES))
    assert applied(plan_of(KEEP_SEX), subject, image(explicit(STUDIES, "UN", b""))).endswith(sequence(STUDIES))


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("padding", [0, 70_000])
def test_a_sequence_sent_as_un_is_gone_through_however_long_it_is(
    plan_of: Compiles, subject: Subject, *, undefined: bool, padding: int
) -> None:
    long = implicit(COMMENT, b"x" * padding)
    inside = implicit(STUDIES, items([implicit(NAME, "DOE^DEEP") + implicit(SEX, "F ")]))
    content = inside + implicit(NAME, "DOE^JOHN") + implicit(SEX, "M ") + long
    data = applied(plan_of(KEEP_SEX), subject, image(sequence(STUDIES, content, vr="UN", undefined=undefined)))
    expected = sequence(STUDIES, sequence(STUDIES, explicit(SEX, "CS", "F ")) + SEX_M, undefined=undefined)
    assert data.endswith(expected)
    assert b"DOE" not in data


def test_un_that_is_no_sequence_is_refused_only_if_it_would_be_kept(plan_of: Compiles, subject: Subject) -> None:
    sent = image(explicit(STUDIES, "UN", b"DOE^JOHN, no items"))
    failure = refused(plan_of(KEEP_SEX), subject, sent)
    assert failure.outcome is Outcome.NOT_DEIDENTIFIED
    assert "DOE" not in str(failure)
    assert b"DOE" not in applied(plan_of("REMOVE ALL"), subject, sent)


@pytest.mark.parametrize("vr", ["OB", "LO", "UT"])
def test_a_sequence_sent_as_a_value_is_refused(plan_of: Compiles, subject: Subject, vr: str) -> None:
    failure = refused(plan_of(KEEP_SEX), subject, image(explicit(STUDIES, vr, b"DOE^JOHN")))
    assert failure.outcome is Outcome.NOT_DEIDENTIFIED


def test_replaced_inside_items_too(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of("REMOVE ALL\nKEEP ReferencedStudySequence\nREPLACE PatientName X\nBLANK PatientSex")
    data = applied(plan, subject, image(sequence(STUDIES, NAME_DOE + SEX_M)))
    assert data.endswith(sequence(STUDIES, explicit(NAME, "PN", "X ") + explicit(SEX, "CS")))


def test_a_private_sequence_is_gone_through_by_the_same_rules(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of('REMOVE ALL\nKEEP (2005,"Philips MR Imaging DD 005",0F)\nKEEP PatientSex')
    creator = explicit(0x20050014, "LO", "Philips MR Imaging DD 005")
    data = applied(plan, subject, image(creator, sequence(0x2005140F, NAME_DOE + SEX_M, undefined=True)))
    assert data.endswith(creator + sequence(0x2005140F, SEX_M, undefined=True))


# Implicit VR


def test_implicit_leaves_as_explicit(plan_of: Compiles, subject: Subject) -> None:
    lines = "Rows Modality PixelSpacing SmallestImagePixelValue PixelRepresentation PixelData LUTDescriptor LUTData"
    plan = plan_of("REMOVE ALL\nKEEP ModalityLUTSequence\n" + "\n".join(f"KEEP {word}" for word in lines.split()))
    lut = implicit(0x00283002, bytes(6)) + implicit(0x00283006, b"abcd")
    sent = [
        implicit(0x00080016, MR.encode() + b"\0"),
        implicit(0x00080018, UID.encode() + b"\0"),
        implicit(0x00080060, "MR"),
        implicit(0x00280010, b"\2\0"),
        implicit(0x00280030, "1\\1 "),
        implicit(0x00280103, b"\1\0"),
        implicit(0x00280106, b"\xfe\xff"),
        implicit(0x00283000, items([lut])),
        implicit(0x7FE00010, bytes(8)),
    ]
    made = plan.apply(instance(ordered(*sent), IMPLICIT), subject)
    assert made.transfer_syntax == EXPLICIT
    data = b"".join(made.parts)
    expected = [
        explicit(0x00080060, "CS", "MR"),
        explicit(0x00280010, "US", b"\2\0"),
        explicit(0x00280030, "DS", "1\\1 "),
        explicit(0x00280103, "US", b"\1\0"),
        explicit(0x00280106, "SS", b"\xfe\xff"),
        sequence(0x00283000, explicit(0x00283002, "SS", bytes(6)) + explicit(0x00283006, "OW", b"abcd")),
        explicit(0x7FE00010, "OW", bytes(8)),
    ]
    assert data.endswith(b"".join(expected))


@pytest.mark.parametrize(("representation", "vr"), [(b"\0\0", "US"), (b"\1\0", "SS"), (b"", "US")])
def test_pixel_representation_decides_between_us_and_ss(
    plan_of: Compiles, subject: Subject, representation: bytes, vr: str
) -> None:
    sent = ordered(implicit(0x00080018, "1.2 "), implicit(0x00280103, representation), implicit(0x00280106, b"\1\0"))
    made = plan_of("REMOVE ALL\nKEEP SmallestImagePixelValue").apply(instance(sent, IMPLICIT), subject)
    assert b"".join(made.parts).endswith(explicit(0x00280106, vr, b"\1\0"))


@pytest.mark.parametrize(("length", "vr"), [(65_534, "DS"), (65_536, "UN")])
def test_a_value_too_long_for_its_vr_leaves_as_un(plan_of: Compiles, subject: Subject, length: int, vr: str) -> None:
    sent = ordered(implicit(0x00080018, "1.2 "), implicit(0x00280030, b"1" * length))
    made = plan_of("REMOVE ALL\nKEEP PixelSpacing").apply(instance(sent, IMPLICIT), subject)
    assert b"".join(made.parts).endswith(explicit(0x00280030, vr, b"1" * length))


def test_implicit_private_numbers_leave_under_their_maker_s_vr(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of('REMOVE ALL\nKEEP (0019,"SIEMENS MR HEADER",0A)')
    sent = [implicit(0x00190010, "SIEMENS MR HEADER "), implicit(0x0019100A, b"\x28\0"), implicit(0x0019100B, "9 ")]
    data = b"".join(plan.apply(instance(ordered(implicit(0x00080018, "1.2 "), *sent), IMPLICIT), subject).parts)
    assert data.endswith(explicit(0x00190010, "LO", "SIEMENS MR HEADER") + explicit(0x0019100A, "US", b"\x28\0"))


# Value representations that may not leave


def test_a_value_of_an_excluded_vr_goes(plan_of: Compiles, subject: Subject) -> None:
    sent = image(explicit(0x00080060, "UC", "MR"))
    assert b"UC" not in applied(plan_of("REMOVE ALL\nKEEP Modality", "ADD exclude_vr UC"), subject, sent)
    assert b"UC" in applied(plan_of("REMOVE ALL\nKEEP Modality"), subject, sent)


def test_an_attribute_of_an_excluded_vr_goes_however_it_was_sent(plan_of: Compiles, subject: Subject) -> None:
    plan = plan_of("REMOVE PatientName", "ADD exclude_vr UR UC")
    url = 0x00081190  # RetrieveURL
    for sent in (
        explicit(url, "UR", "http://doe"),
        explicit(url, "UN", "http://doe"),
        explicit(url, "LO", "http://doe"),
    ):
        assert b"http" not in applied(plan, subject, image(sent))


@pytest.mark.parametrize(
    ("excluded", "tag", "vr"),
    [
        ("OW", 0x7FE00010, "OW"),
        ("OW", 0x7FE00010, "OB"),
        ("OW", 0x7FE00010, "UN"),
        ("OB", 0x7FE00010, "OB"),
        ("OD", 0x7FE00009, "OD"),
        ("OF", 0x7FE00008, "OF"),
    ],
)
def test_pixel_data_of_an_excluded_vr_is_refused(
    plan_of: Compiles, subject: Subject, excluded: str, tag: int, vr: str
) -> None:
    plan = plan_of("REMOVE ALL\nKEEP PixelData", f"ADD exclude_vr {excluded}")
    failure = refused(plan, subject, image(pixels=explicit(tag, vr, bytes(8))))
    assert failure.outcome is Outcome.NOT_DEIDENTIFIED


def test_pixel_data_of_two_kinds_is_malformed(plan_of: Compiles, subject: Subject) -> None:
    failure = refused(plan_of("REMOVE ALL\nKEEP PixelData"), subject, image(explicit(0x7FE00008, "OF", bytes(8))))
    assert failure.outcome is Outcome.MALFORMED


# Transfer syntaxes


def test_encapsulated_pixel_data_stays_in_its_transfer_syntax(mip: Plan, subject: Subject) -> None:
    pixels = explicit(0x7FE00010, "OB", items([b"", b"fragment"], undefined=True), UNDEFINED)
    made = mip.apply(instance(image(pixels), RLE), subject)
    data = b"".join(made.parts)
    assert made.transfer_syntax == RLE
    assert data.endswith(pixels)
    assert RLE.encode() in data[: data.index(START)]


@pytest.mark.parametrize(
    ("transfer_syntax", "pixels"),
    [(RLE, None), (EXPLICIT, explicit(0x7FE00010, "OB", items([b"abcd"], undefined=True), UNDEFINED))],
)
def test_pixel_data_that_belies_its_transfer_syntax_is_refused(
    mip: Plan, subject: Subject, transfer_syntax: str, pixels: bytes | None
) -> None:
    failure = refused(mip, subject, image(*([pixels] if pixels else [])), transfer_syntax)
    assert failure.outcome is Outcome.MALFORMED


@pytest.mark.parametrize("transfer_syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"])
def test_deflated_and_big_endian_are_refused(mip: Plan, subject: Subject, transfer_syntax: str) -> None:
    assert refused(mip, subject, image(), transfer_syntax).outcome is Outcome.NOT_DEIDENTIFIED


def test_an_instance_without_a_uid_is_refused(mip: Plan, subject: Subject) -> None:
    failure = refused(mip, subject, image(explicit(0x00080018, "UI", "")))
    assert failure.outcome is Outcome.NOT_DEIDENTIFIED


# Identity


def test_the_identity_is_read_as_the_hospital_writes_it(mip: Plan) -> None:
    names = explicit(0x00080005, "CS", "ISO_IR 192"), explicit(0x00100021, "LO", "Spital Zürich".encode())
    identity = mip.identity(instance(image(*names, explicit(0x00100020, "LO", " Ä-77 ".encode()))))
    assert (identity.patient_id, identity.issuer, identity.study_uid) == ("Ä-77", "Spital Zürich", "1.2.3.1")
    assert not any(one in repr(identity) for one in ("-77", "Spital", "1.2.3"))


@pytest.mark.parametrize("tag", [0x00100020, 0x0020000D])
@pytest.mark.parametrize("value", [b"", b"  ", b"\0\0"])
def test_an_instance_of_nobody_is_refused(mip: Plan, tag: int, value: bytes) -> None:
    with pytest.raises(Failure) as error:
        mip.identity(instance(image(explicit(tag, "LO", value))))
    assert error.value.outcome is Outcome.UNIDENTIFIED


def test_only_the_plan_makes_a_deidentified_instance() -> None:
    package = Path(scp.__file__).parent
    making = [path for path in package.rglob("*.py") if "DeidentifiedInstance(" in path.read_text()]
    assert [path.relative_to(package).as_posix() for path in making] == ["deidentify/plan.py"]


def test_deid_is_imported_in_one_place() -> None:
    package = Path(scp.__file__).parent
    importing = {path.name for path in package.rglob("*.py") if "\nfrom deid" in path.read_text()}
    assert importing == {"recipe.py"}


def test_a_length_of_items_is_that_of_what_is_in_them(plan_of: Compiles, subject: Subject) -> None:
    inner = b"".join(pack("<HHI", 0xFFFE, 0xE000, len(SEX_M)) + SEX_M for _ in range(3))
    sent = sequence(STUDIES, *[NAME_DOE + SEX_M] * 3)
    assert applied(plan_of(KEEP_SEX), subject, image(sent)).endswith(explicit(STUDIES, "SQ", inner))


def csa(*tags: tuple[str, bytes]) -> bytes:
    body = b"".join(
        pack("<64si4siii", name.encode(), 1, b"IS", 6, 1, 77) + pack("<4i", 4, 4, 77, 4) + value.ljust(4, b"\0")
        for name, value in tags
    )
    return b"SV10\4\3\2\1" + pack("<II", len(tags), 77) + body


def test_a_csa_header_leaves_with_its_numbers_only(mip: Plan, subject: Subject) -> None:
    creator = explicit(0x00290011, "LO", "SIEMENS CSA HEADER")
    sent = csa(("DeviceSerialNumber", b"DOE"), ("NumberOfImagesInMosaic", b"40"))
    series = explicit(0x00291120, "OB", b"SERIES HEADER of DOE")
    data = applied(mip, subject, image(creator, explicit(0x00291110, "OB", sent), series))
    assert creator + explicit(0x00291110, "OB", csa_numbers(sent)) in data
    assert b"40\0" in csa_numbers(sent)
    assert b"DOE" not in data


def test_a_csa_header_that_cannot_be_read_leaves_empty(mip: Plan, subject: Subject) -> None:
    creator = explicit(0x00290011, "LO", "SIEMENS CSA HEADER")
    data = applied(mip, subject, image(creator, explicit(0x00291110, "OB", b"DOE^JOHN")))
    assert creator + explicit(0x00291110, "OB", b"") in data
    assert b"DOE" not in data


@pytest.mark.parametrize(("position", "refused"), [(0, False), (12, True), (15, True)])
@pytest.mark.parametrize("group", [0x6000, 0x601E])
def test_an_overlay_inside_the_pixel_data_is_refused(
    mip: Plan,
    subject: Subject,
    group: int,
    position: int,
    refused: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    sent = instance(image(explicit(group << 16 | 0x0102, "US", position.to_bytes(2, "little"))))
    if refused:
        with pytest.raises(Failure, match="embedded in the pixel data") as error:
            mip.apply(sent, subject)
        assert error.value.outcome is Outcome.NOT_DEIDENTIFIED
    else:
        assert b"".join(mip.apply(sent, subject).parts)
