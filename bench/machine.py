"""Which machine and which programs the figures belong to, and what is missing to make them."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PACKAGES = {"storescu": "dcmtk", "storescp": "dcmtk", "Orthanc": "orthanc"}


def missing() -> list[str]:
    """Debian's packages of the peers that are not installed."""
    return sorted({package for program, package in PACKAGES.items() if _which(program) is None})


def install(packages: list[str]) -> bool:
    """Install Debian's packages, if this is Debian and we are root; whether it came about."""
    if os.geteuid() or shutil.which("apt-get") is None:
        return False
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]):
        words = command + (packages if command[1] == "install" else [])
        subprocess.run(
            words, check=False, stdout=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        )
    return not missing()


def versions() -> list[tuple[str, str]]:
    """Machine and programs, each with what it says of itself."""
    return [
        ("machine", f"{len(os.sched_getaffinity(0))} CPUs ({_cpu()}), {_memory()} GiB, {_filesystem()}"),
        ("system", f"{platform.freedesktop_os_release().get('PRETTY_NAME', '')}, Linux {platform.release()}"),
        ("Python", platform.python_version()),
        ("Cloakroom", version("cloakroom")),
        ("DCMTK", _first("storescu", "--version").split(" ")[2]),
        ("Orthanc", _first("Orthanc", "--version").split(" ")[-1]),
        ("pynetdicom", version("pynetdicom")),
    ]


def _which(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def _first(program: str, *words: str) -> str:
    done = subprocess.run([_which(program) or program, *words], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[0]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


def _filesystem() -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    here = Path(sys.argv[0]).resolve()
    return max((mount for mount in mounts if here.is_relative_to(mount[0])), key=lambda mount: len(mount[0]))[1]
