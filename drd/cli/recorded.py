"""Recorded errors in documents. A daemon that was not restarted after an upgrade still answers with
documents of the former version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.model.former_rows import cause_of


def recorded_error(document: Mapping[str, Any], *, former: str = "error") -> tuple[str, str]:
    """Return the fact and the remedy; both are empty without an error. The former version has them
    in one text, below the key `former`.
    """
    if "fact" in document:
        return document["fact"] or "", document["remedy"] or ""
    text = document[former]
    if not text:
        return "", ""
    fact, remedy = cause_of(text)
    return fact, remedy or document.get("remedy") or ""
