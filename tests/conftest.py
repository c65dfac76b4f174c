import logging

import pydicom.config
import pytest


@pytest.fixture(autouse=True)
def libraries_as_they_were():
    """A worker mutes pydicom and pynetdicom for its process; tests share one."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "pynetdicom")]
    levels, mode = [logger.level for logger in loggers], pydicom.config.settings.reading_validation_mode
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    pydicom.config.settings.reading_validation_mode = mode
