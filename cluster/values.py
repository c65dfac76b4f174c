"""Every value of the chart, once: its default, what it may be, and a sentence for whoever sets it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
NAME: Final[Schema] = {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", "maxLength": 253}
AE_TITLE: Final[Schema] = {"type": "string", "pattern": r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"}
SWITCH: Final[Schema] = {"type": "boolean"}
PORT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 65535}
COUNT: Final[Schema] = {"type": "integer", "minimum": 1}
SECONDS: Final[Schema] = {"type": "number", "exclusiveMinimum": 0}
SIZE: Final[Schema] = {"type": "string", "pattern": "^[0-9]+(Ki|Mi|Gi|Ti|Pi)$"}
NETWORKS: Final[Schema] = {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-fA-F.:]+(/[0-9]{1,3})?$"}}
TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
FREE: Final[Schema] = {"type": "object"}
LIST: Final[Schema] = {"type": "array", "items": {"type": "object"}}
PEERS: Final[Schema] = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["aeTitle"],
        "properties": {
            "aeTitle": {**AE_TITLE, "description": "Its calling AE title."},
            "networks": {**NETWORKS, "description": "Networks it calls from; none means any."},
            "certificates": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Certificates it must show over TLS: SHA-256 fingerprints or names; none means any.",
            },
        },
    },
}


def choice(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its path, default, what it may be, and what it is for."""

    path: str
    default: Any
    schema: Schema
    sentence: str


@dataclass(frozen=True, slots=True)
class Section:
    """Values that belong together, under a heading of the README."""

    title: str
    values: Sequence[Value]


SECTIONS: Final = (
    Section(
        "The node in the PACS",
        (
            Value("aeTitle", "CLOAKROOM", AE_TITLE, "The node's own AE title, which the PACS calls."),
            Value("peers", [], PEERS, "Who may push: aeTitle, networks and certificates of each; none means anybody."),
            Value("networks", [], NETWORKS, "Networks that connections are accepted from at all; none means any."),
            Value(
                "service.type",
                "LoadBalancer",
                choice("LoadBalancer", "NodePort", "ClusterIP"),
                "How the DICOM port is reached from outside the cluster.",
            ),
            Value("service.port", 11112, PORT, "Port of the Service for DICOM; 104 is possible too."),
            Value("service.tlsPort", 2762, PORT, "Port of the Service for DICOM over TLS."),
            Value(
                "service.nodePort",
                None,
                {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
                "Port on every node, with type NodePort; chosen by the cluster when empty.",
            ),
            Value("service.loadBalancerIP", "", TEXT, "Address to ask a load balancer for."),
            Value("service.loadBalancerSourceRanges", [], NETWORKS, "Networks that the load balancer lets through."),
            Value("service.annotations", {}, TEXTS, "Annotations of the DICOM Service, as load balancers read them."),
        ),
    ),
    Section(
        "What becomes of an instance",
        (
            Value(
                "recipe.name",
                "mip",
                TEXT,
                "De-identification recipe: a name in deid_recipes/, or a file of recipe.files.",
            ),
            Value("recipe.files", {}, TEXTS, "Recipes of the site, file name to text, beside those in the image."),
            Value("protocols", {}, TEXTS, "Series descriptions kept: as sent, and as written."),
            Value("variables", {}, TEXTS, "Constants that recipes call var:NAME."),
            Value("visits.quietSeconds", 300, SECONDS, "A visit is published when nothing came for so long."),
            Value("visits.layout", "dated", choice("dated", "daily", "flat"), "Shape of the export tree."),
        ),
    ),
    Section(
        "Storage and keys",
        (
            Value("storage.state.size", "20Gi", SIZE, "Room for databases and quarantine: identified, sealed."),
            Value(
                "storage.state.storageClassName",
                "",
                NAME,
                "Its storage class: local or block, never NFS; the cluster's default when empty.",
            ),
            Value("storage.state.existingClaim", "", NAME, "A claim that is there already, used instead of a new one."),
            Value("storage.export.size", "200Gi", SIZE, "Room for staging and published visits: de-identified."),
            Value("storage.export.storageClassName", "", NAME, "Its storage class; the cluster's default when empty."),
            Value(
                "storage.export.existingClaim",
                "",
                NAME,
                "A claim that is there already, as the Data Factory mounts it.",
            ),
            Value(
                "storage.export.accessModes",
                ["ReadWriteOnce"],
                {"type": "array", "minItems": 1, "items": choice("ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod")},
                "ReadWriteMany where the Data Factory reads from another machine.",
            ),
            Value(
                "storage.inbound.existingClaim",
                "",
                NAME,
                "A claim whose in/ is watched for files to import: identified; none means no folder is.",
            ),
            Value(
                "inbound.after",
                "keep",
                choice("keep", "remove"),
                "What becomes of a file that was taken: moved to done/ on that claim, or removed.",
            ),
            Value("inbound.settleSeconds", 10, SECONDS, "How long a file in in/ lies still before it is taken."),
            Value(
                "keys.existingSecret",
                "",
                NAME,
                "Secret with linkage.key and officer.pub; without it the node makes keys on its state volume.",
            ),
        ),
    ),
    Section(
        "TLS and user identity",
        (
            Value("tls.enabled", False, SWITCH, "Whether the node listens for associations over TLS."),
            Value(
                "tls.existingSecret", "", NAME, "Secret with tls.crt, tls.key and ca.crt, as cert-manager makes them."
            ),
            Value("tls.requireClientCertificate", True, SWITCH, "Whether a peer without a certificate is turned away."),
            Value("tls.plainPort", True, SWITCH, "Whether the port without TLS is open as well."),
            Value(
                "userIdentity.check", "none", choice("none", "username", "password"), "What a user identity must show."
            ),
            Value(
                "userIdentity.required",
                True,
                SWITCH,
                "Whether an association without a user identity is rejected then.",
            ),
            Value("userIdentity.existingSecret", "", NAME, "Secret with passwords: names and their scrypt hashes."),
        ),
    ),
    Section(
        "Being watched",
        (
            Value("metrics.serviceMonitor.enabled", False, SWITCH, "A ServiceMonitor for the Prometheus operator."),
            Value("metrics.serviceMonitor.interval", "30s", TEXT, "How often it scrapes."),
            Value("metrics.serviceMonitor.labels", {}, TEXTS, "Labels by which the operator finds it."),
            Value("metrics.prometheusRule.enabled", False, SWITCH, "A PrometheusRule with the node's alerts."),
            Value("metrics.prometheusRule.labels", {}, TEXTS, "Labels by which the operator finds it."),
            Value("metrics.dashboard.enabled", False, SWITCH, "A ConfigMap with the Grafana dashboard."),
            Value(
                "metrics.dashboard.labels",
                {"grafana_dashboard": "1"},
                TEXTS,
                "Labels by which Grafana's sidecar finds it.",
            ),
            Value(
                "statusPage.existingSecret",
                "",
                NAME,
                "Secret with token, which the status page and /metrics then ask for.",
            ),
            Value("log.level", "info", choice("debug", "info", "warning", "error"), "Least level that is logged."),
        ),
    ),
    Section(
        "Network and disruption",
        (
            Value("networkPolicy.enabled", True, SWITCH, "Whether a NetworkPolicy closes everything not named here."),
            Value("networkPolicy.dicomFrom", [], NETWORKS, "Networks that reach the DICOM ports; none means any."),
            Value(
                "networkPolicy.metricsFrom",
                {"kubernetes.io/metadata.name": "monitoring"},
                TEXTS,
                "Labels of the namespaces that reach the status port.",
            ),
            Value(
                "networkPolicy.egress",
                [],
                LIST,
                "What the node may call, as rules of a NetworkPolicy; it calls nobody by itself.",
            ),
            Value(
                "podDisruptionBudget.enabled",
                True,
                SWITCH,
                "A budget that lets one pod go, and shows who drains a machine that it is there.",
            ),
            Value(
                "drainSeconds",
                30,
                SECONDS,
                "For open associations to end when the pod is stopped; its grace period follows.",
            ),
        ),
    ),
    Section(
        "The pod",
        (
            Value("image.repository", "ghcr.io/hbpmedical/cloakroom", TEXT, "Where the image comes from."),
            Value("image.tag", "", TEXT, "Its tag; the chart's appVersion when empty."),
            Value(
                "image.digest",
                "",
                {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
                "Its digest, which wins over the tag.",
            ),
            Value("image.pullPolicy", "IfNotPresent", choice("Always", "IfNotPresent", "Never"), "When it is pulled."),
            Value("imagePullSecrets", [], LIST, "Secrets for the registry, as a pod has them."),
            Value("workers", 2, COUNT, "Worker processes that serve associations."),
            Value(
                "limits",
                {},
                {"type": "object", "additionalProperties": {"type": "number"}},
                "Settings of the [limits] table by their names in the configuration.",
            ),
            Value(
                "resources",
                {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}},
                FREE,
                "Requests and limits; memory is above workers x limits.max_bytes_in_flight where pushes are large.",
            ),
            Value(
                "podSecurityContext.fsGroup",
                65532,
                {"type": ["integer", "null"]},
                "Group that owns the volumes; empty where the cluster chooses it, as OpenShift does.",
            ),
            Value(
                "podSecurityContext.runAsUser",
                65532,
                {"type": ["integer", "null"]},
                "User; empty where the cluster chooses it.",
            ),
            Value("nodeSelector", {}, TEXTS, "Labels of the machines it may run on."),
            Value("tolerations", [], LIST, "Taints it tolerates."),
            Value("affinity", {}, FREE, "Affinity, as a pod has it."),
            Value(
                "topologySpreadConstraints",
                [],
                LIST,
                "Spread, as a pod has it; for clusters whose policy asks for one.",
            ),
            Value("priorityClassName", "", NAME, "Its priority class."),
            Value("podAnnotations", {}, TEXTS, "Annotations of the pod."),
            Value("podLabels", {}, TEXTS, "Labels of the pod."),
            Value(
                "serviceAccount.name",
                "",
                NAME,
                "A service account that is there already; else one without any right is made.",
            ),
            Value("nameOverride", "", NAME, "Name in place of the chart's."),
            Value("fullnameOverride", "", NAME, "Name in place of release and chart."),
        ),
    ),
    Section(
        "The test (`helm test`)",
        (
            Value(
                "test.enabled",
                True,
                SWITCH,
                "A hook that echoes the node and begins a store which leaves nothing behind.",
            ),
            Value("test.aeTitle", "HELM-TEST", AE_TITLE, "Its calling AE title."),
            Value(
                "test.accepted",
                None,
                {"type": ["boolean", "null"]},
                "Whether the node must accept it; empty: yes without peers, and else it must reject the stranger.",
            ),
        ),
    ),
)
"""In the order of the README."""


def every() -> list[Value]:
    """All values in their order."""
    return [value for section in SECTIONS for value in section.values]
