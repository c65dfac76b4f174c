"""Values of private attributes that can be checked: numbers, codes of closed lists, and measures of a fixed form."""

import re
from collections.abc import Callable

NUMBER = re.compile(rb"[+-]?\d{1,7}(?:\.\d{0,12})?(?:[eE][+-]?\d{1,3})?|[+-]?\.\d{1,12}")
"""No date fits: eight digits in a row are too many before the point."""
_VALUES = b"\\"
# PS3.3 C.8.3.1 with what the makers write in place of or beside its defined terms
_CODES = frozenset(
    b"""
    ORIGINAL DERIVED PRIMARY SECONDARY M P R I ND NORM DIS2D DIS3D MFSPLIT MOSAIC FM FMRI MOCO ADC FA TRACEW
    DIFFUSION TENSOR ASL PERFUSION OTHER PHASE MAGNITUDE REAL IMAGINARY MIXED NONE UNKNOWN B0 T1 T2 PD PHASE_MAP
    MAP FFE SE IR TSE TFE EPI GRE GR EP RM SK SS MTC TRSS SP MP OSP PER RG CG PPG FC PFF PFP FS IFS SFS SAT1 SAT2
    DB MT WE SENSE CLEAR 2D 3D MS M2D AP PA RL LR FH HF SI IS TRANSVERSAL SAGITTAL CORONAL CONTROL LABEL
    MOVEMENT STATIC HERTZ PIXEL MAX DEFAULT ROW COL YES NO Y N U S NIL RECON PRE_FT FID MULTI PARALLEL RADIAL
    B0_MAP B1_MAP FIELD_MAP M_FFE M_SE M_IR P_FFE P_SE R_FFE R_SE I_FFE I_SE PHASE_CORRECTED UNSPECIFIED
    """.split()
)
_MEASURE = re.compile(
    rb"X(?:_\d{1,6}){1,24}"  # Siemens' counters of loops
    rb"|\d{1,4}[ps]?\*\d{1,4}[ps]?"  # rows and columns that were measured
    rb"|p\d(?:\.\d)?(?:xp?\d)?(?:s\d)?|s\d(?:p\d)?"  # factors of parallel imaging
    rb"|(?:FoV|TA|TP|SL|TE|TR|TI) [HF]?\d{1,4}(?:\.\d{1,3})?(?:\*\d{1,4})?"
    rb"|ChannelMixing:ND=(?:true|false)_CMM=\d_CDM=\d|CC:(?:SoS|ACC|AC)"
)


def numbers(sent: bytes) -> bytes:
    """DS or IS: values that are numbers of at most seven digits before the point; the others are empty."""
    return _filtered(sent, NUMBER.fullmatch)


def codes(sent: bytes) -> bytes:
    """CS or LO: values of a closed list of MR terms; the others are empty."""
    return _filtered(sent, _CODES.__contains__)


def measures(sent: bytes) -> bytes:
    """Text with numbers in it of a form that is known to the last letter; other values are empty."""
    return _filtered(sent, _MEASURE.fullmatch)


def _filtered(sent: bytes, allowed: Callable[[bytes], object]) -> bytes:
    values = [value.strip(b" \0") for value in sent.split(_VALUES)]
    kept = [value if allowed(value) else b"" for value in values]
    return _VALUES.join(kept) if any(kept) else b""
