"""A disk that can lose its power: an ext4 image on a loop device, of which exactly what was written is kept.

What the file system still holds in memory is lost, as it is with the machine; a disk whose own cache lies is not
modelled. Needs root and a free loop device.
"""

import mmap
import re
import shutil
import subprocess
from pathlib import Path
from typing import Self

MEGABYTES = 96


class Disk:
    """One image; `cut` copies it while nothing is written to it, and goes on with the copy."""

    def __init__(self, folder: Path, megabytes: int = MEGABYTES, options: str = "data=ordered") -> None:
        self.megabytes, self.options = megabytes, options
        self.image = folder / "disk.img"
        self.point = folder / "mount"
        self.device = ""
        self.cuts = 0

    def __enter__(self) -> Self:
        self.point.mkdir()
        with self.image.open("wb") as file:
            file.truncate(self.megabytes << 20)
        run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self.image))
        return self

    def __exit__(self, *_error: object) -> None:
        self.unmount()

    def mount(self) -> Path:
        """The folder under which it is mounted, journal replayed."""
        if not self.device:
            self.device = run("losetup", "--find", "--show", str(self.image))
            run("mount", "-o", self.options, self.device, str(self.point))
        return self.point

    def unmount(self) -> None:
        """Everything is written back."""
        if self.device:
            run("umount", str(self.point))
            run("losetup", "--detach", self.device)
            self.device = ""

    def cut(self) -> None:
        """The power goes: from now on the disk is what it was at one moment."""
        copy = self.image.with_suffix(".copy")
        while True:
            before = self._written()
            shutil.copyfile(self.image, copy)
            if self._written() == before:
                break
        self.unmount()
        copy.replace(self.image)
        self.cuts += 1

    def holds(self, pattern: re.Pattern[bytes]) -> int:
        """Where the device, free blocks and journal included, holds something like this; 0 for nowhere."""
        with self.image.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            found = pattern.search(data)
            return found.start() if found else 0

    def _written(self) -> tuple[str, ...]:
        """Counters of what the device was given, and of what is under way at it (Documentation/block/stat)."""
        fields = Path(f"/sys/block/{Path(self.device).name}/stat").read_text().split()
        return (*fields[4:7], fields[8])


def run(*words: str) -> str:
    """A system's command; raises CalledProcessError."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
