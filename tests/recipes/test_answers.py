"""What becomes of the attributes that matter most, recipe by recipe: an answer key to be read and argued with."""

import pytest

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.plan import Plan
from scp.deidentify.recipe import load

RECIPES = ("basic", "research-mri", "mip")
SAID = {
    "kept": "kept as sent",
    "inside": "kept, its items by the same rules",
    "empty": "kept without value",
    "gone": "removed",
}
# attribute, then basic, research-mri and mip; new: another value stands there
ANSWERS = """
SpecificCharacterSet kept kept kept
ImageType kept kept kept
InstanceCreationDate new new gone
InstanceCreationTime new new gone
InstanceCreatorUID new new gone
SOPClassUID kept kept kept
SOPInstanceUID new new new
StudyDate empty new new
SeriesDate new new new
AcquisitionDate empty new new
ContentDate new new new
AcquisitionDateTime new new new
StudyTime empty new empty
SeriesTime new new gone
AcquisitionTime empty new gone
ContentTime new new new
AccessionNumber empty empty empty
Modality kept kept kept
Manufacturer kept kept kept
InstitutionName new new gone
InstitutionAddress gone gone gone
InstitutionCodeSequence new new gone
ReferringPhysicianName empty empty empty
ReferringPhysicianAddress gone gone gone
ConsultingPhysicianName empty empty gone
TimezoneOffsetFromUTC gone new gone
EquipmentModality kept kept gone
StationName new new gone
StudyDescription gone new new
InstitutionalDepartmentName gone gone gone
PhysiciansOfRecord gone gone gone
PerformingPhysicianName gone gone gone
NameOfPhysiciansReadingStudy gone gone gone
OperatorsName new new gone
ManufacturerModelName kept kept kept
ReferencedStudySequence gone gone gone
ReferencedPerformedProcedureStepSequence inside inside gone
ReferencedImageSequence inside inside gone
TransactionUID new new gone
DerivationDescription gone new gone
SourceImageSequence inside inside gone
FrameType kept kept kept
ComplexImageComponent kept kept kept
PatientName new new new
NameToUse gone gone gone
PatientID new new new
IssuerOfPatientID gone gone gone
TypeOfPatientID kept kept gone
PatientBirthDate empty empty new
PatientBirthTime gone gone gone
PatientSex empty kept kept
GenderIdentitySequence gone gone gone
PatientInsurancePlanCodeSequence gone gone gone
OtherPatientIDs gone gone gone
OtherPatientNames gone gone gone
OtherPatientIDsSequence gone gone gone
PatientBirthName gone gone gone
PatientAge gone new new
PatientSize gone kept gone
PatientWeight gone kept gone
PatientAddress gone gone gone
PatientMotherBirthName gone gone gone
MedicalAlerts gone new gone
Allergies gone new gone
CountryOfResidence gone gone gone
RegionOfResidence gone gone gone
PatientTelephoneNumbers gone gone gone
EthnicGroup gone kept gone
EthnicGroups gone kept gone
Occupation gone new gone
SmokingStatus gone kept gone
AdditionalPatientHistory gone new gone
PregnancyStatus gone kept gone
LastMenstrualDate gone new gone
PatientSpeciesDescription kept gone gone
ResponsiblePerson gone gone gone
PatientComments gone new gone
ClinicalTrialProtocolName empty empty gone
ClinicalTrialSubjectID new new gone
ContrastBolusAgent new new gone
BodyPartExamined kept kept kept
ScanningSequence kept kept kept
SequenceVariant kept kept kept
ScanOptions kept kept kept
MRAcquisitionType kept kept kept
SequenceName kept kept kept
AngioFlag kept kept kept
SliceThickness kept kept kept
KVP kept kept kept
RepetitionTime kept kept kept
EchoTime kept kept kept
InversionTime kept kept kept
NumberOfAverages kept kept kept
ImagingFrequency kept kept kept
ImagedNucleus kept kept kept
EchoNumbers kept kept kept
MagneticFieldStrength kept kept kept
SpacingBetweenSlices kept kept kept
NumberOfPhaseEncodingSteps kept kept kept
DataCollectionDiameter kept kept gone
EchoTrainLength kept kept kept
PercentSampling kept kept kept
PercentPhaseFieldOfView kept kept kept
PixelBandwidth kept kept kept
DeviceSerialNumber new new new
DeviceUID new new gone
DeviceID kept gone gone
GantryID gone gone gone
UDISequence gone gone gone
SoftwareVersions kept kept kept
ProtocolName new new new
ContrastBolusRoute kept gone gone
RadiopharmaceuticalStartTime gone new gone
ReconstructionDiameter kept kept kept
DistanceSourceToDetector kept kept gone
DistanceSourceToPatient kept kept gone
GantryDetectorTilt kept kept kept
TableHeight kept kept gone
ExposureTime kept kept gone
XRayTubeCurrent kept kept gone
Exposure kept kept gone
FilterType kept kept gone
FocalSpots kept kept gone
DateOfLastCalibration gone new gone
ConvolutionKernel kept kept kept
ReceiveCoilName kept kept new
AcquisitionMatrix kept kept kept
InPlanePhaseEncodingDirection kept kept kept
FlipAngle kept kept kept
VariableFlipAngleFlag kept kept kept
AcquisitionComments gone new gone
PatientPosition kept kept kept
PulseSequenceName kept kept kept
MRAcquisitionFrequencyEncodingSteps kept kept kept
FrameAcquisitionDateTime new new new
DiffusionDirectionality kept kept kept
DiffusionGradientDirectionSequence inside inside inside
InversionTimes kept kept kept
EffectiveEchoTime kept kept kept
DiffusionBValue kept kept kept
DiffusionGradientOrientation kept kept kept
MRTimingAndRelatedParametersSequence inside inside inside
MREchoSequence inside inside inside
MRModifierSequence inside inside inside
MRDiffusionSequence inside inside inside
MRFOVGeometrySequence inside inside inside
FrameReferenceDateTime new new new
MRImageFrameTypeSequence inside inside inside
MRAcquisitionPhaseEncodingStepsInPlane kept kept kept
MRAcquisitionPhaseEncodingStepsOutOfPlane kept kept kept
AcquisitionProtocolName kept gone gone
StartAcquisitionDateTime new new gone
ContributingEquipmentSequence inside inside gone
StudyInstanceUID new new new
SeriesInstanceUID new new new
StudyID new new new
SeriesNumber kept kept kept
AcquisitionNumber kept kept kept
InstanceNumber kept kept kept
ImagePositionPatient kept kept kept
ImageOrientationPatient kept kept kept
FrameOfReferenceUID new new new
Laterality kept kept kept
TemporalPositionIdentifier kept kept kept
NumberOfTemporalPositions kept kept kept
TemporalResolution kept kept kept
SynchronizationFrameOfReferenceUID new new gone
ImagesInAcquisition kept kept kept
PositionReferenceIndicator kept empty empty
SliceLocation kept kept kept
ImageComments gone new gone
StackID kept kept kept
InStackPositionNumber kept kept kept
FrameContentSequence inside inside inside
PlanePositionSequence inside inside inside
PlaneOrientationSequence inside inside inside
TemporalPositionIndex kept kept kept
FrameAcquisitionNumber kept kept kept
DimensionIndexValues kept kept kept
ConcatenationUID new new gone
DimensionOrganizationUID new new new
DimensionIndexPointer kept kept kept
FunctionalGroupPointer kept kept kept
DimensionIndexSequence inside inside inside
SamplesPerPixel kept kept kept
PhotometricInterpretation kept kept kept
PlanarConfiguration kept kept kept
NumberOfFrames kept kept kept
Rows kept kept kept
Columns kept kept kept
PixelSpacing kept kept kept
PixelAspectRatio kept kept kept
BitsAllocated kept kept kept
BitsStored kept kept kept
HighBit kept kept kept
PixelRepresentation kept kept kept
SmallestImagePixelValue kept kept kept
LargestImagePixelValue kept kept kept
PixelPaddingValue kept kept kept
BurnedInAnnotation kept kept kept
WindowCenter kept kept kept
WindowWidth kept kept kept
RescaleIntercept kept kept kept
RescaleSlope kept kept kept
RescaleType kept kept kept
WindowCenterWidthExplanation kept gone gone
LossyImageCompression kept kept kept
LossyImageCompressionRatio kept kept kept
LossyImageCompressionMethod kept kept kept
LUTExplanation kept new gone
PixelMeasuresSequence inside inside inside
PixelValueTransformationSequence inside inside inside
ReasonForStudy gone new gone
RequestingPhysician gone gone gone
StudyComments gone new gone
AdmissionID gone gone gone
CurrentPatientLocation gone gone gone
PatientState gone new gone
VisitComments gone new gone
ScheduledPerformingPhysicianName gone gone gone
ScheduledProcedureStepID gone gone gone
PerformedLocation gone gone gone
PerformedProcedureStepID gone gone gone
PerformedProcedureStepDescription gone new gone
RequestAttributesSequence gone inside gone
ConfidentialityCode kept gone gone
NamesOfIntendedRecipientsOfResults gone gone gone
PersonIdentificationCodeSequence new new gone
PersonAddress gone gone gone
OrderEnteredBy gone gone gone
FillerOrderNumberImagingServiceRequest empty empty gone
HumanPerformerName gone gone gone
RealWorldValueMappingSequence inside inside inside
RealWorldValueLastValueMapped kept kept kept
RealWorldValueFirstValueMapped kept kept kept
RealWorldValueIntercept kept kept kept
RealWorldValueSlope kept kept kept
ObservationDateTime new new gone
VerifyingObserverSequence inside inside gone
VerifyingObserverName new new gone
PersonName new new gone
TextValue kept gone gone
CurrentObserverTrial gone gone gone
VerbalSourceTrial gone gone gone
ContentSequence new new gone
DisplayURI gone gone gone
DocumentTitle kept gone gone
EncapsulatedDocument new new gone
NumberOfSlices kept kept kept
GraphicAnnotationSequence new new gone
UnformattedTextValue new new gone
ContentCreatorName new new gone
FiducialUID new new gone
SelectorPNValue new new gone
StorageMediaFileSetUID new new gone
IconImageSequence gone gone gone
ModifiedAttributesSequence gone gone gone
OriginalAttributesSequence gone gone gone
StructureSetLabel new new gone
ReferencedFrameOfReferenceUID new new gone
ROIName empty new gone
ROIInterpreter empty empty gone
RTPlanLabel new new gone
RTPlanDate new new gone
RTPlanTime new new gone
TreatmentMachineName empty empty gone
ReviewerName empty empty gone
InterpretationRecorder gone gone gone
InterpretationTranscriber gone gone gone
InterpretationText gone new gone
InterpretationAuthor gone gone gone
PhysicianApprovingInterpretation gone gone gone
DistributionName gone gone gone
ResultsComments gone new gone
SharedFunctionalGroupsSequence inside inside inside
PerFrameFunctionalGroupsSequence inside inside inside
FloatPixelData kept kept kept
PixelData kept kept kept
DigitalSignaturesSequence gone gone gone
"""
KEY = [line.split() for line in ANSWERS.strip().splitlines()]


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [compile_plan(load(name), Policy({})) for name in RECIPES]


@pytest.mark.parametrize("answer", KEY, ids=lambda answer: answer[0])
def test_an_attribute_becomes_what_the_key_says(plans: list[Plan], answer: list[str]) -> None:
    keyword, *wanted = answer
    for plan, said in zip(plans, wanted, strict=True):
        action = plan.explain(keyword)[0].action
        assert action == SAID.get(said, action), plan.recipe.path.name
        assert (said == "new") == (action in {"replaced", "written, sent or not"}), plan.recipe.path.name


def test_no_person_s_name_is_kept_by_any_recipe(plans: list[Plan]) -> None:
    for plan in plans:
        for tag, step in plan.decisions.items():
            if step.vrs == ("PN",) and step.rule:
                assert step.action.value != "kept as sent", hex(tag)


def test_the_key_has_each_attribute_once() -> None:
    assert len({answer[0] for answer in KEY}) == len(KEY) > 200
