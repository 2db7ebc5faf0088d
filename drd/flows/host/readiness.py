"""Readiness: is the current plan proven, and does everything exist that a recovery needs?

The same attempts as `drd doctor`, the named targets, and the state of drills, kits and the
schedule; recorded as a run, so that what breaks between two drills raises an alert."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from drd.errors import DrdError, ExtensionFailed, UsageError
from drd.extension_faults import attributed
from drd.flows.components.tools import tool_versions
from drd.flows.durable_steps import new_run
from drd.flows.host import incident_findings, training
from drd.flows.host.doctor import examine, trial_id
from drd.flows.host.persons_check import PersonsCheck
from drd.flows.incidents.actions import settle
from drd.flows.playbooks.rehearsals import findings as rehearsal_findings
from drd.flows.repository import signatures
from drd.flows.restore import usage
from drd.flows.restore.production_guard import production
from drd.flows.runbook.step_runner import preflight_step
from drd.flows.services import Services
from drd.flows.state.run_dirs import target_place
from drd.flows.state.run_removal import remove_run
from drd.flows.status.refused_plans import loads_it
from drd.model import drill_readiness, readiness
from drd.model.compliance import assess
from drd.model.finding import Finding
from drd.model.package_versions import other_packages
from drd.model.plan import Plan, SecretRef, Target
from drd.model.readiness import ReadinessReport
from drd.model.readiness_finding import ReadinessFinding
from drd.model.rehearsals import named_by
from drd.model.run import DrillResult, RunKind, RunState
from drd.model.run_details import DrillDetail, ReadinessDetail
from drd.model.snapshot import RestorePoint, newest_complete
from drd.model.verdicts import Readiness
from drd.registry import KINDS, extensions_used, source_version


def evaluate(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str], *, trigger: str
) -> ReadinessReport:
    """Check everything and record the findings: the run fails when the plan is not ready."""
    with new_run(services, plan, RunKind.READINESS, trigger=trigger) as runner:
        report = _judged(services, plan, resolve, runner.owned.run.id)
        services.catalogue.runs.finish(
            runner.owned,
            RunState.SUCCEEDED if report.readiness is Readiness.READY else RunState.FAILED,
            at=services.clock.now(),
            error=report.error,
            detail=ReadinessDetail(readiness=report.readiness.value, findings=report.findings),
        )
        settle(services.catalogue, services.clock.now(), plan.name)
        return report


def judge_unrecorded(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str]
) -> ReadinessReport:
    """Check everything and record nothing: for a text that is not in force."""
    return _judged(services, plan, resolve, trial_id())


def _judged(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str], run: str
) -> ReadinessReport:
    return readiness.judge(
        _findings(services, plan, resolve, run), plan.readiness.exceptions, services.clock.now()
    )


def _findings(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str], run: str
) -> Iterable[ReadinessFinding]:
    now = services.clock.now()
    kept = services.catalogue.points.of_plan(plan.name)
    newest = newest_complete(kept, now)
    evidence = services.catalogue.evidence.newest(plan.name, limit=200)
    for facts in services.read_facts(plan.name) if services.read_facts else ():
        in_force = facts.digest == plan.digest
        yield from readiness.of_assessment(
            plan,
            assess(facts, now),
            in_force=in_force,
            loads_it=loads_it(services.catalogue.queue, plan.name),
        )
    majors = {extension.name: extension.major for extension in extensions_used(plan)}
    yield from drill_readiness.of_drills(
        plan,
        evidence,
        now,
        lambda drill: other_packages(_recorded(services, drill.run), majors),
        proofs=services.catalogue.plans.proofs(plan),
    )
    yield from drill_readiness.of_coverage(plan, evidence)
    yield from drill_readiness.of_fence(plan, evidence)
    yield from readiness.of_people(plan, services.roles)
    playbooks = services.playbooks()
    yield from readiness.of_rotations(plan, playbooks)
    for rehearsal_finding in rehearsal_findings(services.catalogue, playbooks, named_by(plan), now):
        yield ReadinessFinding(rehearsal_finding)
    yield from training.findings(services, plan)
    yield from incident_findings.findings(services, plan)
    yield readiness.of_point(plan, newest)
    if newest is not None and (signed := signatures.finding(services, plan, newest)) is not None:
        yield ReadinessFinding(signed, Readiness.READY)
    drills = (e for e in evidence if e.target is None)
    passed = next((e for e in drills if e.result is DrillResult.PASSED and e.point), None)
    drilled = next((p for p in kept if passed is not None and p.id == passed.point), None)
    yield from _unless_broken(
        lambda: drill_readiness.of_versions(plan, drilled, newest, source_version)
    )
    if passed is not None and newest is not None:
        tools, point = _recorded(services, passed.run), newest
        yield from _unless_broken(
            lambda: drill_readiness.of_tools(plan, tools, tool_versions(services, plan, point))
        )
    yield from (_tried(f) for f in examine(services, plan, resolve, run=run))
    yield from (_tried(f) for step in plan.runbook for f in preflight_step(services, step))
    if newest is not None:
        persons = PersonsCheck.for_service(services, plan)
        for target in plan.targets.values():
            judge = partial(_target, services, plan, run, target, newest, persons)
            yield from _unless_broken(judge, f"target {target.name}")
    yield from _unless_broken(lambda: [_tried(f) for f in services.exposed(plan)])
    if services.kit.findings is not None:
        of_kit = services.kit.findings
        yield from _unless_broken(lambda: readiness.of_kit(of_kit(plan)))


def _recorded(services: Services, drill: str) -> Mapping[str, str]:
    """Return the programs of a drill; none if drd did not record them."""
    try:
        detail = services.catalogue.runs.get(drill).detail
    except UsageError:  # its run is no longer kept
        return {}
    return detail.tools if isinstance(detail, DrillDetail) else {}


def _tried(finding: Finding) -> ReadinessFinding:
    """Return a failed attempt would fail in a recovery as well."""
    return ReadinessFinding(finding, Readiness.NOT_READY if finding.failed else Readiness.READY)


def _unless_broken(
    judge: Callable[[], Iterable[ReadinessFinding]], subject: str = ""
) -> list[ReadinessFinding]:
    """Return findings; one that names the package if the code of an extension raised what it must
    not raise."""
    try:
        with attributed(subject):
            return list(judge())
    except ExtensionFailed as error:
        return [_tried(Finding("extension", "error", subject, error.message, error.hint))]


def _target(  # noqa: PLR0917 - each is needed
    services: Services,
    plan: Plan,
    run: str,
    target: Target,
    point: RestorePoint,
    persons: PersonsCheck | None,
) -> Iterable[ReadinessFinding]:
    """Return whether the point would fit there. It does not check that the target is empty: it is
    in use until the day of the recovery."""
    where = f"target {target.name}"
    try:
        for over in production(services, plan, target, target.components, run):
            yield ReadinessFinding(
                Finding(
                    "production",
                    "warning",
                    over.component,
                    f"this target is where the plan's production data is: {over.place}",
                    f"correct `targets` in {plan.file}; if this target is right, a recovery to it "
                    "needs --in-place",
                    where,
                )
            )
        for name, settings in target.components.items():
            snapshot = point.component(name)
            if name not in plan.components or snapshot is None or snapshot.snapshot is None:
                continue
            component = plan.components[name]
            place = target_place(services, run, component)
            try:
                with attributed("", KINDS.extension(component.kind)):
                    destination = services.kinds(component.kind).target(component, settings, place)
                    findings = list(destination.check_access(snapshot))
                findings += usage.blocking(services, name, destination, snapshot)
                for finding in findings:
                    yield from _tried_there(services, finding, where, name, persons)
            except DrdError as error:
                failed = Finding("target-unavailable", "error", name, error.message, error.hint)
                yield at_target(services, failed, where, name)
    finally:
        remove_run(services, run)


def _tried_there(
    services: Services,
    finding: Finding,
    where: str,
    component: str,
    persons: PersonsCheck | None,
) -> list[ReadinessFinding]:
    judged = replace(finding, subject=finding.subject or component, where=where)
    if persons is not None and (judged.rights or judged.login):
        return persons.instead_of(judged)
    return [at_target(services, finding, where, component)]


def at_target(services: Services, finding: Finding, where: str, component: str) -> ReadinessFinding:
    """The service's user may lack rights at the target that the operator of a recovery has: such
    failures are warnings."""
    judged = replace(finding, subject=finding.subject or component, where=where)
    if judged.failed and not services.is_root and judged.rights:
        text = (
            f"{judged.text} (tried as this user; a recovery has the rights of the person who "
            "starts it)"
        )
        judged = replace(judged, severity="warning", text=text)
    return _tried(judged)
