"""docs/licences.md from the bill of materials: what the image holds, and under which licence."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

HEAD: Final = """# What the image holds

Written by `make sbom` from the CycloneDX bill of materials that it makes of the image's own environment
(`dist/sbom.cdx.json`). Debian's packages in the base are not among them; `dpkg-query` in the image lists those.

| Package | Version | Licence |
|---|---|---|
"""

# Of packages whose metadata names none: as their repositories' LICENSE files do.
ELSEWHERE: Final[Mapping[str, str]] = {
    "dcm2niix": "BSD-2-Clause; parts MIT, BSD, zlib or in the public domain",
    "pyrage": "MIT",
    "sqlite-fts4": "Apache-2.0",
}


def licence(component: Mapping[str, Any]) -> str:
    """A component's licence: an expression or identifiers, else the names that its author chose."""
    exact, named = [], []
    for entry in component.get("licenses", ()):
        held = entry.get("license", {})
        if found := entry.get("expression") or held.get("id"):
            exact.append(found)
        elif held.get("name"):
            named.append(held["name"].removeprefix("License :: ").removeprefix("OSI Approved :: "))
    return ", ".join(dict.fromkeys(exact or named)) or ELSEWHERE.get(component["name"], "unknown")


def table(bom: Mapping[str, Any]) -> str:
    """The page."""
    rows = sorted((part["name"].lower(), part["version"], licence(part)) for part in bom["components"])
    return HEAD + "".join(f"| {name} | {version} | {words} |\n" for name, version, words in rows)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(table(json.loads(Path(sys.argv[1]).read_text("utf-8"))), encoding="utf-8")
