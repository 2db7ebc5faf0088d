"""What runs have recorded about recovery kits. The content of a kit is never recorded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from drd.catalogue.engine import SqlStore
from drd.catalogue.tables import runs
from drd.model.kit_findings import EXPORT, VERIFY, KitRecord, KitTry
from drd.model.run import RunKind, RunState
from drd.model.run_details import KitDetail

_LOOKS = 20
"""How many of the newest verifications of each outcome are read. They include the verifications of
this kit, and of the copy that drd tests."""


class SqlKitStore(SqlStore):
    """See `drd.ports.kits.KitStore`."""

    def newest(self, plan: str) -> KitRecord | None:
        with self._database.read() as connection:
            return _newest_kit(connection, plan)


def _newest_kit(connection: Connection, plan: str) -> KitRecord | None:
    """Return the newest kit that was made here or, if it came from elsewhere, opened here."""
    made = next(iter(_newest_runs(connection, plan, EXPORT, RunState.SUCCEEDED, 1)), None)
    looks = [
        row
        for state in (RunState.SUCCEEDED, RunState.FAILED)
        for row in _newest_runs(connection, plan, VERIFY, state, _LOOKS)
    ]
    looks.sort(key=lambda row: row.started_at, reverse=True)
    known = [kit for row in looks if (kit := _opened(row)) is not None]
    if made is not None:
        detail = _detail(made)
        sha256 = detail.sha256 or ""
        known.insert(0, KitRecord(made.started_at, made.plan_digest, sha256, proof=detail.proof))
    if not known:
        return None
    # A kit that was made here has a slightly later time inside, but is the same file.
    kit = max(known, key=lambda k: k.made_at)
    if made is not None and kit.sha256 == _detail(made).sha256:
        kit = known[0]
    last = next((row for row in looks if _detail(row).sha256 == kit.sha256), None)
    tried = next((row for row in looks if _detail(row).file), None)
    return KitRecord(
        made_at=kit.made_at,
        plan_digest=kit.plan_digest,
        sha256=kit.sha256,
        verified_at=last.finished_at if last is not None else None,
        problem=_problem(last) if last is not None else None,
        away=last is not None and _detail(last).away,
        tried=_tried(tried) if tried is not None else None,
        proof=kit.proof,
    )


def _detail(row: Any) -> KitDetail:
    return KitDetail.from_json(row.detail)


def _opened(row: Any) -> KitRecord | None:
    """Return the kit that a verification has opened; None for one of an older drd, which did not
    record when the kit was made."""
    detail = _detail(row)
    if detail.made_at is None or detail.plan_digest is None or detail.sha256 is None:
        return None
    return KitRecord(detail.made_at, detail.plan_digest, detail.sha256, proof=detail.proof)


def _problem(row: Any) -> str | None:
    """Why the verification could not open a kit. That a kit is outdated follows from the plan's
    hash, at any time."""
    return None if _detail(row).outdated else row.error


def _tried(row: Any) -> KitTry:
    detail = _detail(row)
    return KitTry(
        detail.file or "",
        row.finished_at,
        _problem(row),
        there=bool(detail.sha256),
        sha256=detail.sha256 or "",
        away=detail.away,
    )


def _newest_runs(
    connection: Connection, plan: str, subject: str, state: RunState, limit: int
) -> list[Any]:
    """Return the newest runs of this outcome, by the index runs_by_outcome."""
    query = (
        select(runs)
        .where(
            runs.c.plan == plan,
            runs.c.kind == str(RunKind.KIT),
            runs.c.state == str(state),
            runs.c.subject == subject,
        )
        .order_by(runs.c.started_at.desc())
        .limit(limit)
    )
    return list(connection.execute(query))
