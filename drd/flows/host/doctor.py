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
from drd.flows.host.fence_trial import try_fence
from drd.flows.host.unit_limits import confinement
from drd.flows.repository import contested
from drd.flows.repository.identity import probe_repository, recognise
from drd.flows.repository.missing import find_missing
from drd.flows.repository.observed_state import probe
from drd.flows.restore import known_problems
from drd.flows.restore.kept_copies import reminders
from drd.flows.services import Services
from drd.flows.state.leftovers import leftovers
from drd.flows.state.run_dirs import component_place, remove_run, sandbox_place
from drd.flows.upkeep.rekey_history import BY_MASK
from drd.masking import MASK
from drd.model.custody import WHILE_CONTESTED
from drd.model.finding import Finding
from drd.model.finding_codes import IN_REPOSITORY, KEY, PROTECTION, REPOSITORY
from drd.model.pauses import lists_less
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.snapshot import newest_complete
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
    probe = run or f"doctor-{uuid4().hex[:8]}"
    try:
        findings = _secrets(services, plan, resolve)
        findings += _tried("extension", "", lambda: confinement(services, plan, services.work_dir))
        for name, component in plan.components.items():
            try:
                kind = services.kinds(component.kind)
            except ExtensionFailed as error:
                findings.append(Finding("source", "error", name, error.message, error.hint))
                continue
            of_source = _tried(
                "source",
                name,
                lambda k=kind, c=component: k.source(  # type: ignore[misc]
                    c, component_place(services, probe, c)
                ).doctor(),
                KINDS.extension(component.kind),
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
        findings += _aside(services, plan)
        findings += _clock() + _custody(services)
        findings += leftovers(services)
        return findings
    finally:
        remove_run(services, probe)


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
            "synchronise it by NTP: timedatectl set-ntp true",
        )
    ]


def _custody(services: Services) -> list[Finding]:
    why = contested.contested(services)
    if why is None:
        return []
    detail = f"{why}: {WHILE_CONTESTED}"
    return [Finding("this-state", "error", "", detail, contested.HINT)]


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
    elif any(f.failed and f.code == KEY for f in findings):
        _tried(
            REPOSITORY, name, lambda: _identity_findings(services, repository)
        )  # records the state of the repository
    else:
        probe(services.catalogue, services.clock, repository)
    return findings


def _missing(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Points of which others removed snapshots; no finding if there are none."""
    missing = find_missing(services, plan.name, repository)
    if not missing:
        return []
    return [
        Finding(
            "repository-snapshots",
            "error",
            repository.name,
            lists_less(list(missing)),
            f"to list them: `drd retention {plan.name} --dry-run`. To forget a point there: `drd "
            f"points forget POINT --repository {repository.name} --reason TEXT`",
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
        access = spec.s3
        for code, ref in (
            ("repository-password", spec.password),
            ("repository-access-key", access.access_key),
            ("repository-secret-key", access.secret_key),
            ("repository-session-token", access.session_token),
        ):
            if ref is None:
                continue
            try:
                value = resolve(ref)
                findings.append(Finding(code, "ok", spec.name, f"{ref.describe()} exists"))
                if ref is spec.password:
                    findings += _edges(services, plan, spec, value)
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
