"""Copies out of a virtual environment what one distribution declares, and nothing else: no installer, no tests.

    python docker/assemble.py FROM TO

TO becomes a virtual environment of its own, its modules compiled, so that a root that is read-only costs no time at
the start. Runs inside the image's first stage, with the interpreter of FROM.
"""

import compileall
import json
import re
import shutil
import sys
import sysconfig
import venv
from collections import defaultdict
from importlib.metadata import Distribution, distribution
from pathlib import Path
from py_compile import PycInvalidationMode

from packaging.requirements import Requirement

NAME = "cloakroom"
# Declared by what the node needs, and imported by nothing that it calls: sqlite-utils installs plugins with pip, and
# deid draws on matplotlib when it cleans pixels. A test starts the node and pushes a study without them.
UNUSED = {"pip", "matplotlib"}
TESTS = {"tests", "test", "sample_data", "test_files"}
SCRIPT = "#!{0}/bin/python3\nimport sys\nfrom scp.cli import main\n\nsys.exit(main())\n"


def closure(name: str) -> dict[str, Distribution]:
    """The distribution and all that it needs here, by name."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        key = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if key in found or key in UNUSED:
            continue
        found[key] = distribution(key)
        needs = (Requirement(text) for text in found[key].requires or ())
        waiting.extend(need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""}))
    return found


def wanted(path: Path) -> bool:
    """Modules, their programs and data, but no tests, scripts or compiled files; `bin` is no package either."""
    inside = path.parts[1:]  # a package called `tests` would be somebody's mistake; a folder of one is not
    return not (TESTS & set(inside) or "__pycache__" in path.parts or ".." in path.parts or path.parts[0] == "bin")


def copy(found: dict[str, Distribution], target: Path) -> dict[str, int]:
    """Copy the files; returns the bytes of each distribution."""
    sizes: dict[str, int] = defaultdict(int)
    for name, held in found.items():
        for file in held.files or ():
            path = Path(file)
            if not wanted(path):
                continue
            place = target / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(str(held.locate_file(file))), place)  # with its mode: dcm2niix is a program
            sizes[name] += place.stat().st_size
    return dict(sizes)


def main() -> None:
    """Make TO."""
    target = Path(sys.argv[2])
    venv.EnvBuilder(with_pip=False, symlinks=True).create(target)
    for script in (*target.glob("bin/activate*"), *target.glob("bin/Activate*")):
        script.unlink()
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(target), "platbase": str(target)}))
    sizes = copy(closure(NAME), packages)
    compileall.compile_dir(packages, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    command = target / "bin" / NAME
    command.write_text(SCRIPT.format(target), encoding="utf-8")
    command.chmod(0o755)
    (target / "parts.json").write_text(json.dumps(sizes, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
