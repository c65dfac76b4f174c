"""The chart as Helm renders it: linted, strict, valid in Kubernetes of every age claimed, taken by the node."""

import json
import math
import re

import pytest

from cluster import __main__ as made
from cluster.values import every
from scp.config import load

pytestmark = pytest.mark.cluster

SETS = ("single", "tls", "restricted", "existing-secret")
VERSIONS = ("1.27", "1.31", "1.37")  # the oldest that Chart.yaml claims, one between, the newest there is
GRACE = 25  # preStop and what the supervisor needs beyond its drain


@pytest.fixture(params=SETS)
def values(request, rendering):
    return rendering.values(request.param)


@pytest.fixture
def documents(rendering, values):
    return rendering.render(values)


def manifests(documents):
    return {key: document for key, document in documents.items() if key != "notes"}


def pod(documents):
    return documents["StatefulSet", "cloakroom"]["spec"]["template"]["spec"]


def node(documents):
    return pod(documents)["containers"][0]


def configuration(documents, tmp_path):
    path = tmp_path / "cloakroom.toml"
    path.write_text(documents["ConfigMap", "cloakroom"]["data"]["cloakroom.toml"])
    return load(path, {})


def test_what_is_made_by_code_is_as_it_was_made():
    for name, text in made.files().items():
        assert (made.ROOT / name).read_text("utf-8") == text, f"{name}: run `make cluster`"


def test_every_set_is_tested(rendering):
    assert {path.name for path in (rendering.CHART / "ci").iterdir()} == {f"{name}-values.yaml" for name in SETS}


def test_lint(rendering, values):
    findings = rendering.lint(values)
    assert findings["errors"] == []
    assert [found for found in findings["messages"] if found["error"] != "icon is recommended"] == []


def test_kubernetes_takes_every_document(rendering, documents):
    assert len(manifests(documents)) >= 5
    for version in VERSIONS:
        for key, document in manifests(documents).items():
            assert rendering.invalid(document, version) == [], (version, key)


def test_the_validation_can_fail(rendering):
    documents = rendering.render()
    documents["StatefulSet", "cloakroom"]["spec"]["replica"] = 1
    assert all(rendering.invalid(documents["StatefulSet", "cloakroom"], version) for version in VERSIONS)


def test_the_node_takes_the_configuration(documents, values, tmp_path):
    config = configuration(documents, tmp_path)
    assert config.ae_title == values.get("aeTitle", "CLOAKROOM")
    assert [peer.ae_title for peer in config.peers] == [peer["aeTitle"] for peer in values.get("peers", [])]
    assert config.limits.drain_seconds == values.get("drainSeconds", 30)
    assert dict(config.protocols) == values.get("protocols", {})
    assert dict(config.variables) == values.get("variables", {})
    assert config.tls.enabled is values.get("tls", {}).get("enabled", False)


def test_strings_reach_the_node_as_they_are_written(rendering, tmp_path):
    odd = {"T1 \"quoted\" & <odd> \u00e9 'x'": "T1 & T2 <3 \u00e9", "a.b = [c]": "plain", "tab\tbed": "one # two"}
    config = configuration(rendering.render({"protocols": odd}), tmp_path)
    assert dict(config.protocols) == odd


def test_large_numbers_stay_whole(rendering, tmp_path):
    config = configuration(rendering.render({"limits": {"max_bytes_in_flight": 2**33}}), tmp_path)
    assert config.limits.max_bytes_in_flight == 2**33


def test_the_pod_is_restricted(documents):
    assert pod(documents)["automountServiceAccountToken"] is False
    assert pod(documents)["securityContext"]["runAsNonRoot"] is True
    assert pod(documents)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod(documents)["containers"], *pod(documents).get("initContainers", [])]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_service_links_are_off_everywhere(documents):
    assert pod(documents)["enableServiceLinks"] is False
    for (kind, _), document in manifests(documents).items():
        if kind == "Pod":
            assert document["spec"]["enableServiceLinks"] is False


def test_the_grace_period_follows_from_the_drain(documents, values):
    drain = values.get("drainSeconds", 30)
    assert pod(documents)["terminationGracePeriodSeconds"] == drain + GRACE
    assert node(documents)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "10"]


@pytest.mark.parametrize("drain", [0.5, 1, 7.2, 600])
def test_half_seconds_are_given_whole(rendering, drain):
    found = pod(rendering.render({"drainSeconds": drain}))["terminationGracePeriodSeconds"]
    assert found == math.ceil(drain) + GRACE


def test_the_sender_keeps_its_address(documents, values):
    service = documents["Service", "cloakroom"]["spec"]
    outside = values.get("service", {}).get("type", "LoadBalancer") != "ClusterIP"
    assert (service.get("externalTrafficPolicy") == "Local") is outside
    assert documents["Service", "cloakroom-status"]["spec"]["type"] == "ClusterIP"


def test_ports_are_named_alike_everywhere(documents):
    named = {port["name"] for port in node(documents)["ports"]}
    wanted = {port["targetPort"] for name in ("cloakroom", "cloakroom-status") for port in
              documents["Service", name]["spec"]["ports"]}  # fmt: skip
    assert wanted == named
    policy = documents.get(("NetworkPolicy", "cloakroom"))
    if policy:
        open_ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])}
        assert open_ports == named
        assert not policy["spec"]["egress"]


def test_volumes_and_mounts_belong_together(documents):
    volumes = {volume["name"] for volume in pod(documents)["volumes"]}
    claims = {
        claim["metadata"]["name"]
        for claim in documents["StatefulSet", "cloakroom"]["spec"].get("volumeClaimTemplates", [])
    }
    containers = [*pod(documents)["containers"], *pod(documents).get("initContainers", [])]
    mounted = {mount["name"] for container in containers for mount in container["volumeMounts"]}
    assert mounted == volumes | claims
    assert {"state", "export"} <= mounted


def test_a_folder_is_watched_where_a_claim_is_named(rendering, tmp_path):
    documents = rendering.render(rendering.values("existing-secret"))
    config = configuration(documents, tmp_path)
    assert (config.inbound.after, config.inbound.settle_seconds) == ("remove", 30.0)
    assert {"name": "inbound", "mountPath": config.inbound.folder} in node(documents)["volumeMounts"]
    (volume,) = [volume for volume in pod(documents)["volumes"] if volume["name"] == "inbound"]
    assert volume["persistentVolumeClaim"] == {"claimName": "research-files"}
    without = rendering.render()
    assert not configuration(without, tmp_path).inbound.folder
    assert "inbound" not in {mount["name"] for mount in node(without)["volumeMounts"]}


def test_claims_outlive_the_release(documents):
    policy = documents["StatefulSet", "cloakroom"]["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert policy == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_labels_are_strings(documents):
    for key, document in manifests(documents).items():
        found = document["metadata"]["labels"]
        assert all(isinstance(value, str) for value in found.values()), key
        assert found["app.kubernetes.io/instance"] == "cloakroom"


def test_selectors_find_the_pod(documents):
    labels = documents["StatefulSet", "cloakroom"]["spec"]["template"]["metadata"]["labels"]
    for name in ("cloakroom", "cloakroom-status"):
        assert documents["Service", name]["spec"]["selector"].items() <= labels.items()
    assert documents["StatefulSet", "cloakroom"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_changed_setting_starts_a_new_pod(rendering):
    def stamp(**values):
        template = rendering.render(values)["StatefulSet", "cloakroom"]["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/config"]

    assert stamp() == stamp()
    assert stamp() != stamp(aeTitle="OTHER")
    assert stamp(recipe={"files": {"a.dicom": "x"}}) != stamp(recipe={"files": {"a.dicom": "y"}})


def test_keys_of_a_secret_are_closed_to_the_group(rendering):
    documents = rendering.render(rendering.values("existing-secret"))
    init = pod(documents)["initContainers"][0]
    assert init["command"][:3] == ["install", "-m", "0400"]
    assert {"name": "keys", "mountPath": "/var/lib/cloakroom/state/keys", "readOnly": True} in node(documents)[
        "volumeMounts"
    ]
    memory = next(volume for volume in pod(documents)["volumes"] if volume["name"] == "keys")
    assert memory["emptyDir"]["medium"] == "Memory"


def test_no_secret_is_made_and_nothing_is_random(rendering, values):
    documents = rendering.render(values)
    assert not [kind for kind, _ in manifests(documents) if kind == "Secret"]
    assert documents == rendering.render(values)


def test_an_image_by_digest(rendering):
    assert node(rendering.render(rendering.values("restricted")))["image"].endswith("@sha256:" + "0" * 64)
    assert node(rendering.render({"image": {"tag": "x"}}))["image"].endswith("/cloakroom:x")
    assert node(rendering.render())["image"].endswith("/cloakroom:0.1.0")


def test_the_operators_objects(rendering):
    documents = rendering.render(rendering.values("restricted"))
    monitor = documents["ServiceMonitor", "cloakroom"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    labels = documents["Service", "cloakroom-status"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["endpoints"][0]["authorization"]["credentials"] == {
        "name": "cloakroom-status",
        "key": "token",
    }
    assert documents["PrometheusRule", "cloakroom"]["spec"].keys() == {"groups"}
    board = documents["ConfigMap", "cloakroom-dashboard"]
    assert json.loads(board["data"]["cloakroom.json"]) is not None
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"


@pytest.mark.parametrize(
    ("over", "stranger"),
    [
        ({}, False),
        ({"peers": [{"aeTitle": "PACS"}]}, True),
        ({"peers": [{"aeTitle": "PACS"}], "test": {"accepted": True, "aeTitle": "PACS"}}, False),
        ({"test": {"accepted": False}}, True),
    ],
)
def test_the_hook_knows_whether_it_is_a_stranger(rendering, over, stranger):
    hook = rendering.render(over)["Pod", "cloakroom-test"]
    args = hook["spec"]["containers"][0]["args"]
    assert args[0] == "probe"
    assert ("--stranger" in args) is stranger
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_the_hook_of_a_node_without_plain_port_asks_its_status_only(rendering):
    hook = rendering.render(rendering.values("tls"))["Pod", "cloakroom-test"]
    assert hook["spec"]["containers"][0]["args"] == ["probe", "--status", "http://cloakroom-status:8080"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"aeTitel": "X"}, "aeTitel"),
        ({"aeTitle": "SEVENTEEN_LETTERS"}, "aeTitle"),
        ({"aeTitle": "BACK\\SLASH"}, "aeTitle"),
        ({"aeTitle": " X"}, "aeTitle"),
        ({"peers": [{"networks": []}]}, "aeTitle"),
        ({"peers": [{"aeTitle": "PACS", "network": []}]}, "network"),
        ({"storage": {"state": {"size": "20G"}}}, "size"),
        ({"service": {"type": "ExternalName"}}, "type"),
        ({"service": {"port": 70000}}, "port"),
        ({"networks": ["anywhere"]}, "networks"),
        ({"drainSeconds": 0}, "drainSeconds"),
        ({"image": {"digest": "sha256:1"}}, "digest"),
        ({"visits": {"layout": "bids"}}, "layout"),
        ({"inbound": {"after": "forget"}}, "after"),
        ({"replicas": 2}, "replicas"),
        ({"tls": {"enabled": True}}, "tls.existingSecret"),
        ({"tls": {"plainPort": False}}, "no port is left"),
        ({"userIdentity": {"check": "password"}}, "userIdentity.existingSecret"),
    ],
)
def test_what_is_not_understood_is_refused(rendering, given, said):
    assert said in rendering.refused(given)


def test_the_sets_and_defaults_are_taken(rendering, values):
    assert rendering.refused(values) == ""
    assert rendering.refused({}) == ""


def test_every_value_has_a_sentence_and_is_used(rendering):
    templates = "".join(path.read_text() for path in (rendering.CHART / "templates").rglob("*") if path.is_file())
    for value in every():
        assert value.sentence.endswith("."), value.path
        assert value.path.split(".")[-1] in templates, value.path


def test_the_notes_tell_the_administrator_what_to_enter(rendering, values):
    notes = rendering.render(values)["notes"]
    assert f"AE title   {values.get('aeTitle', 'CLOAKROOM')}" in notes
    assert "helm test cloakroom --namespace imaging" in notes
    assert ("TLS port   2762" in notes) is values.get("tls", {}).get("enabled", False)
    assert ("officer.key" in notes) is ("keys" not in values)
    for peer in values.get("peers", []):
        assert peer["aeTitle"] in notes
    assert not re.search(r"\{\{|<no value>|%!", notes)


def test_two_releases_do_not_meet(rendering):
    with rendering.helm.Chart.load(str(rendering.CHART)) as chart:
        first, second = ("\n".join(chart.render({}, name=name, namespace="x").values()) for name in ("ct", "mr"))
    assert "ct-cloakroom" in first
    assert "ct-cloakroom" not in second


def test_a_long_name_stays_a_name(rendering):
    documents = rendering.render({"fullnameOverride": "a" * 80})
    assert all(len(name) <= 63 for kind, name in manifests(documents))
