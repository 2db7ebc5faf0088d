"""Root's records of schema 2: steps had no subjects, and errors contained their remedies. They are
read as the catalogue's migration reads the rows, with which they have to agree.
"""

from __future__ import annotations

from typing import Any

from drd.model import former_rows
from drd.model.run_details import RecoveryDetail

Noted = dict[str, Any]


def upgraded(record: Noted) -> Noted:
    """Return the record as one of today."""
    steps = {
        name: [_step(name, now), _step(name, before) if before is not None else None, is_open]
        for name, (now, before, is_open) in record["steps"].items()
    }
    end = _end(record["end"]) if record["end"] is not None else None
    return {**record, "steps": steps, "end": end}


def _step(name: str, row: Noted) -> Noted:
    error, remedy = _split_error(row["error"])
    subject = former_rows.subject_of(row["kind"], name)
    return {**row, "subject": subject, "error": error, "remedy": remedy}


def _end(end: Noted) -> Noted:
    error, remedy = _split_error(end["error"])
    detail = RecoveryDetail.from_json(end["detail"])
    if remedy and not detail.remedy:
        detail = detail.merged(RecoveryDetail(remedy=remedy))
    return {**end, "error": error, "detail": detail.to_json()}


def _split_error(error: Any) -> tuple[Any, str]:
    """Return a recorded error and its remedy; of a long one there is only the digest."""
    return former_rows.cause_of(error) if isinstance(error, str) else (error, "")
