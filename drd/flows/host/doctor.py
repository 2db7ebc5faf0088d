"""Try everything that a run of a plan will need, and report each as a finding."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from drd import process
from drd.errors import CatalogueError, DrdError, ExtensionFailed
from drd.extension_faults import attributed, require_type
from drd.flows.host import targets
from drd.flows.host.fence_trial import try_fence
from drd.flows.host.unit_limits import confinement
from drd.flows.repository import contested
from drd.flows.repository.adopted import look
from drd.flows.repository.identity import probe_repository, recognise, same_repository
from drd.flows.repository.missing import find_missing
from drd.flows.repository.observed_state import probe
from drd.flows.restore import known_problems
from drd.flows.restore.kept_copies import reminders
from drd.flows.services import Services
from drd.flows.state.leftovers import leftovers
from drd.flows.state.run_dirs import component_place, remove_run, sandbox_place
from drd.flows.upkeep.rekey_history import BY_MASK
from drd.masking import MASK
from drd.model.clock import SYNCHRONISE
from drd.model.custody import WHILE_CONTESTED
from drd.model.finding import Finding
from drd.model.finding_codes import IN_REPOSITORY, KEY, PROTECTION, REPOSITORY
from drd.model.pauses import lists_less
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState
from drd.model.snapshot import newest_complete
from drd.model.text import called, escaped, in_commands, without_output
from drd.model.units import format_duration, format_size
from drd.ports import Repository
from drd.registry import KINDS, Extension
from drd.secrets import edges, references

Doctored = Callable[[], Iterable[Finding]]


def examine(
    services: Services, plan: Plan, resolve: Callable[[SecretRef], str], *, run: str | None = None
) -> list[Finding]:
    """Return all findings about one plan; nothing is stored, changed or left behind, even if a
    `run` is killed in between."""
    probe = run or trial_id()
    try:
        findings = _secrets(services, plan, resolve)
        findings += _tried("extension", "", lambda: confinement(services, plan, services.work_dir))
        for name, component in plan.components.items():
            try:
                kind = services.kinds(component.kind)
            except ExtensionFailed as error:
                findings.append(Finding("source", "error", name, error.message, error.hint))
                continue
            of_source = (
                []
                if plan.made_by
                else _tried(
                    "source",
                    name,
                    lambda k=kind, c=component: k.source(  # type: ignore[misc]
                        c, component_place(services, probe, c)
                    ).doctor(),
                    KINDS.extension(component.kind),
                )
            )
            findings += [replace(f, subject=name) if f.code == "source" else f for f in of_source]
            findings += _tried(
                "sandbox",
                name,
                lambda k=kind, c=component: k.sandbox_findings(  # type: ignore[misc]
                    c, sandbox_place(services, probe, c)
                ),
                KINDS.extension(component.kind),
            )
        with suppress(CatalogueError):  # a reader may have no right to write
            recognise(services, plan)
        for spec in plan.repositories.values():
            repository = services.open_repository(spec)
            look = lambda r=repository: _repository(services, plan, r)  # noqa: E731
            findings += _tried(REPOSITORY, spec.name, look)
        findings = known_problems.with_findings(services, plan, findings)
        if any(ref.source == "command" for ref in references(plan)):
            findings += _masked(services, plan)
        findings += _tried("fence", "", lambda: try_fence(services, plan, probe))
        findings += _tried("room-for-a-drill", "", lambda: _disk(services, plan))
        findings += targets.findings(plan)
        findings += _last_backup(services, plan)
        findings += _aside(services, plan)
        findings += _clock() + _custody(services)
        findings += leftovers(services)
        return [_with_names(f, plan) for f in findings]
    finally:
        remove_run(services, probe)


def _with_names(finding: Finding, plan: Plan) -> Finding:
    component = finding.subject if finding.subject in plan.components else ""
    remedy = in_commands(finding.remedy, plan=plan.name, component=component)
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
    return [Finding("this-state", "error", "", detail, contested.HINT)]


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
            f"see what to do: `drd run show {run.id}`",
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


def _repository(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    name = repository.name
    findings = repository.doctor()
    # Its protection, and foreign objects in it, do not show whether it is the expected one.
    if not any(f.failed and f.code not in (PROTECTION, *IN_REPOSITORY) for f in findings):
        lost = _tried(REPOSITORY, name, lambda: _identity_findings(services, repository))
        # For a missing or different repository, the key and its content mean nothing.
        findings = [f for f in findings if not (lost and f.code in (KEY, *IN_REPOSITORY))] + lost
        if not lost:
            find_missing = lambda: _missing(services, plan, repository)  # noqa: E731
            findings += _tried("repository-snapshots", name, find_missing)
            findings += _tried(REPOSITORY, name, lambda: _as_a_copy(services, plan, repository))
    elif any(f.failed and f.code == KEY for f in findings):
        # It records the state of the repository, and knows whether the password was changed.
        known = _tried(KEY, name, lambda: _identity_findings(services, repository))
        findings = [known[0] if known and f.code == KEY else f for f in findings]
    else:
        probe(services.catalogue, services.clock, repository)
    return findings


def _as_a_copy(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Return that a copy is the very repository that it copies, by their ids."""
    copy_of = plan.repositories[repository.name].copy_of
    if copy_of is None:
        return []
    identity = repository.identity()
    try:
        copied = services.open_repository(plan.repositories[copy_of]).identity()
    except DrdError:
        return []  # its own findings say so, and a copy is sound without it
    if identity is None or identity != copied:
        return []
    text, remedy = same_repository(repository.name, copy_of, identity)
    return [Finding("repository-as-a-copy", "error", repository.name, text, remedy)]


def _missing(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Points of which others removed snapshots; no finding if there are none."""
    if plan.made_by:
        missing = look(services, plan).missing
    else:
        missing = tuple(find_missing(services, plan.name, repository))
    if not missing:
        return []
    if plan.made_by:
        return [
            Finding(
                "repository-snapshots",
                "error",
                repository.name,
                f"{called(plan.made_by)} no longer lists {', '.join(sorted(missing))}, although "
                "`retention` in the plan says that it keeps them",
                f"find out what removed them. If that was right: drd points forget "
                f"{' '.join(sorted(missing))} --reason TEXT",
            )
        ]
    return [
        Finding(
            "repository-snapshots",
            "error",
            repository.name,
            f"the repository {lists_less(list(missing))}",
            "find out who removed the snapshots. If the snapshots are lost: `drd points forget "
            f"{' '.join(list(missing)[:5])} --repository {repository.name} --reason TEXT`",
        )
    ]


def _masked(services: Services, plan: Plan) -> list[Finding]:
    """An older drd used `***` as a password when it read a secret's command twice, and made
    repositories with it."""
    findings = []
    for spec in plan.repositories.values():
        try:
            opens = services.open_repository(replace(spec, password=BY_MASK)).opens()
        except DrdError:
            continue  # it cannot be reached, or is missing: another finding says so
        hint = (
            f"drd repository rekey {plan.name} --repository {spec.name}\ngives the repository the "
            f"plan's own password ({spec.password.describe()}), removes the password {MASK}, and "
            "prints how to make a new repository: whoever could read this one still can."
        )
        detail = f"does not open with {MASK}, which an older drd may have used as a password"
        if opens:
            detail = f"opens with the password {MASK}: anyone who can access {spec.url} can read it"
        findings.append(
            Finding(
                "repository-masked-password",
                "error" if opens else "ok",
                spec.name,
                detail,
                hint if opens else "",
            )
        )
    return findings


def _identity_findings(services: Services, repository: Repository) -> list[Finding]:
    """No finding if it is the expected one: `doctor` of the repository reported that."""
    probe_repository(services, repository)
    return []


def _tried(
    code: str, subject: str, attempt: Doctored, package: Extension | None = None
) -> list[Finding]:
    try:
        with attributed(subject, package):
            return [
                require_type(found, Finding, f"each finding of {code} {subject}", package)
                for found in attempt()
            ]
    except DrdError as error:
        return [Finding(code, "error", subject, error.message, error.hint)]


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
    if cut_off is None:
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
            f"{rekey}\ngives the repository another password."
            if known
            else "drd makes no new repository with such a password: write the password without "
            f"these characters; for an existing repository:\n{rekey}",
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
                "give the command as the user who owns this directory, or set `work_dir` in "
                "drd.yaml to another one.",
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
        int(services.kinds(component.kind).spec.room * snapshot.bytes)
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
