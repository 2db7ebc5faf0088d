"""What code goes by becomes columns: codes of findings and errors, what withholds `ready`, and how
damage is mended. Until now it was taken from sentences, here for the last time."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from alembic import op

from drd.catalogue.changes import statements

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("runs", sa.Column("error_code", sa.String(40)))
    op.add_column("jobs", sa.Column("last_error_code", sa.String(40)))
    op.add_column("jobs", sa.Column("withheld", sa.Text()))
    op.add_column(
        "alerts", sa.Column("code", sa.String(40), nullable=False, server_default=sa.text("''"))
    )
    op.add_column("repository_health", sa.Column("repair", sa.String(16)))
    _remedies()
    _stopped()
    _damaged()
    _readiness()
    _alerts()
    _unproven()
    for statement in statements(op.get_bind().dialect.name):
        op.execute(statement)


def _all(query: str, **values: Any) -> list[Any]:
    return list(op.get_bind().execute(sa.text(query), values).fetchall())


def _do(statement: str, **values: Any) -> None:
    op.get_bind().execute(sa.text(statement), values)


def _stopped() -> None:
    """Runs that the end of the daemon ended."""
    stopped = "the service was stopped%"
    _do("UPDATE runs SET error_code = 'service-stopped' WHERE error LIKE :stopped", stopped=stopped)
    _do(
        "UPDATE jobs SET last_error_code = 'service-stopped' WHERE last_error LIKE :stopped",
        stopped=stopped,
    )


_LEAD = re.compile(r"^the repository at \S+ is damaged: ")
_HINT = re.compile(r" \(hint: .*?\)(?=;|$)", re.DOTALL)
_COSTS = re.compile(r"; (?:no )?restore points? .*", re.DOTALL)


def _damaged() -> None:
    """What is damaged, without the repository's name, the remedy and what it costs."""
    query = "SELECT plan, repository, damage FROM repository_health WHERE damage IS NOT NULL"
    for plan, repository, damage in _all(query):
        what = _COSTS.sub("", _LEAD.sub("", _HINT.sub("", damage)).split("\n", 1)[0])
        repair = "index" if "does not exist" in what else "packs"
        if re.search(r"data of .+ is gone", what):
            repair = "none"
        _do(
            "UPDATE repository_health SET damage = :what, repair = :repair "
            "WHERE plan = :plan AND repository = :repository",
            what=what,
            repair=repair,
            plan=plan,
            repository=repository,
        )
    _do(
        "UPDATE jobs SET last_error_code = 'repository-damaged' WHERE kind = 'verification' "
        "AND last_state = 'failed' AND EXISTS (SELECT 1 FROM verifications v "
        "WHERE v.plan = jobs.plan AND v.repository = jobs.subject AND v.error = jobs.last_error)"
    )


_ASPECTS = (
    "access key",
    "clock",
    "index",
    "key",
    "keys",
    "known state",
    "locks",
    "masked password",
    "password",
    "protection",
    "secret key",
    "session token",
    "snapshots",
    "unit",
)


def _known_as(name: str) -> tuple[str, str]:
    """Return the code and the subject of a finding that code goes by; of others the name itself."""
    if name == "restore point":
        return "restore-point", ""
    if name.startswith("drill "):
        return "drill", name.removeprefix("drill ")
    match = re.fullmatch(r"repository ([a-z0-9-]+)(?:: (.+)| (data))?", name)
    if match is None:
        return "unnamed", name
    repository, aspect, data = match.groups()
    if data:
        return "repository-data", repository
    if aspect == "password for restic":
        return "repository-restic-password", repository
    if aspect is None:
        return "repository", repository
    if aspect in _ASPECTS:
        return f"repository-{aspect.replace(' ', '-')}", repository
    return "unnamed", name


def _readiness() -> None:
    """The findings of the last look ahead of each plan."""
    query = (
        "SELECT j.plan, j.subject, r.id, r.detail FROM jobs j JOIN runs r ON r.id = j.last_run "
        "WHERE j.kind = 'readiness'"
    )
    for plan, subject, run, text in _all(query):
        detail = json.loads(text)
        findings = detail.get("findings")
        if findings is None or "readiness" not in detail:
            continue  # the look itself failed, or the oldest drd made it
        for finding in findings:
            code, about = _known_as(finding["name"])
            finding |= {"code": code, "subject": about, "where": ""}
        withheld = [
            {k: f[k] for k in ("code", "subject", "name")}
            | {"text": _HINT.sub("", f["evidence"].split("\n", 1)[0])}
            for f in findings
            if f["allows"] != "ready" and f["exception"] is None
        ]
        _do("UPDATE runs SET detail = :detail WHERE id = :run", detail=json.dumps(detail), run=run)
        _do(
            "UPDATE jobs SET withheld = :withheld "
            "WHERE plan = :plan AND kind = 'readiness' AND subject = :subject",
            withheld=json.dumps({"readiness": detail["readiness"], "findings": withheld}),
            plan=plan,
            subject=subject,
        )


def _alerts() -> None:
    """Alerts that a look ahead has made: their subject is the finding's name."""
    query = (
        "SELECT id, subject FROM alerts WHERE resolved_at IS NULL AND kind IN "
        "('not-ready', 'repository-unreachable', 'repository-unprotected')"
    )
    for alert, name in _all(query):
        _do(
            "UPDATE alerts SET code = :code WHERE id = :alert", code=_known_as(name)[0], alert=alert
        )


def _unproven() -> None:
    """Components that drills did not prove: which remedy helps."""
    for drill, text in _all("SELECT id, unproven FROM evidence WHERE unproven IS NOT NULL"):
        pairs = [[component, why, _reason(why)] for component, why in json.loads(text)]
        _do(
            "UPDATE evidence SET unproven = :found WHERE id = :id",
            found=json.dumps(pairs),
            id=drill,
        )


def _reason(why: str) -> str:
    if "may_be_empty" in why:
        return "empty"
    known = {
        "not restored": "not-restored",
        "not restored: no step of the runbook does": "in-no-step",
        "not compared: no check looked at it": "no-check",
    }
    return known.get(why, "not-compared")


_WITH_REMEDIES = {
    "runs": ("error", "id"),
    "jobs": ("last_error", "plan, kind, subject"),
    "component_snapshots": ("error", "point, component"),
    "component_summary": ("error", "plan, component"),
    "evidence": ("reason", "id"),
    "channels": ("error", "name"),
}
"""Texts that had remedies in brackets behind each fact, by table with its key."""


def _remedies() -> None:
    """Remedies stand in lines of their own, below the facts."""
    for table, (column, key) in _WITH_REMEDIES.items():
        query = f"SELECT {column}, {key} FROM {table} WHERE {column} LIKE '% (hint: %'"  # noqa: S608 - no value is pasted in
        names = key.split(", ")
        where = " AND ".join(f"{name} = :{name}" for name in names)
        for text, *values in _all(query):
            first, *rest = text.split("\n")
            hints = [one_hint[8:-1] for one_hint in _HINT.findall(first)]
            lines = [_HINT.sub("", first), *(f"remedy: {hint}" for hint in hints), *rest]
            _do(
                f"UPDATE {table} SET {column} = :text WHERE {where}",  # noqa: S608
                text="\n".join(lines),
                **dict(zip(names, values, strict=True)),
            )
