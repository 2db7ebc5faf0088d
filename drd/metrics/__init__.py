"""Figures for Prometheus: as a text, and as a file that node exporter picks up.

Serving them over HTTP is the business of `drd.web`.
"""

from drd.metrics.figures import DaemonFigures
from drd.metrics.render import CONTENT_TYPE, render
from drd.metrics.textfile import write_textfile

__all__ = ["CONTENT_TYPE", "DaemonFigures", "render", "write_textfile"]
