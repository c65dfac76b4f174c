"""Cloakroom: a DICOM Storage SCP that de-identifies in-stream and hands whole visits to the MIP Data Factory.

The map of the house, in the order an instance walks through it:

receive/     the front door: sockets, associations, C-STORE and C-ECHO        -> an Arrival (identified)
intake       the walk of one instance, one function: read it first; arriving, for one that is too large for memory
admission/   who and what may come in
deidentify/  the recipe, compiled to a plan, applied to the received bytes    -> a DeidentifiedInstance
grouping     which studies are one visit
layouts/     where a visit stands in the export tree and what its files are called
store/       durable files; the sealed quarantine
db/          all SQL: the index (pseudonymous) and the linkage (identified, encrypted, apart)
steward/     checks a visit once it is complete, and publishes it
moving/      visits merged and split before that, by an operator's word
exports/     what is made of published visits besides
retention/   what has been kept long enough goes
inbound/     files as input: what a peer would send, found in folders, ZIPs and on media
volumes/     NIfTI files as input                                             -> a DeidentifiedVolume
retrieve/    the back door: where this node is the requestor
verify/      holds the index against the disks
recovery/    what a start puts right before it serves
web/         /metrics, /healthz, /readyz
cli/         one file a verb

outcome (the table of answers), instance, dataset and table (the types), config, metrics, log, memory, walks (locks) and
faults (failpoints) stand below them all;
build is the only place where the parts are put together; glance is what an outsider may know of a node, upkeep what an
operator does to it beside serving.
"""

__version__ = "0.1.0"

# How this software names itself in associations and in file meta information (PS3.7 D.3.3.2, PS3.10 7.1). Neither
# changes with a release, or the same instance sent again would not be the same file.
IMPLEMENTATION_CLASS_UID = "2.25.46016918412860072378659749928587412182"
IMPLEMENTATION_VERSION_NAME = "CLOAKROOM_0"
