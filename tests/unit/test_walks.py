"""Who waits for whom: imports, the start of a node, and an operator's commands that change keys or databases."""

import threading

import pytest

from scp import build, walks
from scp.build import StartError
from scp.config import Config
from scp.upkeep import importing, repair, rotate


@pytest.fixture
def config(tmp_path):
    return Config(state=tmp_path / "state", export=tmp_path / "export", min_free_bytes=1)


def test_imports_go_on_beside_each_other(tmp_path):
    with walks.importing(tmp_path), walks.importing(tmp_path), walks.instance(tmp_path), walks.instance(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"imports.lock", "walks.lock"}


def test_no_import_means_none(tmp_path):
    with walks.importing(tmp_path), pytest.raises(walks.Busy), walks.no_import(tmp_path):
        pytest.fail("let in")
    with walks.no_import(tmp_path), pytest.raises(walks.Busy), walks.importing(tmp_path):
        pytest.fail("let in")
    with walks.no_import(tmp_path):
        pass


def test_a_start_waits_for_the_instance_under_way(tmp_path):
    begun, told = threading.Event(), []

    def start():
        begun.set()
        with walks.no_instance(tmp_path):
            told.append("recovered")

    with walks.instance(tmp_path):
        thread = threading.Thread(target=start)
        thread.start()
        assert begun.wait(30)
        thread.join(0.2)
        assert thread.is_alive()
        told.append("stored")
    thread.join(30)
    assert told == ["stored", "recovered"]


def test_an_import_without_a_node_makes_what_a_start_makes(config):
    with importing(config):
        assert config.index_path.exists()
        assert config.linkage_path.exists()
        assert not build.is_running(config)
    node = build.prepare(config)
    assert node.made == ()
    build.os.close(node.lock)


@pytest.mark.parametrize("command", [repair, rotate])
def test_no_key_and_no_database_is_changed_below_an_import(config, command):
    with importing(config), pytest.raises(StartError, match="an import runs"):
        command(config)
    command(config)


def test_no_import_begins_below_such_a_command(config):
    with importing(config):
        pass
    with build.alone(config), pytest.raises(StartError, match="a command that changes"), importing(config):
        pytest.fail("let in")


def test_a_node_may_start_while_an_import_runs(config):
    with importing(config):
        node = build.prepare(config)
        assert build.is_running(config)
        build.os.close(node.lock)


def test_an_import_beside_a_node_takes_no_lock_of_the_nodes(config):
    node = build.prepare(config)
    try:
        with importing(config):
            assert build.is_running(config)
    finally:
        build.os.close(node.lock)
    assert not build.is_running(config)
