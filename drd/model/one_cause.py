"""One alert for one cause: if conditions have the same cause, one of them reports the others as
well. Pure.

The alerts `rpo` and `no-point` also report that backups fail, with the error. The alert about a
repository that is gone, does not answer, or refuses drd's login, also reports the runs that fail
because of it, and the logs of servers that cannot be stored there or copied from it. The
alert about a repository that is gone also reports that there is no restore point yet. The alert
about failed backups also reports that their source cannot be read. The alert about something
that needs a secret also reports that the file of the secret is missing, with the remedy. The alert
about what retention waits for also reports that retention waits. If several findings say the same
about different subjects, the first one reports all of them: for example, a directory that is
missing for three components.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from os.path import commonprefix

from drd.errors import (
    RepositoryDamaged,
    RepositoryMissing,
    RepositoryRefused,
    RepositorySecretUnavailable,
    RepositoryUnreachable,
    SecretUnavailable,
    WrongKey,
)
from drd.model.alerts import AlertKey, Condition, rank
from drd.model.facts import RepositoryFacts
from drd.model.finding_codes import REPOSITORY, name_of
from drd.model.log import KIND as LOG
from drd.model.repositories import DAMAGED, GONE, SILENT
from drd.model.verdicts import SECRET_MISSING

_PLACES = {
    RepositoryMissing.code: GONE,
    WrongKey.code: GONE,
    RepositoryDamaged.code: DAMAGED,
    RepositoryUnreachable.code: SILENT,
    RepositoryRefused.code: SILENT,
    RepositorySecretUnavailable.code: SILENT,
}
"""The kind of the condition of a repository that makes runs fail with this code."""

_BY_STATE = frozenset(
    {
        RepositoryMissing.code,
        WrongKey.code,
        RepositoryRefused.code,
        RepositorySecretUnavailable.code,
    }
)
"""Errors of a run at whose moment drd recorded the state of the repository as well."""

_OF_SECRETS = frozenset({RepositorySecretUnavailable.code, SecretUnavailable.code})
"""Errors of a run that could not read a secret."""
_SECRET_FINDINGS = frozenset(
    {
        "repository-password",
        "repository-access-key",
        "repository-secret-key",
        "repository-session-token",
        "repository-access",
    }
)

SOURCE_FAILS = "source"
"""Why a component is not ready whose source cannot be read, so that its backups fail."""

OTHERS_TELL = "told"
"""Why retention is paused, if each of its reasons has an alert of its own."""
_STOPS_RETENTION = ("rpo", "no-point", "backup-failing", "point-incomplete", DAMAGED, GONE, SILENT)


def one_for_each_cause(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions, without those that another condition with the same cause reports; that
    condition names them (`also`) and is as severe as they are.
    """
    tellers: dict[AlertKey, AlertKey] = {}
    for condition in conditions:
        teller = (
            _place(condition, conditions)
            or _failed_backup(condition, conditions)
            or _what_stops(condition, conditions)
            or _same_finding(condition, conditions)
        )
        if teller is not None:
            tellers[condition.key] = teller.key
    needing = next(filter(_needs_a_secret, conditions), None)
    if needing is not None:
        tellers |= {c.key: needing.key for c in conditions if c.kind == SECRET_MISSING}
    for condition in conditions:
        cause = _cause(condition, conditions)
        if cause is None:
            continue
        place = _place(cause, conditions)
        if place is not None and place.kind != SILENT:
            if condition.kind == "no-point":
                tellers[condition.key] = place.key
            continue  # it is worse than a late backup, and has its own way out
        tellers[cause.key] = condition.key
        if place is not None:
            tellers[place.key] = condition.key
    return [_telling(c, conditions, tellers) for c in conditions if c.key not in tellers]


def _place(run: Condition, conditions: Iterable[Condition]) -> Condition | None:
    """Return the condition of the repository that makes these runs fail."""
    kind = _PLACES.get(run.why)
    if kind is None:
        return None
    names = run.places or ((run.subject,) if run.subject else ())
    subjects = [name_of(REPOSITORY, name) if kind == SILENT else name for name in names]
    there = [c for c in conditions if c.kind == kind]
    if not subjects:
        return next(iter(there), None)
    return next((c for subject in subjects for c in there if c.subject == subject), None)


def with_logs(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions of several plans, each plan's already `one_for_each_cause`, without
    those of logs whose repository has an alert that says why; this alert reports them as well."""
    kept, told = list[Condition](), dict[AlertKey, list[Condition]]()
    for condition in conditions:
        teller = _teller_of_log(condition, conditions) if condition.kind == LOG else None
        if teller is None:
            kept.append(condition)
        else:
            told.setdefault(teller.key, []).append(condition)
    return [_also(c, told[c.key]) if c.key in told else c for c in kept]


def _teller_of_log(log: Condition, conditions: Sequence[Condition]) -> Condition | None:
    kind = _PLACES.get(log.why)
    if kind is None:
        return None
    names = [name_of(REPOSITORY, name) if kind == SILENT else name for name in log.places]

    def is_it(plan: str, of_kind: str, subject: str) -> bool:
        return (plan, of_kind) == (log.plan, kind) and (not names or subject in names)

    others = (c for c in conditions if c.kind != LOG)
    return next((c for c in others if any(is_it(*key) for key in (c.key, *c.also))), None)


def _also(condition: Condition, others: Sequence[Condition]) -> Condition:
    worst = min((condition, *others), key=lambda c: rank(c.severity))
    also = (*condition.also, *(c.key for c in others))
    return replace(condition, severity=worst.severity, also=also)


def _needs_a_secret(condition: Condition) -> bool:
    """Return whether a secret that cannot be read causes the condition. After the file is back, the
    condition stays until something has read the secret again."""
    return condition.why in _OF_SECRETS or condition.code in _SECRET_FINDINGS


def _failed_backup(finding: Condition, conditions: Iterable[Condition]) -> Condition | None:
    """Return the condition of the backups that fail because this source cannot be read."""
    if finding.why != SOURCE_FAILS:
        return None
    backups = (c for c in conditions if c.kind in ("backup-failing", "point-incomplete"))
    return next((c for c in backups if c.why not in _PLACES), None)


def _what_stops(paused: Condition, conditions: Sequence[Condition]) -> Condition | None:
    """Return the condition that retention waits for."""
    if paused.why != OTHERS_TELL:
        return None
    return next((c for kind in _STOPS_RETENTION for c in conditions if c.kind == kind), None)


def _same_finding(finding: Condition, conditions: Iterable[Condition]) -> Condition | None:
    """Return the first condition that says the same about another subject. Return None if `finding`
    itself is the first."""
    if not finding.fact:
        return None
    same = (c for c in conditions if _of_finding(c) == _of_finding(finding))
    first = next(same, finding)
    return first if first.key != finding.key else None


def _of_finding(condition: Condition) -> tuple[str, ...]:
    return condition.plan, condition.kind, condition.code, condition.why, condition.fact


def _together(names: Sequence[str]) -> str:
    """Return one name for several findings, which names the common beginning and end only once:
    `target standby: app: target` and `target standby: sessions: target` become `target standby:
    app, sessions: target`."""
    parts = [name.split(": ") for name in names]
    shortest = min(map(len, parts)) - 1
    begin = min(len(commonprefix(parts)), shortest)
    end = min(len(commonprefix([p[::-1] for p in parts])), shortest - begin)
    middle = (": ".join(p[begin : len(p) - end]) for p in parts)
    return ": ".join([*parts[0][:begin], ", ".join(middle), *parts[0][len(parts[0]) - end :]])


def is_over(code: str, subject: str, at: datetime, repositories: Sequence[RepositoryFacts]) -> bool:
    """Return whether the repository works again that made a run fail at the time `at`: the
    repository `subject`, else the repository of the backups. It works again if a point was stored
    there since, or if drd could open it. The next run will confirm this; until then nobody has to
    do anything."""
    named = [r for r in repositories if r.repository == subject]
    there = named or [r for r in repositories if r.copy_of is None]
    if code == RepositoryUnreachable.code or code in _BY_STATE:
        stored = [r.newest.available_at for r in there if r.newest is not None]
        if any(time > at for time in stored):
            return True
    opens = all(r.met and r.lost is None and r.unreachable is None for r in there)
    return code in _BY_STATE and opens and bool(there)


def of_places(plan: str, repository: str) -> tuple[AlertKey, ...]:
    """Return the keys of the alerts about a repository in which nothing can be read."""
    return (plan, GONE, repository), (plan, SILENT, name_of(REPOSITORY, repository))


def _cause(effect: Condition, conditions: Iterable[Condition]) -> Condition | None:
    """Return the condition that says why the RPO is exceeded, or why there is no point."""
    if effect.kind not in ("rpo", "no-point"):
        return None
    return next((c for c in conditions if c.kind == effect.why and not c.subject), None)


def _telling(
    condition: Condition, conditions: Iterable[Condition], tellers: dict[AlertKey, AlertKey]
) -> Condition:
    """Return the condition with those that it tells."""

    def is_told(other: Condition) -> bool:
        key = other.key
        while key in tellers:
            key = tellers[key]
        return key == condition.key and other.key != condition.key

    others = [c for c in conditions if is_told(c)]
    if not others:
        return condition
    remedies = [c.remedy for c in others if c.kind == SECRET_MISSING]
    worst = min((condition, *others), key=lambda c: rank(c.severity))
    runs = dict.fromkeys(run for c in (condition, *others) for run in c.runs)
    same = [
        c.subject for c in others if condition.fact and _of_finding(c) == _of_finding(condition)
    ]
    text = f"{_together([condition.subject, *same])}: {condition.fact}" if same else condition.text
    return replace(
        condition,
        text=text,
        severity=worst.severity,
        remedy="\n".join((*remedies, condition.remedy)),
        also=tuple(c.key for c in others),
        runs=tuple(runs),
    )
