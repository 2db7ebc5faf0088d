"""Root's records of schema 2: steps had no subjects, and errors contained their remedies.

The steps of such a record stay as they were noted. The catalogue's migration has rewritten their
rows, or a process of that version has written them since: they are compared in one form.
"""

from __future__ import annotations

from typing import Any

from drd.model import former_rows
from drd.model.run_details import RecoveryDetail
from drd.model.step_record import StepRecord

Noted = dict[str, Any]


def upgraded(record: Noted) -> Noted:
    """Return the record in the present form, except for its steps."""
    return {**record, "end": _end(record["end"]) if record["end"] is not None else None}


def is_former(noted: Noted) -> bool:
    """Return whether a step was noted in a record of schema 2."""
    return "subject" not in noted


def error_of(record: StepRecord) -> str | None:
    """Return the error of a step as schema 2 noted it."""
    return None if record.error is None else former_rows.joined(record.error, record.remedy)


def in_one_form(name: str, row: Noted, noted: Noted, error: Any) -> tuple[Noted, Noted]:
    """Return the row of a step, and what schema 2 noted of it, in the same form: they are equal if
    they agree. `error` is the error of the row, in the form in which schema 2 noted errors.
    """
    subject = former_rows.subject_of(noted["kind"], name)
    return row | _fields(error), noted | {"subject": subject} | _fields(noted["error"])


def _fields(error: Any) -> Noted:
    """Return the fields of a noted error. Of a long one there is only the digest of the whole."""
    fact, remedy = _split(error)
    return {"error": fact.strip() if isinstance(fact, str) else fact, "remedy": remedy}


def _split(error: Any) -> tuple[Any, str]:
    return former_rows.cause_of(error) if isinstance(error, str) else (error, "")


def _end(end: Noted) -> Noted:
    error, remedy = _split(end["error"])
    detail = RecoveryDetail.from_json(end["detail"])
    if remedy and not detail.remedy:
        detail = detail.merged(RecoveryDetail(remedy=remedy))
    return {**end, "error": error, "detail": detail.to_json()}
