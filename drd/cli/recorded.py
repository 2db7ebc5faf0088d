"""Recorded errors in documents. A daemon that was not restarted after an upgrade still answers with
documents of the former version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drd.cli import vouched
from drd.errors import DrdError
from drd.model.former_rows import cause_of
from drd.model.text import escaped


def recorded_error(document: Mapping[str, Any], *, former: str = "error") -> tuple[str, str]:
    """Return the fact and the remedy; both are empty without an error. The former version has them
    in one text, below the key `former`.
    """
    if "fact" in document:
        fact, remedy = document["fact"] or "", document["remedy"] or ""
    else:
        fact, remedy = cause_of(document[former] or "")
        remedy = (remedy or document.get("remedy") or "") if fact else ""
    return vouched.fact(fact), vouched.remedy(remedy)


def in_one_line(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document for a person. Texts in it get no line breaks, because a new line could
    look like another field; only texts that `recorded_error` reads keep them.
    """
    kept = ("error", "fact", "remedy", "reason")
    return {key: value if key in kept else _escaped(value) for key, value in document.items()}


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_escaped(one) for one in value]
    return in_one_line(value) if isinstance(value, Mapping) else value


def failure_of(outcome: Mapping[str, Any]) -> DrdError:
    """Return why a run that the daemon executed has no result, from its outcome."""
    fact, remedy = recorded_error(outcome)
    return DrdError(
        fact or f"the run ended as {outcome['state']}",
        hint=remedy or f"check the run: drd run show {outcome['run']}",
    )
