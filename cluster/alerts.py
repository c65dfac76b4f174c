"""Every alert, once: for Prometheus alone, for the chart's PrometheusRule, and a runbook page for each."""

import json
from dataclasses import dataclass
from typing import Final

RUNBOOKS: Final = "https://github.com/HBPMedical/cloakroom/blob/main/docs/runbooks"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: `value` is there whenever the node is scraped, and `when` says from which value it fires."""

    name: str
    value: str
    when: str
    lasting: str
    severity: str
    summary: str
    means: str
    steps: tuple[str, ...]

    @property
    def expr(self) -> str:
        """The rule's expression."""
        return f"{self.value} {self.when}"


ALERTS: Final = (
    Alert(
        "CloakroomDown", "(count(cloakroom_build_info) or vector(0))", "== 0", "5m", "critical",
        "No node of Cloakroom is scraped",
        "Prometheus has no metrics of any node. The node is down, or its status port is not reached.",
        (
            "Does it run? `kubectl get pods -l app.kubernetes.io/name=cloakroom`, or `cloakroom status` beside it.",
            "If it does not start, the last line of its log is one sentence that says what is not as it must be.",
            "If it runs, Prometheus does not reach the status port: `networkPolicy.metricsFrom`, `http_host` or token.",
            "PACS and modalities queue meanwhile; tell the PACS administrator when it lasts longer than their queue.",
        ),
    ),
    Alert(
        "CloakroomNotReady", "cloakroom_ready", "== 0", "5m", "critical",
        "The node takes no associations",
        "`/readyz` says no: no worker or no index writer serves, the index does not answer, nobody can write into a "
        "database, a disk is full or can only be read, or the export folder is not there.",
        (
            "Read the reasons: they stand on the status page and in the body of `/readyz`.",
            "`a disk is filled up`: see CloakroomDiskLow. `the index does not answer`: look at the disk of `state`.",
            "`a disk can only be read`: so it turns after an error; see the kernel's log, check it, mount it again.",
            "`the export folder is not there`: mount it; no restart is needed.",
            "`no worker serves`: the log says `child_died`, or `child_not_started`, with the reason.",
            "`cannot be written to`: `cloakroom doctor` names the process; let it go on (SIGCONT) or end it.",
        ),
    ),
    Alert(
        "CloakroomNoPushForADay", "(time() - (cloakroom_last_stored_timestamp_seconds > 0))", "> 86400", "1h", "info",
        "Nothing was stored for a day",
        "The PACS sends nothing, or what it sends is not stored. On a weekend this may be all right.",
        (
            "From the PACS's side: does C-ECHO to this node succeed? `cloakroom probe HOST` asks the same from here.",
            "Associations rejected? Outcomes other than stored? Both stand on the dashboard's first two rows.",
            "Ask the PACS administrator for the queue of this destination.",
        ),
    ),
    Alert(
        "CloakroomRejects", 'increase(cloakroom_associations_total{result="rejected"}[15m])', "> 5", "0m", "warning",
        "Associations are rejected",
        "Somebody calls who may not, under another title, or while the node is full. The peer hears why.",
        (
            "The log's `association_rejected` lines have address and reason; the reasons stand in docs/outcomes.md.",
            "`calling_ae_title`: a new modality that is not in `peers`, or an address outside its networks.",
            "`called_ae_title`: the destination in the PACS has another AE title than this node.",
            "`congested`: raise `limits.max_associations`, or ask why the peer opens so many.",
        ),
    ),
    Alert(
        "CloakroomQuarantineGrowing",
        "sum by (outcome) (delta(cloakroom_quarantine_instances[1h]))", "> 10", "0m",
        "warning",
        "Instances go to quarantine: {{ $labels.outcome }}",
        "Originals fail for their content and are sealed. Their senders hear a failure, researchers never see them.",
        (
            "`cloakroom quarantine list` says why, in words without a patient's value.",
            "`burned_in`: the protocol sends screenshots; ask the technicians, or leave that class out of the push.",
            "`not_deidentified`: the recipe could not be applied; `cloakroom recipe check` and the series' vendor.",
            "`conflicting`: a PACS that changes images under their old UID.",
            "The data-protection officer can open an entry on another machine (docs/cli.md).",
        ),
    ),
    Alert(
        "CloakroomRefusing",
        'sum(increase(cloakroom_instances_total{outcome=~"out_of_resources|storage_fault|failed"}[10m]))', "> 0", "0m",
        "critical",
        "Instances are refused because of the node itself",
        "Nothing of these is lost: the sender was told to send them again. Until the cause is gone that is in vain.",
        (
            "`out_of_resources`: disk or memory; see CloakroomDiskLow, and `max_bytes_in_flight` on the dashboard.",
            "`storage_fault`: the disk failed to make a write durable. Look at the kernel's log before anything else.",
            "`failed`: a defect of the node; the log names the place. Report it.",
        ),
    ),
    Alert(
        "CloakroomSlowStep",
        "histogram_quantile(0.95, sum by (step, le) (rate(cloakroom_step_seconds_bucket"
        '{step!~"receive|respond"}[15m])))', "> 2", "10m", "warning",
        "The step {{ $labels.step }} takes long",
        "One instance in twenty waits longer than 2 s in this step. Receiving and answering wait for the "
        "sender and are left out.",
        (
            "`store` or `index`: the disk is slow to make writes durable; `cloakroom doctor` measures it.",
            "`deidentify`: the CPUs are busy; raise `workers` with the CPUs, or look for large multi-frame objects.",
            "`linkage`: another program holds the database; nothing but the node should open it.",
        ),
    ),
    Alert(
        "CloakroomDiskLow", "(cloakroom_disk_free_bytes / cloakroom_disk_size_bytes)", "< 0.1", "10m", "warning",
        "Less than a tenth of the disk of {{ $labels.volume }} is free",
        "Below `min_free_bytes` the node answers A700, so that the PACS keeps what it has and sends it later.",
        (
            "docs/how-to/disk-full.md says what may be removed, and what never.",
            "`export`: has the Data Factory taken the published visits over? `state`: how large is the quarantine?",
        ),
    ),
    Alert(
        "CloakroomDiskFullInADay", "predict_linear(cloakroom_disk_free_bytes[6h], 86400)", "< 0", "1h", "warning",
        "The disk of {{ $labels.volume }} will be full within a day",
        "At the pace of the last six hours there is no room left this time tomorrow.",
        ("docs/how-to/disk-full.md.", "A campaign of old studies? Make it slower, or the volume larger."),
    ),
    Alert(
        "CloakroomVisitStuck", 'cloakroom_visits{state=~"moving|publishing"}', "> 0", "30m", "warning",
        "A visit does not get published, merged or split",
        "A visit is being published, merged or split, and that does not come to its end.",
        (
            "The steward's log lines say which folder cannot be moved or written.",
            "Usually the export volume is read-only or full, or somebody else owns a folder below DICOM/.",
            "`publishing_waits`: `cloakroom doctor` names who keeps the lock; let it go on (SIGCONT) or end it.",
        ),
    ),
    Alert(
        "CloakroomWorkerRestarts", "increase(cloakroom_worker_restarts_total[1h])", "> 3", "0m", "warning",
        "Processes of the node die",
        "The supervisor starts them again, and nothing acknowledged is lost, but associations broke.",
        (
            "The log's `child_died` has the status: -9 is the kernel's, for want of memory, or `child_hung`.",
            "Want of memory: `resources.limits.memory` against workers x `limits.max_bytes_in_flight`.",
            "Anything else is a defect: `child_failed` has the place. Report it.",
        ),
    ),
    Alert(
        "CloakroomCertificateEnding", "(cloakroom_certificate_expiry_timestamp_seconds - time())", "< 30 * 86400", "1h",
        "warning",
        "The TLS file {{ $labels.file }} ends within thirty days",
        "After that, peers turn away from the node, or the node from its peers.",
        (
            "docs/how-to/tls.md says how to replace it; the node reads the new files by itself.",
            "With cert-manager: `kubectl describe certificate`.",
        ),
    ),
    Alert(
        "CloakroomKeysUnusable", "cloakroom_keys_usable", "== 0", "1m", "critical",
        "The node's keys are missing or not as they must be",
        "The running node still has them in memory, but will not start again. A new linkage key would give every "
        "patient a second identity, which is why it is not made.",
        (
            "Do not restart the node before the keys are back.",
            "`cloakroom doctor` says which file. Put it back from the copy kept offline: docs/how-to/restore.md.",
        ),
    ),
    Alert(
        "CloakroomLost", "cloakroom_lost", "> 0", "1m", "critical",
        "Instances that were acknowledged are not there any more",
        "When the node started, rows of its index had no file. Cloakroom itself deletes nothing that it has promised: "
        "somebody took files away, or a disk did not keep what it said it had.",
        (
            "`cloakroom verify` names each: a visit and a file name, no patient.",
            "Is the export folder the right one, and its disk mounted? Is something beside the node moving files?",
            "Bring the files back from the Data Factory's copy or a backup, then restart the node, which looks again.",
            "Have the PACS send it again: what is lost is stored anew, as what came late (docs/recovery.md).",
            "Of a published visit whose whole folder is gone, a re-send is `unchanged`: first docs/how-to/restore.md.",
        ),
    ),
)  # fmt: skip
"""In the order of the day: is it there, is it fed, does it work, will it last."""


def rules() -> str:
    """A Prometheus rule file; JSON's strings are YAML's."""
    lines = ["# Made by `make cluster` from cluster/alerts.py.\n", "groups:\n", "  - name: cloakroom\n", "    rules:\n"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}\n",
            f"        expr: {json.dumps(alert.expr)}\n",
            f"        for: {alert.lasting}\n",
            f"        labels: {{severity: {alert.severity}}}\n",
            "        annotations:\n",
            f"          summary: {json.dumps(alert.summary)}\n",
            f"          description: {json.dumps(alert.means)}\n",
            f"          runbook_url: {RUNBOOKS}/{alert.name}.md\n",
        ]
    return "".join(lines)


def runbook(alert: Alert) -> str:
    """The page that the alert leads to."""
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(alert.steps, 1))
    return (
        f"# {alert.name}\n\n{alert.summary.replace('{{ $labels.', '<').replace(' }}', '>')}.\n\n"
        f"Severity {alert.severity}; fires when this holds for {alert.lasting}:\n\n    {alert.expr}\n\n"
        f"## What it means\n\n{alert.means}\n\n## What to do\n\n{steps}\n"
    )


def index() -> str:
    """The list of runbooks."""
    rows = "\n".join(f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {alert.means} |" for alert in ALERTS)
    return (
        "# Runbooks\n\nOne page for each alert, made by `make cluster` from `cluster/alerts.py`.\n\n"
        f"| Alert | Severity | What it means |\n|---|---|---|\n{rows}\n"
    )
