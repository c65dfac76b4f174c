"""The composition for a site without Kubernetes: hardened, drained, and pointing at files that exist."""

import json
import re
import subprocess

import pytest

from cluster import __main__ as made
from scp.config import Config, load

pytestmark = pytest.mark.cluster
DOCKER = made.ROOT / "docker"
SERVICES = ("node", "prometheus", "grafana")


@pytest.fixture(scope="module")
def compose(rendering):
    return rendering.yaml.safe_load((DOCKER / "compose.yaml").read_text())


def test_its_services_and_volumes(compose):
    assert set(compose) == {"services", "volumes"}
    assert set(compose["services"]) == set(SERVICES)
    plain = [
        re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume)
        for each in compose["services"].values()
        for volume in each["volumes"]
    ]
    named = {volume.split(":")[0] for volume in plain}
    assert {name for name in named if not name.startswith(".")} == set(compose["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(compose, name):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert ":" in service["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_files_that_are_mounted_exist(compose, name):
    for volume in compose["services"][name]["volumes"]:
        source, _, options = volume.partition(":")
        if source.startswith("."):
            assert (DOCKER / source).exists(), volume
            assert options.endswith(":ro")


def test_nothing_but_dicom_leaves_the_machine(compose):
    for name in SERVICES:
        for port in compose["services"][name]["ports"]:
            assert port.startswith(("127.0.0.1:", "${DICOM_ADDRESS:-127.0.0.1}:11112:"))


def test_the_variables_are_settings_of_the_node(compose):
    given = compose["services"]["node"]["environment"]
    plain = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in given.items()}
    config = load(environ=plain)
    assert (config.ae_title, config.host, config.peers) == ("CLOAKROOM", plain["CLOAKROOM_HOST"], ())
    mounted = {volume.rpartition(":")[2] for volume in compose["services"]["node"]["volumes"]}
    assert config.inbound.folder in mounted


def test_the_node_gets_the_time_its_drain_takes(compose):
    seconds = int(compose["services"]["node"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= Config().limits.drain_seconds + 15


def test_prometheus_takes_its_configuration(tmp_path):
    for name in ("prometheus.yaml", "alerts.yaml"):
        (tmp_path / name).write_bytes((DOCKER / name).read_bytes())
    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yaml"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_grafana_finds_source_and_dashboard(rendering, compose):
    provisioning = DOCKER / "grafana" / "provisioning"
    sources = rendering.yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
    boards = rendering.yaml.safe_load((provisioning / "dashboards" / "cloakroom.yaml").read_text())
    path = boards["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{path}:ro" in compose["services"]["grafana"]["volumes"]
    assert json.loads((DOCKER / "grafana" / "dashboards" / "cloakroom.json").read_text())["uid"] == "cloakroom"
