"""The chart's own pod, run without a cluster: `podman kube play` of what Helm rendered, and a study pushed into it."""

import os

import containers
import pytest
from authority import Authority
from containers import Contained, podman
from pynetdicom import AE
from running import free_port, wait

from scp import phantom
from scp.retrieve.send import send
from scp.store import keys

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

PORTS = {"port = 11112": "port", "http_port = 8080": "http_port", "port = 2762": "tls_port"}
EVERYWHERE = '"0.0.0.0"'  # as the chart has it; a test stays on loopback
PROBED = ("startupProbe", "livenessProbe", "readinessProbe")  # podman cannot run them without systemd


@pytest.fixture(scope="module", autouse=True)
def image():
    containers.build()


class Pod(Contained):
    """The StatefulSet's template as a Pod, claims and secrets as folders of the test, on the host's network."""

    def __init__(self, folder, rendering, values, secrets):
        super().__init__(folder)
        self.tls_port = free_port()
        self.rendering = rendering
        self.values = values
        self.secrets = secrets
        self.pod = f"cloakroom-test-{os.getpid()}-{self.port}"

    def start(self):
        for folder in (self.state, self.export):
            folder.mkdir()
            containers.hand_over(folder)
        path = self.folder / "pod.yaml"
        path.write_text(self.rendering.yaml.safe_dump_all(self.documents()))
        podman("kube", "play", str(path))
        self.name = f"{self.pod}-node"
        wait(self.ready, "the pod is ready")

    def documents(self):
        image, tag = containers.IMAGE.rsplit(":", 1)
        values = {**self.values, "image": {"repository": image, "tag": tag, "pullPolicy": "Never"}}
        rendered = self.rendering.render(values)
        template = rendered["StatefulSet", "cloakroom"]["spec"]["template"]
        spec = template["spec"] | {"hostNetwork": True, "restartPolicy": "Never"}
        claimed = rendered["StatefulSet", "cloakroom"]["spec"].get("volumeClaimTemplates", [])
        spec["volumes"] = [self.volume(volume) for volume in [*spec["volumes"], *map(named, claimed)]]
        for container in spec["containers"]:
            for probe in PROBED:
                del container[probe]
            del container["ports"]  # they are those of the host, and others than the chart's
        config = rendered["ConfigMap", "cloakroom"]
        text = config["data"]["cloakroom.toml"].replace(EVERYWHERE, '"127.0.0.1"')
        for line, own in PORTS.items():
            text = text.replace(f"\n{line}\n", f"\n{line.split(' = ')[0]} = {getattr(self, own)}\n")
        config["data"]["cloakroom.toml"] = text
        return [config, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.pod}, "spec": spec}]

    def volume(self, volume):
        name = volume["name"]
        if name in {"state", "export"}:
            return {"name": name, "hostPath": {"path": str(self.folder / name), "type": "Directory"}}
        if "secret" in volume:
            path = self.secrets[volume["secret"]["secretName"]]
            return {"name": name, "hostPath": {"path": str(path), "type": "Directory"}}
        return {"name": name, "emptyDir": {}} if "emptyDir" in volume else volume

    def stop(self):
        if not self.name:
            return None
        podman("kill", "--signal=TERM", self.name, check=False)
        podman("wait", self.name)
        code = int(self.state_of("ExitCode"))
        podman("pod", "rm", "--force", self.pod, check=False)
        self.name = ""
        return code


def named(claim):
    return {"name": claim["metadata"]["name"]}


@pytest.fixture
def start(tmp_path, rendering):
    pods = []

    def start(name, secrets=None, **over):
        pod = Pod(tmp_path, rendering, rendering.values(name) | over, secrets or {})
        pods.append(pod)
        pod.start()
        return pod

    yield start
    for pod in pods:
        pod.stop()


def test_a_single_node_stores_a_study(start):
    pod = start("single")
    study = phantom.study()[:6]
    assert send(study, host="127.0.0.1", port=pod.port, called="CLOAKROOM", calling="PACS", attempts=3) == [0] * 6
    assert len(pod.published(6)) == 6
    assert pod.stop() == 0


def secret(folder, files):
    """What a cluster mounts: files of root that the pod's group may read."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
        os.chown(folder / name, 0, containers.USER)
        (folder / name).chmod(0o440)
    os.chown(folder, 0, containers.USER)
    folder.chmod(0o750)
    return folder


def test_a_node_over_tls_only(start, tmp_path):
    (tmp_path / "ca").mkdir()
    authority = Authority(tmp_path / "ca", "authority")
    certificate, key = authority.make("node")
    mounted = secret(
        tmp_path / "tls",
        {
            "tls.crt": certificate.read_bytes(),
            "tls.key": key.read_bytes(),
            "ca.crt": authority.path.read_bytes(),
        },
    )
    pod = start("tls", {"cloakroom-tls": mounted})
    study = phantom.study()[:2]
    entity = AE("PACS")
    entity.add_requested_context(study[0].SOPClassUID, study[0].file_meta.TransferSyntaxUID)
    client = authority.client("pacs.hospital.example")
    association = entity.associate("127.0.0.1", pod.tls_port, ae_title="RESEARCH_IN", tls_args=(client, None))
    assert [association.send_c_store(instance).Status for instance in study] == [0, 0]
    association.release()
    association.join(10)
    assert len(pod.published(2)) == 2


def test_keys_of_a_secret(start, rendering, tmp_path):
    made = keys.init(tmp_path / "made")
    files = {path.name: path.read_bytes() for path in made}
    mounted = secret(tmp_path / "keys", {name: files[name] for name in ("linkage.key", "officer.pub")})
    pod = start("single", {"cloakroom-keys": mounted}, keys={"existingSecret": "cloakroom-keys"})
    study = phantom.study()[:1]
    assert send(study, host="127.0.0.1", port=pod.port, called="CLOAKROOM", calling="PACS", attempts=3) == [0]
    assert list((pod.state / "keys").iterdir()) == []  # they are in memory only, not on the volume
    assert "made /var" not in pod.logged()
    assert pod.stop() == 0
