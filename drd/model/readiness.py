"""Judge whether a plan, as it stands now, is proven: every reason is a named finding. Pure.

`drd status` judges only by the drills, from a few rows; this module judges everything that was
examined.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from drd.model.finding import Finding
from drd.model.finding_codes import DATA, RESTORE_POINT
from drd.model.kit_findings import KIT_IN_ORDER
from drd.model.nearest import closest
from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessException, ReadinessFinding, judged_as
from drd.model.runbook import Ask
from drd.model.snapshot import RestorePoint
from drd.model.text import called, noun, without_output
from drd.model.units import format_duration, format_time
from drd.model.verdicts import NOT_LOADED, Assessment, Readiness

RELOAD = "systemctl reload drd"
_WORST = (Readiness.READY, Readiness.NEEDS_DRILL, Readiness.NOT_READY)


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """The verdict and all findings: first the findings that withhold `ready`, then warnings, then
    the others.
    """

    readiness: Readiness
    findings: tuple[ReadinessFinding, ...]

    @property
    def withholding(self) -> list[Finding]:
        """The findings that withhold `ready`."""
        return [judged.finding for judged in self.findings if judged.counts]

    @property
    def error(self) -> str | None:
        """The verdict and the findings that withhold `ready`: `needs drill: NAME: EVIDENCE; …`;
        None if the plan is ready.
        """
        bad = [f"{f.name}: {without_output(f.text)}" for f in self.withholding]
        return f"{self.readiness}: {'; '.join(bad)}" if bad else None


def judge(
    findings: Iterable[ReadinessFinding],
    exceptions: Sequence[ReadinessException],
    now: datetime,
) -> ReadinessReport:
    """Apply the plan's exceptions and combine the findings. An exception that has expired or is not
    needed is itself a warning, so that it is not forgotten in the plan.
    """
    judged = list(findings)
    for exception in exceptions:
        over = exception.until <= now
        named = [j for j in judged if j.finding.name == exception.finding]
        needed = [j for j in named if j.finding.severity != "ok"]
        if needed and not over:
            judged = [replace(j, excepted=exception) if j in needed else j for j in judged]
        else:
            names = [j.finding.name for j in judged]
            judged.append(ReadinessFinding(_useless(exception, names, over=over)))
    readiness = max((j.allows for j in judged if j.counts), key=_WORST.index, default=_WORST[0])
    rank = {"error": 1, "warning": 2, "ok": 3}
    # What withholds most comes first: it is what the verdict is called after.
    judged.sort(
        key=lambda j: (-_WORST.index(j.allows) if j.counts else 1, rank[j.finding.severity])
    )
    return ReadinessReport(readiness, tuple(judged))


def _useless(exception: ReadinessException, names: Sequence[str], *, over: bool) -> Finding:
    """Return the warnings about exceptions without a finding. Some findings exist only while
    something is wrong, so the name may be unknown or mistyped.
    """
    last = exception.until - timedelta(seconds=1)
    remedy = "remove the exception from `readiness` of the plan"
    if over:
        what, remedy = "has expired", f"{remedy}, or set a later end"
    elif exception.finding in names:
        what = "is not needed: the finding is not a problem any more"
    else:
        what = "is not needed: there is no such finding now"
        near = closest(exception.finding, names)
        if near:
            remedy = f'{remedy}, or write "{near}" if you meant this'
    return Finding(
        "exception",
        "warning",
        exception.finding,
        f"the exception until {last:%Y-%m-%d} ({exception.reason}) {what}",
        f"{remedy}.",
    )


def of_kit(found: Sequence[Finding]) -> list[ReadinessFinding]:
    """Judge the findings of the kit: they withhold `ready` only if a kit is required."""
    return [
        ReadinessFinding(f, Readiness.NOT_READY if f.failed else Readiness.READY)
        for f in found or (KIT_IN_ORDER,)
    ]


def not_in_force(plan: Plan, loads_it: str = RELOAD) -> Finding:
    """Return the finding that drd uses another text of the plan than the text on disk. `loads_it`
    is the command that loads the text on disk."""
    text = (
        f"drd has not loaded the present text of {plan.file}: drd uses another text of plan "
        f"{plan.name}"
    )
    verb = "catalogue rebuild" if plan.made_by else "backup"
    remedy = f"{loads_it}; on a host without the service: drd {verb} {plan.name}"
    return Finding("plan-file", "warning", "", text, remedy)


def of_assessment(
    plan: Plan,
    assessed: Assessment,
    *,
    in_force: bool = True,
    loads_it: str = RELOAD,
) -> list[ReadinessFinding]:
    """Judge the schedule against the RPO, the projection against the RTO, and the file in force.
    `in_force` says whether this text of the plan is; `loads_it` is the command that loads it.
    """
    judged = [_rpo(plan, assessed), _rto(plan, assessed), *_damaged(plan, assessed)]
    not_loaded = next((r for r in assessed.reasons if r.kind == NOT_LOADED), None)
    if not_loaded is not None:
        judged.append(judged_as("plan-file", "warning", "", not_loaded.text, not_loaded.remedy))
    elif not in_force:
        reasons = not_in_force(plan, loads_it)
        judged.append(judged_as(reasons.code, reasons.severity, "", reasons.text, reasons.remedy))
    else:
        judged.append(
            judged_as("plan-file", "ok", "", f"drd has loaded this plan, hash {plan.digest[:12]}")
        )
    return judged


def _damaged(plan: Plan, assessed: Assessment) -> list[ReadinessFinding]:
    """Return a finding for each damaged repository. `examine` finds those that are gone."""
    return [
        judged_as(
            DATA,
            "error",
            r.repository,
            "a verification found damage, and no later one has passed",
            f"drd verify {plan.name} --repository {r.repository}; see docs/copies.md",
            allows=Readiness.NOT_READY,
            proof=True,
        )
        for r in assessed.repositories
        if r.state == "damaged"
    ]


def _rpo(plan: Plan, assessed: Assessment) -> ReadinessFinding:
    slowest = assessed.rpo.slowest
    of = f"the RPO of {slowest.component}" if slowest and slowest.component else "the RPO"
    promised = format_duration(slowest.rpo_s if slowest is not None else plan.points_within_s)
    if plan.made_by:
        maker = called(plan.made_by)
        text = f"{maker} decides when copies are made; drd only checks how old the newest copy is"
        return judged_as("schedule", "ok", "", f"{text} (RPO {promised})")
    if slowest is None:
        text = (
            f"drd does not know whether the RPO of {promised} can be kept: no backup was made "
            "yet, or backups start only by hand"
        )
        remedy = (
            "set the time between backups in the plan, for example `backup: {every: auto}`; if "
            f"there was no backup yet: drd backup {plan.name}"
        )
        return judged_as("schedule", "warning", "", text, remedy)
    text = (
        f"with this schedule, up to {format_duration(slowest.exposure_s)} of data can be lost, but "
        f"{of} is {promised}"
    )
    if slowest.exposure_s > slowest.rpo_s:
        remedy = "back up more often: set a shorter `every` under `backup:` in the plan."
        if slowest.log_every_s is not None:
            remedy = "store the log more often: set a shorter `every` for the log in the plan."
        return judged_as("schedule", "warning", "", text, remedy)
    return judged_as("schedule", "ok", "", text)


def _rto(plan: Plan, assessed: Assessment) -> ReadinessFinding:
    projected, promised = assessed.rto.projected_s, format_duration(plan.objectives.rto_s)
    if assessed.rpo.loses_everything:
        text = f"there is no restore point to recover from (RTO {promised})"
        return judged_as("projection", "warning", "", text, f"drd status {plan.name}")
    if projected is None:
        text = f"no passed drill has measured how long a recovery takes (RTO {promised})"
        return judged_as("projection", "warning", "", text, f"drd drill {plan.name}")
    text = f"a recovery would take {format_duration(projected)}, but the RTO is {promised}"
    if projected > plan.objectives.rto_s:
        return judged_as(
            "projection",
            "warning",
            "",
            text,
            "make the recovery faster, or raise `rto` under `objectives` in the plan.",
        )
    return judged_as("projection", "ok", "", text)


def of_people(plan: Plan, roles: Mapping[str, Sequence[str]]) -> list[ReadinessFinding]:
    """Return findings about answers that the runbook waits for but nobody may give; `roles` has the
    roles of each person.
    """
    judged = []
    asked: dict[str | None, list[str]] = {}
    for step in plan.runbook:
        if isinstance(step.settings, Ask):
            asked.setdefault(step.settings.role, []).append(step.name)
    for role, steps in asked.items():
        holders = [name for name, held in roles.items() if role is None or role in held]
        name = role or "anybody"
        if holders:
            judged.append(judged_as("people", "ok", name, ", ".join(holders)))
            continue
        which = f"{noun(len(steps), 'step', 'steps')} {', '.join(steps)}"
        needs = noun(len(steps), "needs", "need")
        if role is None:
            text = f"{which} {needs} a person, but drd.yaml does not name a person"
            remedy = "add a person to drd.yaml: people: [{name: NAME}]"
        else:
            text = f"{which} {needs} a person with the role {role}, but no person in drd.yaml "
            text += "has this role"
            remedy = (
                f"give a person in drd.yaml this role: people: [{{name: NAME, roles: [{role}]}}]"
            )
        judged.append(judged_as("people", "error", name, text, remedy, allows=Readiness.NOT_READY))
    return judged


def of_rotations(plan: Plan, playbooks: Collection[str]) -> list[ReadinessFinding]:
    """Return a finding for each credential that names a missing playbook: in an incident, people
    would not know how to replace this credential."""
    missing = [c for c in plan.inventory.credentials if c.rotate_with not in ("", *playbooks)]
    return [
        judged_as(
            "playbook-missing",
            "warning",
            one.name,
            f"the plan names playbook {one.rotate_with} to replace credential {one.name}, but this "
            "playbook does not exist",
            "write this playbook, or correct `rotate_with` in the plan. To see all playbooks: drd "
            "playbook list",
        )
        for one in missing
    ]


def of_point(plan: Plan, newest: RestorePoint | None) -> ReadinessFinding:
    if newest is None:
        text = "there is no complete restore point: nothing can be restored"
        backup = f"drd backup {plan.name}"
        if plan.made_by:
            backup = f"drd catalogue rebuild {plan.name}"
        return judged_as(RESTORE_POINT, "error", "", text, backup, allows=Readiness.NOT_READY)
    text = f"{newest.id} has the data of {format_time(newest.data_time)}"
    return judged_as(RESTORE_POINT, "ok", "", text)
