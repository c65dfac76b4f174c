"""Every attack: what is said, how slowly, on how many connections, and how the node is to end it.

Most were tried on other receivers first: CVEs of DICOM software and the weaknesses that stock reactors showed.
"""

from bench.hostile.before import BEFORE
from bench.hostile.commands import COMMANDS
from bench.hostile.data_sets import DATA_SETS
from bench.hostile.secure import SECURE
from bench.hostile.within import WITHIN

ATTACKS = (*BEFORE, *SECURE, *WITHIN, *COMMANDS, *DATA_SETS)
BY_NAME = {attack.name: attack for attack in ATTACKS}
