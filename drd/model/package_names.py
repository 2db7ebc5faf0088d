"""The names of Python packages. Only the standard library: `drd status` starts cold."""

from __future__ import annotations

import re


def normal_name(name: str) -> str:
    """Return the form in which two spellings of the same package are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
