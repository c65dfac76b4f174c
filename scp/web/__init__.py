"""The status port: /metrics for Prometheus, /healthz and /readyz for whoever starts and stops the node."""

from scp.web.pages import Pages
from scp.web.server import run
from scp.web.signs import Health, Signs

__all__ = ["Health", "Pages", "Signs", "run"]
