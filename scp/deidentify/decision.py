"""What a recipe decided about one attribute, in words, and the line that decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scp.deidentify.step import Action


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one attribute, and the line that decided; `line` is 0 and `text` empty where none did."""

    attribute: str
    action: str
    path: Path
    line: int
    text: str


ACTION_OF: Mapping[str, str] = {
    "KEEP": Action.KEEP.value,
    "BLANK": Action.BLANK.value,
    "REPLACE": Action.REPLACE.value,
    "JITTER": Action.REPLACE.value,
    "ADD": Action.ADD.value,
    "REMOVE": Action.REMOVE.value,
}
