"""Judge what the drills of a plan have proven, and with which versions of programs. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from drd.model.clock import FAR_AHEAD, age
from drd.model.drill_facts import PackageFacts
from drd.model.drill_verdicts import is_overdue, of_components, remedy_of
from drd.model.fencing import listed
from drd.model.finding_codes import DRILL
from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessFinding, judged_as
from drd.model.run import DrillResult, Evidence
from drd.model.runbook import LOOKING
from drd.model.scenarios import OPERATOR, ScenarioDrill, StandingKey, standing, turn_s, valid_s
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.model.source_version import SourceVersion
from drd.model.units import format_duration, format_time
from drd.model.verdicts import Readiness


def of_drills(
    plan: Plan,
    evidence: Iterable[Evidence],
    now: datetime,
    packages: Callable[[Evidence], Sequence[PackageFacts]] = lambda _: (),
    *,
    proofs: Collection[str] = (),
) -> list[ReadinessFinding]:
    """Judge, for each scenario, the drill that counts for `status` (`model.scenarios.standing`).
    Drills from far in the future, when a clock was wrong, count only for scenarios without others.
    `proofs` are further hashes by which evidence counts for the plan, besides the plan's own hash.
    """
    known = [one for one in evidence if one.target is None]
    dated = {one.scenario for one in known if one.finished_at <= now + FAR_AHEAD}
    drills = {
        one.id: one
        for one in known
        if one.finished_at <= now + FAR_AHEAD or one.scenario not in dated
    }
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
    counting = {plan.proof, plan.digest, *proofs}
    named = [(s, "") for s in plan.drill.scenarios]
    # Of drills that somebody held to one repository only what did not pass is a finding.
    named += [
        key
        for key, result in judged.items()
        if key not in named and key[1] in plan.repositories and result.result != "passed"
    ]
    people = _by_people(plan, drills.values(), now, counting)
    return [
        _drill(
            plan,
            key,
            drills[judged[key].last] if key in judged else None,
            now,
            packages,
            proofs=counting,
            people=people,
        )
        for key in named
    ]


def _by_people(
    plan: Plan, drills: Iterable[Evidence], now: datetime, proofs: Collection[str]
) -> Evidence | None:
    """Return the newest operator drill, if it passed and still counts for the data."""
    newest = max(
        (one for one in drills if one.scenario == OPERATOR),
        key=lambda one: one.finished_at,
        default=None,
    )
    if newest is None or newest.result is not DrillResult.PASSED:
        return None
    since_s = age(newest.finished_at, now)
    if since_s is None or since_s > valid_s(plan.drill.interval_s, len(plan.drill.scenarios)):
        return None
    gaps = of_components(newest.unproven, plan.components)
    return None if gaps or newest.plan_digest not in proofs else newest


def subject_of(key: StandingKey) -> str:
    """Return the subject of findings about the drills of a scenario, or of a scenario and a
    repository.
    """
    scenario, repository = key
    return f"{scenario} from {repository}" if repository else scenario


def _changed(packages: Sequence[PackageFacts]) -> str:
    words = " and ".join(package.words() for package in packages)
    return f" with {words}" if words else ", but the plan has changed since then"


def _never(people: Evidence | None) -> str:
    """Return the text of what is unknown without a drill. `people` is an operator drill: it
    restores the same data as a drill of database-loss."""
    if people is None:
        return "never drilled, so nobody knows whether a recovery works"
    return (
        "no drill has measured the time of a recovery yet; an operator drill passed "
        f"{format_time(people.finished_at)}, so the data can be restored"
    )


def _drill(
    plan: Plan,
    key: StandingKey,
    last: Evidence | None,
    now: datetime,
    packages: Callable[[Evidence], Sequence[PackageFacts]],
    *,
    proofs: Collection[str],
    people: Evidence | None,
) -> ReadinessFinding:
    scenario, repository = key
    subject = subject_of(key)
    again = f"drd drill {plan.name} --scenario {scenario}"
    again += f" --repository {repository}" if repository else ""

    def unproven(
        text: str, allows: Readiness = Readiness.NEEDS_DRILL, remedy: str = ""
    ) -> ReadinessFinding:
        return judged_as(DRILL, "error", subject, text, remedy or again, allows=allows, proof=True)

    if last is None:
        return unproven(_never(people if key == ("database-loss", "") else None))
    gaps = of_components(last.unproven, plan.components)
    since_s = age(last.finished_at, now)
    when = format_time(last.finished_at)  # the finding is shown for days
    why = f": {last.reason}" if last.reason else ""
    if last.result is DrillResult.FAILED:
        text = f"failed {when}{why}"
        show = f"drd run show {last.run}"
        return judged_as(
            DRILL, "error", subject, text, show, allows=Readiness.NOT_READY, proof=True
        )
    if last.result is not DrillResult.PASSED:
        return unproven(f"inconclusive {when}{why}", remedy=remedy_of(gaps))
    if since_s is None:
        return unproven(f"passed {when}, which is in the future: a clock was set back")
    if gaps:
        left = "; ".join(map(str, gaps))
        text = f"passed {when}, but did not prove everything: {left}"
        return unproven(text, Readiness.NOT_READY, remedy_of(gaps))
    if last.plan_digest not in proofs:
        return unproven(f"passed {when}{_changed(packages(last))}")
    if late := _late(plan, last, since_s):
        return unproven(f"passed {when}, {late}")
    took = f", recovered in {format_duration(last.rta_s)}" if last.rta_s is not None else ""
    return judged_as(DRILL, "ok", subject, f"passed {when}{took}", proof=True)


def _late(plan: Plan, last: Evidence, since_s: float) -> str:
    """Say that a passed drill was too long ago; empty if it was not."""
    every_s, scenarios = plan.drill.interval_s, len(plan.drill.scenarios)
    if since_s > (valid := valid_s(every_s, scenarios)):
        return f"but a passed drill counts only for {format_duration(valid)}"
    if every_s is None:
        return ""
    period_s = turn_s(every_s, scenarios)
    if not is_overdue(since_s - period_s, period_s):
        return ""
    return f"and the next drill is overdue: it was due at {_due(last, period_s)}"


_VERSION = "server-version"


def of_versions(
    plan: Plan,
    drilled: RestorePoint | None,
    newest: RestorePoint | None,
    version: Callable[[ComponentSnapshot], SourceVersion],
) -> list[ReadinessFinding]:
    """Warn if a server was upgraded since the last drill: nothing was restored with the new version
    yet. `version` returns the version of a component's source.
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
        text = f"version {now.series} now, but version {then.series} at the last passed drill"
        again = f"drd drill {plan.name}"
        judged.append(judged_as(_VERSION, "error", name, text, again, allows=Readiness.NEEDS_DRILL))
    return judged


def _same_series(
    plan: Plan, name: str, now: SourceVersion, then: SourceVersion
) -> ReadinessFinding:
    here = now.exact or now.series
    if now.exact == then.exact:
        return judged_as(_VERSION, "ok", name, f"version {here}, as at the last passed drill")
    before = then.exact or then.series
    text = f"version {here} now, but version {before} at the last passed drill"
    return judged_as(_VERSION, "warning", name, text, f"drd drill {plan.name}")


def of_tools(plan: Plan, then: Mapping[str, str], now: Mapping[str, str]) -> list[ReadinessFinding]:
    """Warn if programs have other versions than in the last passed drill: `then` and `now` are
    versions by name. Nothing was restored with the new versions yet.
    """
    judged = []
    for tool in (t for t in now if t in then):
        version, before = now[tool], then[tool]
        if version == before:
            text = f"version {version}, as at the last passed drill"
            judged.append(judged_as("tool-version", "ok", tool, text))
            continue
        text = f"version {version} on this host, but version {before} at the last passed drill"
        again = f"drd drill {plan.name}"
        if _series(version) == _series(before):
            judged.append(judged_as("tool-version", "warning", tool, text, again))
        else:
            judged.append(
                judged_as("tool-version", "error", tool, text, again, allows=Readiness.NEEDS_DRILL)
            )
    return judged


def _series(version: str) -> tuple[str, ...]:
    """Return the series of a version: 17 of 17.12, 1 of 1.4.2, and 0.18 of 0.18.1: up to the first
    number that is not 0.
    """
    numbers = re.findall(r"\d+", version)
    end = next((n for n, part in enumerate(numbers) if int(part)), len(numbers))
    return tuple(numbers[: end + 1])


def _due(last: Evidence, period_s: float) -> str:
    return format_time(last.finished_at + timedelta(seconds=period_s))


def of_coverage(plan: Plan, evidence: Iterable[Evidence]) -> list[ReadinessFinding]:
    """Return findings about the steps that the last passed drill left out; empty if it recorded no
    steps.
    """
    last = next((e for e in evidence if e.target is None and e.result is DrillResult.PASSED), None)
    if last is None or last.coverage is None:
        return []
    text = last.coverage.words()
    if not last.not_rehearsed:
        if plan.runbook and all(step.kind in LOOKING for step in plan.runbook):
            text = "the drill rehearsed restore and checks; the plan has no other steps"
        return [judged_as("rehearsal", "ok", "", text)]
    left_out = "\n".join(f"{step}: {reason}" for step, reason in last.not_rehearsed)
    remedy = f"let drills run these steps, or simulate them: `rehearse` in {plan.file}."
    return [judged_as("rehearsal", "warning", "", f"{text}\n{left_out}", remedy)]


def of_fence(plan: Plan, evidence: Iterable[Evidence]) -> list[ReadinessFinding]:
    """Warn about accesses outside of the sandbox that the commands of the last drill tried, and
    that were refused."""
    last = next((e for e in evidence if e.target is None), None)
    if last is None or last.fence is None:
        return []
    judged = []
    if last.fence.missing and last.fence.fenced:
        remedy = (
            "install on this host what is missing for the fence: docs/sandbox.md. If a drill "
            "without a complete fence must not count, write `drill: {fence: required}` in "
            "the plan: such a drill is then inconclusive."
        )
        text = f"the last drill ran with only a part of the fence: {last.fence.words()}"
        if not last.fence.held:
            text = f"the last drill ran without a fence: {listed(last.fence.missing)}"
        judged.append(judged_as("fence-of-the-last-drill", "warning", "", text, remedy))
    if last.fence.tried:
        text = "the last drill tried to reach places outside of its sandbox:\n" + "\n".join(
            attempt.words for attempt in last.fence.tried
        )
        remedy = (
            f"declare the necessary places: `drill: {{reach: [HOST:PORT]}}` in {plan.file}; "
            "and find out why the drill tries to reach the other places."
        )
        judged.append(judged_as("reach-of-the-last-drill", "warning", "", text, remedy))
    return judged
