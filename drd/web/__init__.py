"""What drd answers over HTTP, on loopback only: figures for Prometheus, and whether it lives.

No login and no secrets: everybody on this host may read it.
"""

from drd.web.health import Health
from drd.web.server import MetricsServer

__all__ = ["Health", "MetricsServer"]
