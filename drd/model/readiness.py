"""Judge whether a plan, as it stands now, is proven: every reason is a named finding. Pure.

`drd status` judges by the drills alone, from a few rows; this judges everything that was examined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches

from drd.model.drill_verdicts import is_overdue, remedy_of
from drd.model.facts import PackageFacts
from drd.model.fencing import listed
from drd.model.finding import Finding, Severity
from drd.model.finding_codes import DATA, DRILL, RESTORE_POINT
from drd.model.kit_findings import KIT_IN_ORDER
from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessException, ReadinessFinding
from drd.model.run import DrillResult, Evidence
from drd.model.runbook import LOOKING, Ask
from drd.model.scenarios import Key, ScenarioDrill, standing, turn_s, valid_s
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.source_version import SourceVersion
from drd.model.text import noun, without_output
from drd.model.units import format_duration, format_time
from drd.model.verdicts import Assessment, Readiness

_WORST = (Readiness.READY, Readiness.NEEDS_DRILL, Readiness.NOT_READY)


def _judged(
    code: str,
    severity: Severity,
    subject: str,
    text: str,
    remedy: str = "",
    *,
    allows: Readiness = Readiness.READY,
    proof: bool = False,
) -> ReadinessFinding:
    return ReadinessFinding(Finding(code, severity, subject, text, remedy), allows, proof)


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """The verdict and all findings: first those that withhold `ready`, then warnings, then the
    rest.
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
        what = "is not needed: the finding is fine"
    else:
        what = "is not needed: there is no such finding now"
        close = get_close_matches(exception.finding, names, n=1)
        if close:
            remedy = f'{remedy}, or write "{close[0]}" if you meant this'
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


def of_assessment(plan: Plan, assessed: Assessment) -> list[ReadinessFinding]:
    """Judge the schedule against the RPO, the projection against the RTO, and the file in force."""
    name = plan.name
    judged = [_rpo(plan, assessed), _rto(plan, assessed), *_damaged(plan, assessed)]
    if assessed.load_error is not None:
        text = f"the file on disk is not in force: {assessed.load_error}"
        judged.append(
            _judged(
                "plan-file",
                "error",
                "",
                text,
                f"drd doctor {name}",
                allows=Readiness.NEEDS_DRILL,
                proof=True,
            )
        )
    else:
        judged.append(_judged("plan-file", "ok", "", f"in force, hash {plan.digest[:12]}"))
    return judged


def _damaged(plan: Plan, assessed: Assessment) -> list[ReadinessFinding]:
    """Return a finding for each damaged repository. `examine` finds those that are gone."""
    return [
        _judged(
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
    rpo, promised = assessed.rpo.achievable_s, format_duration(plan.objectives.rpo_s)
    if rpo is None:
        text = (
            "drd does not know how old the newest data gets between two backups: there was no "
            f"backup yet, or backups are made only by hand (RPO {promised})"
        )
        return _judged("schedule", "warning", "", text, "set `backup: {every: …}` in the plan.")
    text = f"exposure reaches {format_duration(rpo)}, the RPO is {promised}"
    if rpo > plan.objectives.rpo_s:
        return _judged("schedule", "warning", "", text, "back up more often: `backup: {every: …}`.")
    return _judged("schedule", "ok", "", text)


def _rto(plan: Plan, assessed: Assessment) -> ReadinessFinding:
    projected, promised = assessed.rto.projected_s, format_duration(plan.objectives.rto_s)
    if assessed.rpo.loses_everything:
        text = f"there is no restore point to recover from (RTO {promised})"
        return _judged("projection", "warning", "", text, f"drd status {plan.name}")
    if projected is None:
        text = f"no passed drill has measured how long a recovery takes (RTO {promised})"
        return _judged("projection", "warning", "", text, f"drd drill {plan.name}")
    text = f"a recovery would take {format_duration(projected)}, the RTO is {promised}"
    if projected > plan.objectives.rto_s:
        return _judged(
            "projection", "warning", "", text, "make the recovery faster, or raise objectives.rto."
        )
    return _judged("projection", "ok", "", text)


# --- what drills proved ---------------------------------------------------------------------


def of_drills(
    plan: Plan,
    evidence: Iterable[Evidence],
    now: datetime,
    packages: Callable[[Evidence], Sequence[PackageFacts]] = lambda _: (),
) -> list[ReadinessFinding]:
    """Judge, of each scenario, the drill that counts for `status` (`model.scenarios.standing`)."""
    drills = {one.id: one for one in evidence if one.target is None}
    judged = standing(
        ScenarioDrill(
            one.id,
            one.scenario,
            one.finished_at,
            str(one.result),
            one.data_time,
            one.repository,
            one.given_by,
        )
        for one in drills.values()
    )
    named = [(s, "") for s in plan.drill.scenarios]
    # Of drills that somebody held to one repository only what did not pass is a finding.
    named += [
        key
        for key, result in judged.items()
        if key not in named and key[1] in plan.repositories and result.result != "passed"
    ]
    return [
        _drill(plan, key, drills[judged[key].last] if key in judged else None, now, packages)
        for key in named
    ]


def subject_of(key: Key) -> str:
    """Return the subject of findings about the drills of a scenario, or of a scenario and a
    repository.
    """
    scenario, repository = key
    return f"{scenario} from {repository}" if repository else scenario


def _changed(packages: Sequence[PackageFacts]) -> str:
    words = " and ".join(package.words() for package in packages)
    return f" with {words}" if words else ", but the plan has changed since then"


def _drill(
    plan: Plan,
    key: Key,
    last: Evidence | None,
    now: datetime,
    packages: Callable[[Evidence], Sequence[PackageFacts]],
) -> ReadinessFinding:
    scenario, repository = key
    subject = subject_of(key)
    again = f"drd drill {plan.name} --scenario {scenario}"
    again += f" --repository {repository}" if repository else ""

    def unproven(
        text: str, allows: Readiness = Readiness.NEEDS_DRILL, remedy: str = ""
    ) -> ReadinessFinding:
        return _judged(DRILL, "error", subject, text, remedy or again, allows=allows, proof=True)

    if last is None:
        return unproven("never rehearsed")
    since_s = (now - last.finished_at).total_seconds()
    when = format_time(last.finished_at)  # the finding is shown for days
    why = f": {last.reason}" if last.reason else ""
    if last.result is DrillResult.FAILED:
        text = f"failed {when}{why}"
        show = f"drd run show {last.run}"
        return _judged(DRILL, "error", subject, text, show, allows=Readiness.NOT_READY, proof=True)
    if last.result is not DrillResult.PASSED:
        return unproven(f"inconclusive {when}{why}", remedy=remedy_of(last.unproven))
    if last.unproven:
        left = "; ".join(map(str, last.unproven))
        text = f"passed {when}, but did not prove everything: {left}"
        return unproven(text, Readiness.NOT_READY, remedy_of(last.unproven))
    if last.plan_digest != plan.digest:
        return unproven(f"passed {when}{_changed(packages(last))}")
    every_s = plan.drill.interval_s
    if since_s > (valid := valid_s(every_s, len(plan.drill.scenarios))):
        return unproven(
            f"passed {when}, but a passed drill counts only for {format_duration(valid)}"
        )
    period_s = turn_s(every_s, len(plan.drill.scenarios)) if every_s is not None else None
    if period_s is not None:
        late_s = since_s - period_s
        if is_overdue(late_s, period_s):
            return unproven(
                f"passed {when}, and the next drill is overdue by {format_duration(late_s)}"
            )
    took = f", back in {format_duration(last.rta_s)}" if last.rta_s is not None else ""
    return _judged(DRILL, "ok", subject, f"passed {when}{took}", proof=True)


_VERSION = "server-version"


def of_versions(
    plan: Plan,
    drilled: RestorePoint | None,
    newest: RestorePoint | None,
    version: Callable[[ComponentSnapshot], SourceVersion],
) -> list[ReadinessFinding]:
    """Warn if a server was upgraded since the last drill: nothing was restored with the new version
    yet. `version` gives that of a component, as its kind knows it.
    """
    if drilled is None or newest is None:
        return []
    judged = []
    for component in newest.components:
        before = drilled.component(component.component)
        now = version(component)
        then = version(before) if before is not None else SourceVersion()
        if not now.series or not then.series:
            continue
        name = component.component
        if now.series == then.series:
            judged.append(_same_series(plan, name, now, then))
            continue
        text = f"{now.series} now, but {then.series} at the last passed drill"
        again = f"drd drill {plan.name}"
        judged.append(_judged(_VERSION, "error", name, text, again, allows=Readiness.NEEDS_DRILL))
    return judged


def _same_series(
    plan: Plan, name: str, now: SourceVersion, then: SourceVersion
) -> ReadinessFinding:
    here = now.exact or now.series
    if now.exact == then.exact:
        return _judged(_VERSION, "ok", name, f"{here}, as at the last passed drill")
    text = f"{here} now, but {then.exact or then.series} at the last passed drill"
    return _judged(_VERSION, "warning", name, text, f"drd drill {plan.name}")


def of_tools(plan: Plan, then: Mapping[str, str], now: Mapping[str, str]) -> list[ReadinessFinding]:
    """Warn if programs differ from those of the last passed drill: `then` and `now` are versions by
    name. Nothing was restored with another series of a program yet.
    """
    judged = []
    for tool in (t for t in now if t in then):
        version, before = now[tool], then[tool]
        if version == before:
            text = f"{version}, as in the last passed drill"
            judged.append(_judged("tool-version", "ok", tool, text))
            continue
        text = f"{version} here now, but {before} in the last passed drill"
        again = f"drd drill {plan.name}"
        if _series(version) == _series(before):
            judged.append(_judged("tool-version", "warning", tool, text, again))
        else:
            judged.append(
                _judged("tool-version", "error", tool, text, again, allows=Readiness.NEEDS_DRILL)
            )
    return judged


def _series(version: str) -> tuple[str, ...]:
    """Return the series of a version: 17 of 17.12, 1 of 1.4.2, and 0.18 of 0.18.1: up to the first
    number that is not 0.
    """
    numbers = re.findall(r"\d+", version)
    end = next((n for n, part in enumerate(numbers) if int(part)), len(numbers))
    return tuple(numbers[: end + 1])


def of_coverage(plan: Plan, evidence: Iterable[Evidence]) -> list[ReadinessFinding]:
    """Return findings about the steps that the last passed drill left out; none if it recorded no
    steps.
    """
    last = next((e for e in evidence if e.target is None and e.result is DrillResult.PASSED), None)
    if last is None or last.coverage is None:
        return []
    text = last.coverage.words()
    if not last.not_rehearsed:
        if plan.runbook and all(step.kind in LOOKING for step in plan.runbook):
            text = "restore and checks rehearsed; the plan has no other steps"
        return [_judged("rehearsal", "ok", "", text)]
    left_out = "\n".join(f"{step}: {reason}" for step, reason in last.not_rehearsed)
    remedy = f"let drills run these steps, or simulate them: `rehearse` in {plan.file}."
    return [_judged("rehearsal", "warning", "", f"{text}\n{left_out}", remedy)]


def of_fence(plan: Plan, evidence: Iterable[Evidence]) -> list[ReadinessFinding]:
    """Warn about what the last drill's commands tried to reach outside the sandbox, in vain."""
    last = next((e for e in evidence if e.target is None), None)
    if last is None or last.fence is None:
        return []
    judged = []
    if last.fence.missing and last.fence.fenced:
        remedy = "see docs/sandbox.md; `drill: {fence: required}` refuses such drills."
        text = f"the last drill ran with only a part of the fence: {last.fence.words()}"
        if not last.fence.held:
            text = f"the last drill ran unfenced: {listed(last.fence.missing)}"
        judged.append(_judged("fence-of-the-last-drill", "warning", "", text, remedy))
    if last.fence.tried:
        text = "the last drill tried to reach places outside of its sandbox:\n" + "\n".join(
            attempt.words for attempt in last.fence.tried
        )
        remedy = (
            f"declare the necessary places: `drill: {{reach: [HOST:PORT]}}` in {plan.file}; and "
            "find out why the drill tries the others."
        )
        judged.append(_judged("reach-of-the-last-drill", "warning", "", text, remedy))
    return judged


def of_people(plan: Plan, roles: Mapping[str, Sequence[str]]) -> list[ReadinessFinding]:
    """Return findings about answers that the runbook waits for and nobody may give; `roles` by
    person.
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
            judged.append(_judged("people", "ok", name, ", ".join(holders)))
            continue
        which = f"{noun(len(steps), 'step', 'steps')} {', '.join(steps)}"
        needs = noun(len(steps), "needs", "need")
        if role is None:
            text = f"{which} {needs} a person, but drd.yaml names no person"
            remedy = "add a person to drd.yaml: people: [{name: NAME}]"
        else:
            text = f"{which} {needs} a person with the role {role}, but no person in drd.yaml "
            text += "has this role"
            remedy = (
                f"give a person in drd.yaml this role: people: [{{name: NAME, roles: [{role}]}}]"
            )
        judged.append(_judged("people", "error", name, text, remedy, allows=Readiness.NOT_READY))
    return judged


def of_point(plan: Plan, newest: RestorePoint | None) -> ReadinessFinding:
    if newest is None:
        text = "there is no complete restore point: nothing can be restored"
        backup = f"drd backup {plan.name}"
        return _judged(RESTORE_POINT, "error", "", text, backup, allows=Readiness.NOT_READY)
    text = f"{newest.id} has the data of {format_time(newest.data_time)}"
    return _judged(RESTORE_POINT, "ok", "", text)
