"""Phantom series as four makers' scanners write them: private blocks of technical numbers, with needles beside."""

import gzip
from struct import pack, pack_into

import factories
import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

SIGNATURE = b"SV10\4\3\2\1"
BURIED = "QzBURIEDNEEDLE"
"""Stands in every place of the private blocks where scanners write text."""
SERIAL, DATE = "45123771", "20250917"


def csa2(tags, gap=b"\0", check=77, count=None):
    """A CSA header as newer scanners write it, with `gap` in every byte that has no meaning."""
    body = b"".join(
        _tag(name, values, gap, check, lambda size: pack("<4i", size, size, 77, size)) for name, values in tags
    )
    return SIGNATURE + pack("<II", len(tags) if count is None else count, check) + body


def csa1(tags, gap=b"\0"):
    """The same as older scanners wrote it: no signature, and lengths to which the first tag's items are added."""
    added = len(tags[0][1])
    body = b"".join(
        _tag(name, values, gap, 77, lambda size: pack("<4i", size + added, size, 77, size)) for name, values in tags
    )
    return pack("<II", len(tags), 77) + body


def _tag(name, values, gap, check, lengths):
    head = (name.encode() + b"\0").ljust(64, gap) + pack("<i4siii", len(values), b"FD\0" + gap, 4, len(values), check)
    items = b""
    for value in values:
        ended = value + b"\0" if value else b""
        items += lengths(len(ended)) + ended.ljust(len(ended) + 3 & ~3, gap)
    return head + items


def phoenix(**more):
    """Siemens' protocol: XML-like text, then numbered lines, among them the ones nobody may see."""
    lines = {
        "tSequenceFileName": '""%CustomerSeq%\\site_ep2d_bold""',
        "tProtocolName": f'""{BURIED}""',
        "tReferenceImage0": f'""1.2.3.{SERIAL}""',
        "sProtConsistencyInfo.tMeasuredBaselineString": f'""{BURIED}_{DATE}""',
        "alTE[0]": "30000",
        "lContrasts": "1",
        "lDelayTimeInTR": "0",
        "sKSpace.lBaseResolution": "8",
        "sKSpace.lPhaseEncodingLines": "8",
        "sKSpace.dPhaseResolution": "1.0",
        "sKSpace.ucPhasePartialFourier": "0x10",
        "sPat.lAccelFactPE": "1",
        "sPat.lAccelFact3D": "1",
        "sPat.lRefLinesPE": "24",
        "sFastImaging.lEchoSpacing": "510",
        "ucCoilCombineMode": "1",
        "sGRADSPEC.asGPAData[0].lOffsetX": "-17",
        "sGRADSPEC.asGPAData[0].lOffsetY": "23",
        "sGRADSPEC.asGPAData[0].lOffsetZ": "5",
        "sTXSPEC.asNucleusInfo[0].flReferenceAmplitude": "275.5",
        "sAdjData.lSerial": SERIAL,
        "sPatient.tName": f'""{BURIED}""',
        "sSliceArray.lSize": DATE,
        **more,
    }
    written = "".join(f"{key}\t = \t{value}\n" for key, value in lines.items())
    text = f'<XProtocol> \n{{\n  <ParamString."Name"> {{ "{BURIED}" }}\n}}\n'
    text += (
        f"### ASCCONV BEGIN object=MrProtDataImpl@MrProtocolData version={SERIAL} ###\n{written}### ASCCONV END ###\n"
    )
    return text.encode()


def siemens_mosaic():
    """Two volumes of four slices, each a mosaic of 2 x 2, with CSA headers."""
    image = [
        ("NumberOfImagesInMosaic", [b"4"] + [b""] * 5),
        ("SliceNormalVector", [b"0.0", b"0.0", b"1.0", b"", b"", b""]),
        ("PhaseEncodingDirectionPositive", [b"0"] + [b""] * 5),
        ("BandwidthPerPixelPhaseEncode", [b"245.09803922"] + [b""] * 5),
        ("MosaicRefAcqTimes", [b"0.0", b"500.0", b"1000.0", b"1500.0", b"", b""]),
        ("SliceMeasurementDuration", [b"1500.0"] + [b""] * 5),
        ("ProtocolSliceNumber", [b"0"] + [b""] * 5),
        ("ImaCoilString", [BURIED.encode()] + [b""] * 5),
        ("ICE_Dims", [BURIED.encode()] + [b""] * 5),
    ]
    series = [
        ("UsedPatientWeight", [b"81"] + [b""] * 5),
        ("DataFileName", [BURIED.encode()] + [b""] * 5),
        ("PatReinPattern", [f"1;HFS;81;{BURIED}".encode()] + [b""] * 5),
        ("MrPhoenixProtocol", [phoenix()] + [b""] * 5),
    ]
    files = []
    for volume in range(2):
        dataset = _image(volume, 16, Manufacturer="SIEMENS", ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
        header = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        header.add_new(0x08, "CS", "IMAGE NUM 4")
        header.add_new(0x0A, "US", 4)
        header.add_new(0x28, "FD", 245.09803922)
        header.add_new(0x29, "FD", [0.0, 500.0, 1000.0, 1500.0])
        csa = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        csa.add_new(0x09, "LO", DATE)
        csa.add_new(0x10, "OB", csa2(image, b"J"))
        csa.add_new(0x20, "OB", csa2(series, b"J"))
        text = dataset.private_block(0x0051, "SIEMENS MR HEADER", create=True)
        text.add_new(0x0B, "SH", "8*8")
        text.add_new(0x0C, "SH", BURIED)
        text.add_new(0x0F, "LO", BURIED)
        files.append(dataset)
    return files


def siemens_enhanced():
    """An enhanced image of four frames with the blocks that XA writes into its functional groups."""
    dataset = factories.enhanced(Manufacturer="Siemens Healthineers", **_TIMING, NumberOfFrames="4", Rows=8, Columns=8)
    dataset.PixelData = _pixels(0, 8 * 4)
    dataset.SoftwareVersions, dataset.AcquisitionDateTime = "syngo MR XA61", f"{DATE}134502.123"
    dataset.EchoPulseSequence, dataset.EchoPlanarPulseSequence = "GRADIENT", "YES"
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.MRTimingAndRelatedParametersSequence = [_item(RepetitionTime="2000", FlipAngle="70", EchoTrainLength="8")]
    shared.MRFOVGeometrySequence = [
        _item(InPlanePhaseEncodingDirection="COLUMN", MRAcquisitionPhaseEncodingStepsInPlane=8)
    ]
    shared.PixelMeasuresSequence[0].SliceThickness = "2"
    block = Dataset()
    inner = block.private_block(0x0021, "SIEMENS MR SDS 01", create=True)
    inner.add_new(0x05, "IS", [1, 2, 3])
    inner.add_new(0x18, "SH", BURIED)
    inner.add_new(0x19, "OB", phoenix())
    inner.add_new(0x2B, "ST", f"1;HFS;90;{BURIED};{SERIAL}")
    inner.add_new(0x5A, "CS", "EP")
    inner.add_new(0x3D, "CS", "QZBURIEDNEEDLE")
    inner.add_new(0x5C, "CS", "FS")
    inner.add_new(0x60, "DT", f"{DATE}134502.459069")
    shared.private_block(0x0021, "SIEMENS MR SDS 01", create=True).add_new(0xFE, "SQ", [block])
    frames = []
    for frame in range(4):
        inside = Dataset()
        own = inside.private_block(0x0021, "SIEMENS MR SDI 02", create=True)
        own.add_new(0x04, "DS", str(frame * 0.5))
        own.add_new(0x06, "LO", "X_1_1_1_1_1_1_4_1_1_1_1_104")
        own.add_new(0x1C, "IS", "1")
        own.add_new(0x42, "IS", "3400")
        own.add_new(0x4F, "LO", BURIED)
        own.add_new(0x53, "FD", 245.098)
        own.add_new(0x58, "SH", "8*8")
        own.add_new(0x71, "UT", BURIED)
        own.add_new(0x75, "CS", ["ORIGINAL", "PRIMARY", "M", "ND"])
        group = _item(
            PlanePositionSequence=[_item(ImagePositionPatient=["0", "0", str(2 * frame)])],
            MREchoSequence=[_item(EffectiveEchoTime=30.0)],
            FrameContentSequence=[
                _item(StackID="1", InStackPositionNumber=frame + 1, DimensionIndexValues=[1, frame + 1])
            ],
        )
        group.private_block(0x0021, "SIEMENS MR SDI 02", create=True).add_new(0xFE, "SQ", [inside])
        frames.append(group)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return [dataset]


def ge_epi():
    """Two volumes of four slices with GE's groups, its protocol data block and its user-defined data."""
    lines = ("COIL", BURIED), ("SEDESC", BURIED), ("PDGMUID", f"1.2.{SERIAL}"), ("SLICEORDER", "1"), ("VIEWORDER", "0")
    lines += ("TE", "30.0"), ("NOSLC", "4"), ("IOPT", f"EPI, FMRI, {BURIED}"), ("ANATOMY", BURIED)
    packed = gzip.compress("".join(f'{key} "{value}"\n' for key, value in lines).encode(), mtime=1_758_116_702)
    user = bytearray(BURIED.encode() * 200)[:2400]
    pack_into("<H", user, 24, 64)
    pack_into("<f", user, 64, 26.002)
    for at, value in ((0x3A, 0x840), (0x30, 0x4), (0x308, 0)):
        pack_into("<H", user, 64 + 0x4C + at, value)
    files = []
    for number in range(8):
        dataset = _image(number, 8, Manufacturer="GE MEDICAL SYSTEMS", ImageType=["ORIGINAL", "PRIMARY", "EPI", "NONE"])
        dataset.ImagePositionPatient = ["0", "0", str(2 * (number % 4))]
        dataset.SliceLocation, dataset.TemporalPositionIdentifier = str(2 * (number % 4)), str(number // 4 + 1)
        dataset.SoftwareVersions = ["27", "LX", "MR Software release:DV26.0_R01_1725.a"]
        dataset.NumberOfTemporalPositions, dataset.ImagesInAcquisition = "2", "4"
        acquisition = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
        acquisition.add_new(0x5A, "FL", 4000000.0)
        acquisition.add_new(0x9C, "LO", BURIED)
        acquisition.add_new(0x9D, "DT", f"{DATE}193651")
        relation = dataset.private_block(0x0021, "GEMS_RELA_01", create=True)
        relation.add_new(0x4F, "SS", 4)
        series = dataset.private_block(0x0025, "GEMS_SERS_01", create=True)
        series.add_new(0x1A, "SH", BURIED)
        series.add_new(0x1B, "OB", pack("<I", len(packed)) + packed)
        parameters = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
        parameters.add_new(0x02, "SS", 3)
        parameters.add_new(0x03, "SS", 4)
        parameters.add_new(0x04, "SS", -12)
        parameters.add_new(0x2A, "OB", bytes(user))
        parameters.add_new(0x2C, "SS", 388)
        parameters.add_new(0x2F, "SS", 0)
        parameters.add_new(0x61, "UI", f"1.2.840.113619.6.{SERIAL}")
        parameters.add_new(0x80, "LO", ["A:0", BURIED])
        parameters.add_new(0x83, "DS", ["0.5", "1"])
        parameters.add_new(0xB6, "LO", ["2", BURIED])
        files.append(dataset)
    return files


def philips_dwi():
    """Two volumes of four slices, one of them diffusion-weighted, with Philips' sequences of undefined length."""
    files = []
    for number in range(8):
        weighted = number // 4
        dataset = _image(
            number, 8, Manufacturer="Philips Medical Systems", ImageType=["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]
        )
        dataset.ImagePositionPatient = ["0", "0", str(2 * (number % 4))]
        dataset.SliceLocation, dataset.RescaleSlope, dataset.RescaleIntercept = str(2 * (number % 4)), "2", "0"
        imaging = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
        imaging.add_new(0x03, "FL", 1000.0 * weighted)
        imaging.add_new(0x0A, "IS", str(number % 4 + 1))
        imaging.add_new(0x18, "SL", 4)
        imaging.add_new(0x22, "FL", 11.05)
        imaging.add_new(0xC8, "LO", f"{BURIED} {DATE}")
        resonance = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        resonance.add_new(0x0D, "FL", 0.0)
        resonance.add_new(0x0E, "FL", 0.25)
        resonance.add_new(0x11, "CS", "QZBURIEDNEEDLE")
        resonance.add_new(0xB0, "FL", 0.6 * weighted)
        resonance.add_new(0xB1, "FL", 0.0)
        resonance.add_new(0xB2, "FL", 0.8 * weighted)
        more = dataset.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        more.add_new(0x0F, "SQ", [_item(PatientID=BURIED, PartialFourier="NO", AcquisitionComments=BURIED)])
        more.add_new(0x12, "IS", str(weighted + 1))
        more.add_new(0x13, "IS", "1")
        files.append(dataset)
    return files


SERIES = {
    "Siemens mosaic": siemens_mosaic,
    "Siemens enhanced": siemens_enhanced,
    "GE EPI": ge_epi,
    "Philips DWI": philips_dwi,
}

_TIMING = {"MagneticFieldStrength": "3", "ImagingFrequency": "123.25"}


def _image(number, size, **attributes):
    """One planted MR image of a series."""
    dataset = factories.mr(
        RepetitionTime="2000", EchoTime="30", FlipAngle="70", EchoTrainLength="8", PercentSampling="100",
        InPlanePhaseEncodingDirection="COL", ScanningSequence="EP", SequenceVariant="SK", ScanOptions="FS",
        MRAcquisitionType="2D", AcquisitionMatrix=[8, 0, 0, 8], PixelBandwidth="2000", SpacingBetweenSlices="2",
        SliceThickness="2", PatientPosition="HFS", Rows=size, Columns=size, **_TIMING, **attributes,
    )  # fmt: skip
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[attributes["Manufacturer"], str(number)])
    dataset.file_meta = factories.file_meta(dataset)
    dataset.InstanceNumber, dataset.AcquisitionNumber = str(number + 1), str(number + 1)
    dataset.ImagePositionPatient = ["0", "0", "0"]
    dataset.PixelData = _pixels(number, size)
    return dataset


def _pixels(seed, rows):
    size = rows if rows in {8, 16} else 8
    return np.random.default_rng(seed).integers(0, 4000, (rows, size), dtype=np.uint16).tobytes()


def _item(**attributes):
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
