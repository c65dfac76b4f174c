"""What a de-identification function may look at: the original as it came, and whose token it becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scp.dataset import DataSet
from scp.instance import Subject

VALUES = "\\"  # parts the values of an attribute (PS3.5 6.4)


@dataclass(frozen=True, slots=True, repr=False)
class Original:
    """The original data set, never a half-processed one, with its subject and the site's protocol names."""

    dataset: DataSet
    subject: Subject
    protocols: Mapping[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    """What its UIDs have become so far: the same ones are asked for again and again."""

    def text(self, tag: int) -> str:
        """A top-level value without its padding; characters that are not of the character set become U+FFFD."""
        return self.decode(self.dataset.value(tag))

    def decode(self, value: bytes) -> str:
        """The same for any value of the data set. Raises Failure MALFORMED where the character set is unknown."""
        return self.dataset.decode(value, "replace").strip(" \0")


Function = Callable[[str, Original], str]
"""From an attribute's text as sent (several are parted by a backslash, "" for none) to the value written, ASCII."""

Rewrite = Callable[[bytes], bytes]
"""From the bytes of a private attribute to those written in their place, empty where they cannot be read."""
