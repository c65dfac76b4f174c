"""The status port: a page for people, /metrics for Prometheus, /healthz and /readyz for whoever runs the node."""

from scp.web.pages import Pages
from scp.web.server import run
from scp.web.signs import Arrived, Health, Signs

__all__ = ["Arrived", "Health", "Pages", "Signs", "run"]
