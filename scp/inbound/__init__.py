"""Files as input: a folder, a ZIP or a medium's files walk as if a peer had sent them one by one."""

from scp.inbound.entry import Aside, Entry
from scp.inbound.run import Answer, Import
from scp.inbound.sealing import Sealing
from scp.inbound.tree import entries
from scp.inbound.watch import Watch, prepare

__all__ = ["Answer", "Aside", "Entry", "Import", "Sealing", "Watch", "entries", "prepare"]
