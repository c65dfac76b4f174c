"""Debian's Prometheus, scraping a node of a test, on loopback and in a folder of the test."""

import json
import subprocess
from urllib.parse import urlencode
from urllib.request import urlopen

from running import free_port, wait

from cluster import alerts


class Prometheus:
    """One that scrapes each second and knows the alerts."""

    def __init__(self, folder, target):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{"job_name": "cloakroom", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }
        folder.mkdir()
        (folder / "prometheus.yaml").write_text(json.dumps(config))
        (folder / "alerts.yaml").write_text(alerts.rules())

    def start(self):
        words = ["prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*words, f"--web.listen-address=127.0.0.1:{self.port}"], cwd=self.folder, stdout=log, stderr=log
            )
        wait(lambda: self.answers("up == 1"), "Prometheus has scraped the node", 60)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)

    def get(self, path, **query):
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(query)}", timeout=30) as answer:  # noqa: S310  loopback
            return json.load(answer)["data"]

    def answers(self, expr):
        """What an expression gives now; None while nobody answers."""
        try:
            return self.get("query", query=expr)["result"]
        except OSError:
            return None
