"""Siemens' measurement protocol (MrPhoenixProtocol): lines of a fixed list, and of those the numbers."""

import re

_BEGIN, _END = re.compile(rb"### ASCCONV BEGIN [^\r\n]{0,400}###"), b"### ASCCONV END ###"
_NUMBER = re.compile(rb"[+-]?\d{1,7}(?:\.\d{1,12})?(?:[eE][+-]?\d{1,3})?|0x[0-9A-Fa-f]{1,4}")
_INDEX = re.compile(rb"\[\d{1,4}\]")
_FILE = re.compile(rb'"{0,2}%(SiemensSeq|CustomerSeq)%\\{1,2}(\w+)"{0,2}')
# Sections, and of each the names; a pair of brackets stands for any index.
_NAMES = {
    b"": b"""acFlowComp[] adFlipAngleDegree[] alTE[] alTI[] alTR[] dAveragesDouble lAverages lCombinedEchoes lContrasts
        lDelayTimeInTR lInvContrasts lRepetitions lScanTimeSec lTotalScanTimeSec ucBold3dPace ucCineMode
        ucCoilCombineMode ucDixon ucEnableNoiseAdjust ucFlipAngleMode ucMotionCorr ucOneSeriesForAllMeas ucPHAPSMode
        ucReadOutMode ucReconstructionMode ucSequenceType ulMotionCorr lDummyScans ucMultiEcho""",
    b"sAsl.": b"""sPostLabelingDelay[] ulArrayLength ulAveragingMode ulDelayArraySize ulLabelingDuration ulMode
        ulSuppressionMode""",
    b"sDiffusion.": b"""alAverages[] alBValue[] dsScheme lDiffDirections lDiffWeightings lNoiseLevel ulMode
        ulQSpaceCoverage ulQSpaceMaxBValue ulQSpaceSampling ulQSpaceSteps""",
    b"sDiffusion.sFreeDiffusionData.": b"lDiffDirections ulCoordinateSystem ulNormalization ucNormalization",
    b"sDiffusion.sFreeDiffusionData.asDiffDirVector[].": b"dCor dSag dTra",
    b"sDistortionCorrFilter.": b"ucMode",
    b"sFastImaging.": b"""lEchoSpacing lEPIFactor lSegments lShots lSliceTurboFactor lTurboFactor lEchoTrainDuration
        ucSegmentationMode""",
    b"sGRADSPEC.": b"alShimCurrent[] lOffsetX lOffsetY lOffsetZ ucMode ucNoiseReduction",
    b"sGRADSPEC.asGPAData[].": b"lOffsetX lOffsetY lOffsetZ",
    b"sKSpace.": b"""dPhaseOversamplingForDialog dPhaseResolution dSeqPhasePartialFourierForSNR
        dSliceOversamplingForDialog dSliceResolution lBaseResolution lImagesPerSlab lPartitions lPhaseEncodingLines
        lRadialSpokesPerFrame lRadialViews uc2DInterpolation ucAsymmetricEchoAllowed ucAsymmetricEchoMode
        ucAveragingMode ucDimension
        ucEnableEllipticalScanning ucMultiSliceMode ucPOCS ucPhasePartialFourier ucReadoutPartialFourier
        ucSlicePartialFourier ucTrajectory unReordering""",
    b"sPat.": b"""dTotalAccelFact lAccelFact3D lAccelFactPE lRefLines3D lRefLinesPE ucPATMode ucRefScanMode
        ucTPatAverageAllFrames ulCaipirinhaMode lReorderingShift3D""",
    b"sPreScanNormalizeFilter.": b"ucMode",
    b"sPrepPulses.": b"""dDarkBloodFlipAngle lFatSatMode lFatWaterContrast ucFatSat ucFatSatMode ucIRScheme ucInversion
        ucMTC ucSatRecovery ucT2Prep ucWaterSat""",
    b"sProtConsistencyInfo.": b"flNominalB0 flGMax flRiseTime",
    b"sRSatArray.asElm[].": b"dThickness ulShape",
    b"sRSatArray.asElm[].sNormal.": b"dCor dSag dTra",
    b"sRSatArray.asElm[].sPosition.": b"dCor dSag dTra",
    b"sSliceArray.": b"""alSliceAcqOrder[] anAsc[] anPos[] lConc lSize ucConcatenationsSelectMode ucImageNumbCor
        ucImageNumbSag ucImageNumbTra ucMode lMultiBandFactor lSliceAccelerationFactor""",
    b"sSliceArray.asSlice[].": b"dInPlaneRot dPhaseFOV dReadoutFOV dThickness",
    b"sSliceArray.asSlice[].sNormal.": b"dCor dSag dTra",
    b"sSliceArray.asSlice[].sPosition.": b"dCor dSag dTra",
    b"sSliceAcceleration.": b"lMultiBandFactor lFOVShiftFactor ucReferenceScanMode",
    b"sTXSPEC.asNucleusInfo[].": b"flReferenceAmplitude",
    b"sWipMemBlock.": b"alFree[] adFree[]",
    b"sWiPMemBlock.": b"alFree[] adFree[] alFree.__attribute__.size adFree.__attribute__.size",
    b"ucImageNumb": b"Cor Sag Tra",
}
_KEYS = frozenset(section + name for section, names in _NAMES.items() for name in names.split())
_SEQUENCES = frozenset(
    b"""
    ep2d_asl ep2d_bold ep2d_diff ep2d_fid ep2d_pasl ep2d_pace ep2d_perf ep2d_se epse fl3d_vibe fl_tof gre
    gre_field_mapping haste localizer medic pcasl resolve swi t1_fl tfl tgse tse tse_vfl space AALScout AAHead_Scout
    cmrr_mbep2d_bold cmrr_mbep2d_diff cmrr_mbep2d_se tfl_mgh_epinav_ABCD tse_vfl_mgh_epinav_ABCD mp2rage tfl_wip
    """.split()
)
"""Product and widely used research sequences; a site's own may be called after whoever wrote it."""
_MOST_UNDERSCORES = max(name.count(b"_") for name in _SEQUENCES)


def phoenix_lines(sent: bytes) -> bytes:
    """The protocol's numbered part with the lines of the list whose value is a number; empty where there is none."""
    begin = _BEGIN.search(sent)
    end = sent.find(_END, begin.end()) if begin else -1
    if begin is None or end < 0:
        return b""
    lines = (_line(line) for line in sent[begin.end() : end].splitlines())
    kept = b"".join(line for line in lines if line)
    return b"<XProtocol>\n### ASCCONV BEGIN ###\n" + kept + _END + b"\n" if kept else b""


def _line(line: bytes) -> bytes:
    """The line written anew, empty where it is none of the list."""
    key, _, value = line.partition(b"=")
    key, value = key.strip(), value.strip()
    if key == b"tSequenceFileName":
        return _sequence(value)
    named = _INDEX.sub(b"[]", key) if b"[" in key else key
    return b"%s\t = \t%s\n" % (key, value) if named in _KEYS and _NUMBER.fullmatch(value) else b""


def _sequence(value: bytes) -> bytes:
    """The line of the sequence's file: of a name that is not of the list, the longest end that is."""
    match = _FILE.fullmatch(value)
    if not match:
        return b""
    parts = match[2].rsplit(b"_", _MOST_UNDERSCORES + 1)
    ends = (b"_".join(parts[at:]) for at in range(len(parts)))
    name = next((end for end in ends if end in _SEQUENCES), None)
    return b'tSequenceFileName\t = \t""%%%s%%\\%s""\n' % (match[1], name) if name else b""
