import gc
import logging
import os

import pydicom.config
import pytest
from hypothesis import HealthCheck, settings
from keeping import Keeping
from pynetdicom.association import Association
from requestor import Checkpoint

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile("untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_xdist_auto_num_workers():
    """More than there are processors, as tests mostly wait; not too many, as each holds all of them in its memory."""
    return min(2 * len(os.sched_getaffinity(0)), 8)


def pytest_collection_finish():
    """What was collected stays to the end: the collector need not go through it again, nor forks copy it for that."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_answer_lost():
    """The requestor of pynetdicom waits at a checkpoint without its race."""
    made = Association.__init__

    def make(association, *args, **kwargs):
        made(association, *args, **kwargs)
        association._reactor_checkpoint = Checkpoint(association)

    Association.__init__ = make
    yield
    Association.__init__ = made


@pytest.fixture(autouse=True)
def libraries_as_they_were():
    """A worker mutes pydicom and pynetdicom for its process; tests share one."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "pynetdicom")]
    levels, mode = [logger.level for logger in loggers], pydicom.config.settings.reading_validation_mode
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    pydicom.config.settings.reading_validation_mode = mode


@pytest.fixture
def keeping(tmp_path, monkeypatch):
    """Makes a house whose visits are kept for some days only, and closes it."""
    houses = []

    def make(days=None, **settings):
        houses.append(Keeping(tmp_path, monkeypatch, days, **settings))
        return houses[-1]

    yield make
    for house in houses:
        house.close()
