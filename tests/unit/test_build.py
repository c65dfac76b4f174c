import os
import stat

import pytest
from doubles import metrics
from factories import arrival, mr
from writing import writing

from scp import build
from scp.bounds import Bounds
from scp.config import Config
from scp.deidentify.recipe import RecipeError
from scp.glance import look
from scp.outcome import Outcome
from scp.state import State
from scp.store import keys
from scp.store.keys import KeyFileError


@pytest.fixture
def config(tmp_path):
    return Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1)


@pytest.fixture
def node(config):
    node = build.prepare(config)
    yield node
    os.close(node.lock)


def test_the_first_start_makes_keys_folders_and_databases(node, config):
    assert sorted(path.name for path in node.made) == ["linkage.key", "officer.key", "officer.pub"]
    assert config.index_path.exists()
    assert config.linkage_path.exists()
    assert (config.export / ".tmp").is_dir()


@pytest.mark.parametrize("umask", [0o077, 0o027, 0])
def test_folders_are_open_to_the_group_whatever_the_umask(config, umask):
    config.state.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        os.close(build.prepare(config).lock)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (config.export, config.export / ".tmp", config.state)]
    assert modes == [0o750, 0o750, 0o700]


def test_the_bounds_of_a_data_set_are_the_configured_ones(tmp_path):
    limits = {"max_depth": 3, "max_elements": 40, "max_values": 500, "max_header_bytes": 6000}
    assert build.bounds(Config(limits=limits)) == Bounds(depth=3, elements=40, values=500, header_bytes=6000)
    assert build.bounds(Config()) == Bounds()


def test_the_second_start_makes_nothing_and_is_the_same_node(node, config):
    os.close(os.dup(node.lock))
    first = node.id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_lock", lambda _path: os.open(os.devnull, os.O_RDONLY))
        second = build.prepare(config)
    os.close(second.lock)
    assert (second.id, list(second.made)) == (first, [])


def test_one_node_for_one_state(node, config, monkeypatch):
    monkeypatch.setattr(build, "_LOCK_SECONDS", 0.05)
    with pytest.raises(build.StartError, match="another node runs on this state folder"):
        build.prepare(config)
    assert build.is_running(config)


def test_nobody_runs_where_nobody_ever_ran(config):
    assert not build.is_running(config)


def test_the_lock_is_free_again_when_the_node_is_gone(config):
    os.close(build.prepare(config).lock)
    assert not build.is_running(config)


def test_lost_keys_are_not_replaced(config):
    os.close(build.prepare(config).lock)
    for path in config.keys.iterdir():
        path.unlink()
    with pytest.raises(KeyFileError, match="is missing"):
        build.prepare(config)
    assert list(config.keys.iterdir()) == []


def test_a_first_start_that_was_stopped_between_two_keys_is_no_last_one(config):
    keys.init(config.keys)
    (config.keys / "officer.pub").unlink()
    node = build.prepare(config)
    assert [path.name for path in node.made] == ["officer.pub"]
    os.close(node.lock)


def test_a_wrong_recipe_changes_nothing(config):
    with pytest.raises(RecipeError):
        build.prepare(config.model_copy(update={"recipe": "there-is-none"}))
    assert not config.state.exists()


def test_a_wrong_layout_changes_nothing(config):
    with pytest.raises(build.StartError, match='there is no layout "round"; there are dated, daily, flat'):
        build.prepare(config.model_copy(update={"layout": "round"}))
    assert not config.state.exists()


def test_a_folder_that_cannot_be_made_is_named(config, tmp_path):
    (tmp_path / "state").write_bytes(b"a file stands here")
    with pytest.raises(build.StartError, match=r"state: cannot be made or written to \(FileExistsError\)"):
        build.prepare(config)


def test_what_half_written_files_a_dead_node_left_is_gone_after_the_start(config):
    os.close(build.prepare(config).lock)
    left = config.export / ".tmp" / "123456789012-1"
    left.mkdir()
    (left / ".tmp-7-7").write_bytes(b"half")
    os.close(build.prepare(config).lock)
    assert not left.exists()  # and no delivery ever had this folder


def test_the_parts_work_together(node, config):
    intake = build.intake(node, metrics())
    with writing(config.index_path, config.index_socket):
        assert intake.take(arrival(mr())) is Outcome.STORED
        assert intake.take(arrival(mr(BurnedInAnnotation="YES", SOPInstanceUID="2.25.9"))) is Outcome.BURNED_IN
    glance = look(config)
    assert glance.visits() == {"receiving": 1}
    assert glance.quarantined() == {"burned_in": 1}
    assert glance.quarantine_bytes() > 100
    assert glance.troubles() == []
    intake.index.close()
    (visit,) = glance.index.listing("visits")
    assert build.steward(config, metrics()).publish_now(visit["scan_research_id"]) is State.PUBLISHED
    assert glance.visits_in_every_state() == {state.label: int(state is State.PUBLISHED) for state in State}


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, False),
        ({"host": "0.0.0.0"}, True),  # noqa: S104
        ({"host": "0.0.0.0", "networks": ["10.0.0.0/8"]}, False),  # noqa: S104
        ({"host": "0.0.0.0", "peers": [{"ae_title": "PACS"}]}, False),  # noqa: S104
        ({"host": "0.0.0.0", "tls": {"enabled": True}}, True),  # noqa: S104
        ({"host": "0.0.0.0", "tls": {"enabled": True, "plain_port": False}}, False),  # noqa: S104
        (
            {"host": "0.0.0.0", "tls": {"plain_port": False, "require_client_certificate": False}},  # noqa: S104
            True,
        ),
        ({"host": "0.0.0.0", "networks": ["10.0.0.0/8"], "user_identity": {"check": "password"}}, True),  # noqa: S104
    ],
)
def test_a_door_open_to_all_is_warned_of(tmp_path, changes, warned):
    assert bool(build.warnings(Config(**changes))) is warned
