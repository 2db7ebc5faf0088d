"""What root notes about a run, its steps and its restore point, and whether their rows agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from drd.flows.root import former_records
from drd.flows.root.former_records import Noted
from drd.model import run_details
from drd.model.run import Run
from drd.model.snapshot import RestorePoint, json_digest
from drd.model.step_record import StepRecord, completed
from drd.model.text import escaped, storable
from drd.model.units import to_rfc3339

_WHOLE = 4096
"""Longer values are stored as their digest: that is enough to compare them."""
_SHOWN = 200


def head_of(run: Run) -> Noted:
    """Return the fields of a run's row that never change after its beginning."""
    return {
        "plan": run.plan,
        "kind": str(run.kind),
        "started_at": to_rfc3339(run.started_at) if run.started_at else None,
        "plan_digest": run.plan_digest,
        "stamp": run.stamp,
        "actor": plain(run.actor.to_json() if run.actor is not None else None),
        "detail": plain(run_details.read(str(run.kind), run.detail.to_json()).request().to_json()),
    }


def row_of(record: StepRecord) -> Noted:
    """Return the fields of a step's row. Long values are digests."""
    record = completed(record)
    return {
        "kind": record.kind,
        "subject": record.subject,
        "state": str(record.state),
        "attempt": record.attempt,
        "started_at": to_rfc3339(record.started_at),
        "finished_at": to_rfc3339(record.finished_at) if record.finished_at else None,
        "result": _short(record.result.to_json()),
        "error": _short(_catalogue_text(record.error)),
        "remedy": _short(_catalogue_text(record.remedy)),
    }


def compared(record: StepRecord | None, noted: Noted | None) -> tuple[Noted | None, Noted | None]:
    """Return the row of a step, and what was noted about it, in a form in which they are equal if
    they agree."""
    row = row_of(record) if record is not None else None
    if record is None or row is None or noted is None or not former_records.is_former(noted):
        return row, noted
    error = _short(_catalogue_text(former_records.error_of(record)))
    return former_records.in_one_form(record.name, row, noted, error)


def agree(record: StepRecord | None, noted: Noted | None) -> bool:
    """Return whether the row of a step equals what was noted."""
    row, former = compared(record, noted)
    return row == former


def point_of(point: RestorePoint) -> Noted:
    """Return the fixed content of a point; copies and retention may change where it is stored."""
    return {
        "id": point.id,
        "components": {
            c.component: [c.kind, c.snapshot, _short(c.facts)] for c in point.components
        },
    }


def plain(value: Any) -> Any:
    """Return the value in the form in which it is read back from a row or a file."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> Any:
    whole = plain(dict(value) if isinstance(value, Mapping) else value)
    long = len(json.dumps(whole)) > _WHOLE
    return {"sha256": json_digest(whole)} if long else whole


def _catalogue_text(text: str | None) -> str | None:
    """Convert a text as the catalogue does."""
    return storable(text) if text is not None else None


def differing(row: Any, noted: Any) -> tuple[str, str]:
    """Return both values for display; of mappings only the differing members."""
    if isinstance(row, dict) and isinstance(noted, dict):
        keys = [k for k in {**row, **noted} if row.get(k) != noted.get(k)]
        row, noted = ({k: side.get(k) for k in keys} for side in (row, noted))
    elif isinstance(row or noted, dict):
        return ("missing", "present") if row is None else ("present", "missing")
    return _shown(row), _shown(noted)


def _shown(value: Any) -> str:
    text = "missing" if value is None else escaped(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
