"""Writes what is made by code, and with --check says whether it is as written: `python -m cluster`."""

import sys
from pathlib import Path

from cluster import chart

ROOT = Path(__file__).parents[1]


def files() -> dict[str, str]:
    """Every made file's text by its place in the repository."""
    return {
        "helm/cloakroom/values.yaml": chart.values_yaml(),
        "helm/cloakroom/values.schema.json": chart.schema(),
        "helm/cloakroom/README.md": chart.readme(),
    }


def main() -> None:
    """Write them."""
    for name, text in files().items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, encoding="utf-8")
    sys.stdout.write("\n".join(files()) + "\n")


if __name__ == "__main__":
    main()
