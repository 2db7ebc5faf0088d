"""Metrics for Prometheus: as a text, and as a file that node exporter reads.

`drd.web` serves them over HTTP."""

from drd.metrics.figures import DaemonFigures
from drd.metrics.render import CONTENT_TYPE, render
from drd.metrics.textfile import write_textfile

__all__ = ["CONTENT_TYPE", "DaemonFigures", "render", "write_textfile"]
