"""Try everything that a run of a plan will need, and report each as a finding."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from drd import process
from drd.errors import CatalogueError, DrdError, ExtensionFailed
from drd.flows.component_names import remedy_with_names
from drd.flows.host import targets
from drd.flows.host.fence_trial import try_fence
from drd.flows.host.instant_trial import try_mounts
from drd.flows.host.refused_checks import refused_checks
from drd.flows.host.repository_findings import masked_passwords, repository_findings, tried
from drd.flows.host.repository_room import ahead
from drd.flows.host.unit_limits import confinement, without_those_of_the_unit
from drd.flows.log.findings import findings as log_findings
from drd.flows.repository import adopted, contested
from drd.flows.repository.identity import recognise
from drd.flows.restore import known_problems
from drd.flows.restore.kept_copies import reminders
from drd.flows.services import Services
from drd.flows.state.leftovers import leftovers
from drd.flows.state.run_dirs import component_place, sandbox_place
from drd.flows.state.run_removal import remove_run
from drd.model.adopted import with_copy
from drd.model.clock import SYNCHRONISE
from drd.model.finding import Finding
from drd.model.finding_codes import CHECK_QUERY, DISK_SPACE, REPOSITORY, THIS_STATE
from drd.model.plan import Component, Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState
from drd.model.snapshot import newest_complete
from drd.model.state_place import WHILE_CONTESTED
from drd.model.text import called, escaped, without_output
from drd.model.units import format_duration, format_size, format_time
from drd.ports import Kind
from drd.registry import KINDS
from drd.secrets import edges, references


def examine(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str], *, run: str | None = None
) -> list[Finding]:
    """Return all findings about one plan; nothing is stored, changed or left behind, even if a
    `run` is killed in between."""
    probe = run or trial_id()
    try:
        findings = _secrets(services, plan, resolve)
        unit = tried("extension", "", lambda: confinement(services, plan, services.work_dir))
        findings += unit
        # Before the sandboxes, which are tried with the newest copy that is there now.
        of_repositories = [
            *without_those_of_the_unit(_repositories(services, plan), unit),
            *log_findings(services, plan),
        ]
        for name, component in plan.components.items():
            try:
                kind = services.kinds(component.kind)
            except ExtensionFailed as error:
                findings.append(Finding("source", "error", name, error.message, error.hint))
                continue
            of_source = (
                []
                if plan.made_by
                else tried(
                    "source",
                    name,
                    lambda k=kind, c=component: k.source(  # type: ignore[misc]
                        c, component_place(services, probe, c)
                    ).doctor(),
                    KINDS.extension(component.kind),
                )
            )
            of_sandbox = tried(
                "sandbox",
                name,
                lambda k=kind, c=component: _sandbox(services, plan, k, c, probe),  # type: ignore[misc]
                KINDS.extension(component.kind),
            )
            findings += [_about(name, f) for f in (*of_source, *of_sandbox)]
        findings += of_repositories
        findings = known_problems.with_findings(services, plan, findings)
        if any(ref.source == "command" for ref in references(plan)):
            findings += masked_passwords(services, plan)
        findings += tried("fence", "", lambda: try_fence(services, plan, probe))
        findings += tried("instant-drill", "", lambda: try_mounts(services, plan))
        findings += tried("room-for-a-drill", "", lambda: _disk(services, plan))
        findings += targets.findings(plan) + tried(CHECK_QUERY, "", lambda: refused_checks(plan))
        findings += _last_backup(services, plan) + _last_drill(services, plan)
        findings += ahead(services, plan)
        findings += _aside(services, plan)
        findings += _clock() + _custody(services)
        findings += leftovers(services)
        return [_with_names(f, plan) for f in findings]
    finally:
        remove_run(services, probe)


def _about(component: str, finding: Finding) -> Finding:
    """Return a finding of a kind, with the examined component as its subject: a kind may leave out
    the component in its finding about free space."""
    if finding.code == "source" or (finding.code == DISK_SPACE and not finding.subject):
        return replace(finding, subject=component)
    return finding


def _repositories(services: Services, plan: Plan) -> list[Finding]:
    with suppress(CatalogueError):  # a reader may have no right to write
        recognise(services, plan)
    findings = []
    for spec in plan.repositories.values():
        repository = services.open_repository(spec)
        ask = lambda r=repository: repository_findings(services, plan, r)  # noqa: E731
        findings += tried(REPOSITORY, spec.name, ask)
    return findings


def _sandbox(
    services: Services, plan: Plan, kind: Kind, component: Component, probe: str
) -> list[Finding]:
    """Try a sandbox; where another tool makes the copies, with the programs that the newest one
    needs, since nobody asks the source for its version."""
    place = sandbox_place(services, probe, component)
    point = adopted.newest(services, plan)
    snapshot = point.component(component.name) if point is not None else None
    if point is None or snapshot is None or snapshot.snapshot is None:
        return kind.sandbox_findings(component, place)
    tools = kind.tools(component, snapshot)
    named = " and ".join(f"{name} {version}" for name, version in tools.items())
    uses = f"; restore point {point.id} needs {named}" if named else ""
    sandbox_results = kind.sandbox_findings_for(component, snapshot, place)
    return [f if f.failed else replace(f, text=f.text + uses) for f in sandbox_results]


def _with_names(finding: Finding, plan: Plan) -> Finding:
    component = finding.subject if finding.subject in plan.components else ""
    remedy = remedy_with_names(finding.remedy, plan, component)
    return replace(finding, remedy=remedy)


def trial_id() -> str:
    """Return a name for the directories of a trial that has no run."""
    return f"doctor-{uuid4().hex[:8]}"


def _clock() -> list[Finding]:
    """An unsynchronised clock is a warning, and blocks nothing."""
    kept = process.is_synchronised()
    if kept is None:
        return [
            Finding(
                "host-clock",
                "ok",
                "",
                "drd cannot check the clock, as is usual in a container: the kernel does not "
                "report whether the clock is synchronised",
            )
        ]
    if kept:
        return [
            Finding("host-clock", "ok", "", "the kernel reports that the clock is synchronised")
        ]
    return [
        Finding(
            "host-clock",
            "warning",
            "",
            "the kernel reports that the clock is not synchronised",
            SYNCHRONISE,
        )
    ]


def _custody(services: Services) -> list[Finding]:
    why = contested.contested(services)
    if why is None:
        return []
    detail = f"{why}: {WHILE_CONTESTED}"
    return [Finding(THIS_STATE, "error", "", detail, contested.HINT)]


def _last_backup(services: Services, plan: Plan) -> list[Finding]:
    """Whether the last backup stored everything. Its record has what to do."""
    ended = (RunState.SUCCEEDED, RunState.INCOMPLETE, RunState.FAILED)
    newest = services.catalogue.runs.newest(plan.name, limit=20, kind=RunKind.BACKUP)
    run = next((run for run in newest if run.state in ended), None)
    if run is None or run.state is RunState.SUCCEEDED:
        return []
    how = "is incomplete" if run.state is RunState.INCOMPLETE else "failed"
    why = f": {escaped(without_output(run.error))}" if run.error else ""
    return [
        Finding(
            "last-backup",
            "warning",
            "",
            f"the last backup, run {run.id}, {how}{why}",
            f"to see the error and its remedy: `drd run show {run.id}`",
        )
    ]


def _last_drill(services: Services, plan: Plan) -> list[Finding]:
    """Whether the last drill of the newest complete point could restore it."""
    points = services.catalogue.points.of_plan(plan.name)
    newest = newest_complete(points, services.clock.now())
    tried = services.catalogue.evidence.unrestorable(plan.name)
    if newest is None or newest.id not in tried:
        return []
    run, at = tried[newest.id]
    left = newest_complete([p for p in points if p.id not in tried], services.clock.now())
    meanwhile = (
        f"the newest other restore point is {with_copy(left)}, with data of "
        f"{format_time(left.data_time, seconds=True)}"
        if left is not None
        else "there is no other complete restore point that can be restored"
    )
    anew = (
        f"let {called(plan.made_by)} make a new copy, then `drd catalogue rebuild {plan.name}`"
        if plan.made_by
        else f"make a new restore point: `drd backup {plan.name}`"
    )
    return [
        Finding(
            "last-drill",
            "error",
            "",
            f"the drill of {format_time(at, seconds=True)} could not restore the newest restore "
            f"point {with_copy(newest)}; {meanwhile}",
            f"to see why: `drd run show {run}`. Then {anew}. If the reason was this host and not "
            f"the point, drill the point again: `drd drill {plan.name} --point {newest.id}`",
        )
    ]


def _aside(services: Services, plan: Plan) -> list[Finding]:
    """Kept copies of recoveries, which take room until a person is done with them."""
    now, findings = services.clock.now(), []
    for run, aside in reminders(services.catalogue, plan.name):
        since = (now - (run.started_at or now)).total_seconds()
        size = f", {format_size(aside.bytes)}" if aside.bytes is not None else ""
        findings.append(
            Finding(
                "set-aside",
                "warning",
                aside.component,
                f"run {run.id} replaced data {format_duration(since)} ago; drd keeps the old data "
                f"as {aside.kept}{size}",
                f"to put the old data back: `drd undo {run.id}`. If nobody needs it, remove it for "
                f"good: `drd done {run.id}`",
            )
        )
    return findings


def _secrets(services: Services, plan: Plan, resolve: Callable[[SecretRef], str]) -> list[Finding]:
    """Resolve each reference of the plan's repositories; the kinds try those of the sources."""
    findings = []
    for spec in plan.repositories.values():
        s3, access = spec.s3, [ref for _, ref in spec.access if isinstance(ref, SecretRef)]
        for code, refs in (
            ("repository-password", [spec.password] if spec.has_password else []),
            ("repository-env", [] if spec.has_password else list(spec.secrets().values())),
            ("repository-access-key", [s3.access_key]),
            ("repository-secret-key", [s3.secret_key]),
            ("repository-session-token", [s3.session_token]),
            ("repository-access", access),
        ):
            given = [ref for ref in refs if ref is not None]
            if not given:
                continue
            try:
                values = [resolve(ref) for ref in given]
                there = " and ".join(ref.describe() for ref in given)
                exist = "exists" if len(given) == 1 else "exist"
                findings.append(Finding(code, "ok", spec.name, f"{there} {exist}"))
                if refs == [spec.password]:
                    findings += _edges(services, plan, spec, values[0])
            except DrdError as error:
                findings.append(Finding(code, "error", spec.name, error.message, error.hint))
    return findings


def _edges(services: Services, plan: Plan, spec: RepositorySpec, password: str) -> list[Finding]:
    """restic alone would read another password; drd works with it, but makes no new repository with
    it."""
    cut_off = edges(password, spec.password)
    if cut_off is None or plan.made_by:
        return []
    known = services.catalogue.repositories.id_of(spec.url) is not None
    rekey = f"drd repository rekey {plan.name} --repository {spec.name} --password '{{file: …}}'"
    return [
        Finding(
            "repository-restic-password",
            "warning" if known else "error",
            spec.name,
            f"the password ({spec.password.describe()}) {cut_off}: restic alone reads a different "
            "password from a file or a command, and reports that the password is wrong",
            f"{rekey}\nThis command gives the repository another password."
            if known
            else "drd does not make a new repository with such a password: write the "
            f"password without these characters. For an existing repository:\n{rekey}",
        )
    ]


def _disk(services: Services, plan: Plan) -> list[Finding]:
    """Free space in work_dir for one restore: the downloads, and the restored data."""
    services.work_dir.mkdir(parents=True, exist_ok=True)
    code = "room-for-a-drill"
    if not os.access(services.work_dir, os.W_OK, effective_ids=True):
        return [
            Finding(
                code,
                "error",
                "",
                f"this user cannot write to {services.work_dir}",
                "run the command as the user who owns this directory, or set `work_dir` in "
                "drd.yaml to another directory.",
            )
        ]
    free = shutil.disk_usage(services.work_dir).free
    point = newest_complete(services.catalogue.points.of_plan(plan.name), services.clock.now())
    if point is None:
        detail = (
            f"{format_size(free)} free in {services.work_dir}; there is no restore point yet to "
            "compare with"
        )
        return [Finding(code, "ok", "", detail)]
    needed = sum(
        services.kinds(component.kind).spec.room_for(snapshot.bytes, snapshot.facts)
        for name, component in plan.components.items()
        if (snapshot := point.component(name)) is not None
    )
    detail = (
        f"a drill of all components, with its downloads, needs {format_size(needed)}; "
        f"{format_size(free)} are free in {services.work_dir}"
    )
    return [
        Finding(
            code,
            "ok" if free > needed else "error",
            "",
            detail,
            ""
            if free > needed
            else "free space, or set `work_dir` in drd.yaml to a directory on a larger disk.",
        )
    ]
