"""drd's HTTP server on loopback: metrics for Prometheus, and health.

No login and no secrets: everyone on this host may read it."""

from drd.web.health import DaemonHealth
from drd.web.server import MetricsServer

__all__ = ["DaemonHealth", "MetricsServer"]
