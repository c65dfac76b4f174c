"""Where the scripted peer and the campaign are found, and a process as quiet as a worker."""

import sys
from pathlib import Path

import pydicom.config
import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "dialogues"), str(Path(__file__).parent)]

from scp.receive.negotiation import quieten  # noqa: E402  the path comes first


@pytest.fixture(autouse=True)
def quiet():
    before = pydicom.config.settings.reading_validation_mode
    quieten()
    yield
    pydicom.config.settings.reading_validation_mode = before
