"""drd's HTTP servers on loopback: metrics for Prometheus and health, without a login and without
secrets; and alerts of other systems, with a token."""

from drd.web.health import DaemonHealth, OpenIncidents
from drd.web.intake import IntakeServer, Outcome
from drd.web.server import MetricsServer

__all__ = ["DaemonHealth", "IntakeServer", "MetricsServer", "OpenIncidents", "Outcome"]
