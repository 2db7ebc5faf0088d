"""The authority in drd.yaml that stamps the records with its time."""

from __future__ import annotations

import importlib.util
from typing import Literal

from drd.config.daemon_schema import Timestamp
from drd.config.paths import place
from drd.config.problems import Report
from drd.model.timestamps import INSTALL, Authority

_LIBRARY = "rfc3161_client"


def authority(given: Timestamp | Literal["none"], base: str) -> Authority | None:
    """Return what `records.timestamp` names; relative paths begin in the directory `base`."""
    return None if given == "none" else Authority(given.url, place(given.ca, base), given.every)


def require_library(given: Timestamp | Literal["none"], report: Report) -> None:
    """Report an error if there is an authority, and its library is not installed."""
    # Importing it takes 60 ms, so this only looks for it.
    if given != "none" and importlib.util.find_spec(_LIBRARY) is None:
        report.error(
            ("records", "timestamp"),
            "time stamps need a library that is not installed",
            f"{INSTALL}; or remove this key",
        )
