"""Recorded errors in documents. A daemon that was not restarted after an upgrade still answers with
documents of the former version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.errors import DrdError
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


def failure_of(outcome: Mapping[str, Any]) -> DrdError:
    """Return why a run that the daemon executed has no result, from its outcome."""
    fact, remedy = recorded_error(outcome)
    return DrdError(
        fact or f"the run ended as {outcome['state']}",
        hint=remedy or f"check the run: drd run show {outcome['run']}",
    )
