"""Check the repositories of a plan, and report what a person has to know about each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Literal

from drd.errors import DrdError, RepositoryMissing
from drd.extension_faults import attributed, require_type
from drd.flows.host.repository_room import room
from drd.flows.repository import listings, read_dumps, renamed
from drd.flows.repository.adopted import list_copies
from drd.flows.repository.identity import probe_repository, same_repository
from drd.flows.repository.missing import find_missing
from drd.flows.repository.observed_state import probe
from drd.flows.services import Services
from drd.flows.upkeep.rekey_history import BY_MASK
from drd.masking import MASK
from drd.model.adopted import copy_name, with_copy
from drd.model.copy_names import TO_READ
from drd.model.finding import Finding
from drd.model.finding_codes import ADOPTED, IN_REPOSITORY, KEY, PROTECTION, REPOSITORY
from drd.model.former_name import left_words
from drd.model.pauses import lists_less
from drd.model.plan import Plan
from drd.model.text import called, counted, noun
from drd.ports import Repository
from drd.registry import Extension

Doctored = Callable[[], Iterable[Finding]]


def tried(
    code: str, subject: str, attempt: Doctored, package: Extension | None = None
) -> list[Finding]:
    try:
        with attributed(subject, package):
            return [
                require_type(attempted, Finding, f"each finding of {code} {subject}", package)
                for attempted in attempt()
            ]
    except DrdError as error:
        return [Finding(code, "error", subject, error.message, error.hint)]


def repository_findings(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    name = repository.name
    findings = repository.doctor()
    # Its protection, and foreign objects in it, do not show whether it is the expected one.
    if not any(f.failed and f.code not in (PROTECTION, *IN_REPOSITORY) for f in findings):
        lost = tried(REPOSITORY, name, lambda: _identity_findings(services, repository))
        # For a missing or different repository, the key and its content mean nothing.
        findings = [f for f in findings if not (lost and f.code in (KEY, *IN_REPOSITORY))] + lost
        if not lost:
            find_missing = lambda: _missing(services, plan, repository)  # noqa: E731
            findings += tried("repository-snapshots", name, find_missing)
            find_unknown = lambda: _unknown(services, plan, repository)  # noqa: E731
            findings += tried("repository-snapshots", name, find_unknown)
            findings += tried(REPOSITORY, name, lambda: _as_a_copy(services, plan, repository))
            findings += tried("repository-room", name, lambda: room(services, plan, repository))
    elif any(f.failed and f.code == KEY for f in findings):
        # It records the state of the repository, and knows whether the password was changed.
        known = tried(KEY, name, lambda: _identity_findings(services, repository))
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


def _unknown(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Return that the repository contains points that the catalogue does not know: it is a new one,
    in the place of one that was lost, or a copy from an earlier time. And points that no plan uses
    any more."""
    if plan.made_by:
        return []
    try:
        stored = repository.snapshots(tags=["drd", "manifest"])
    except RepositoryMissing:
        return []  # there is none yet: the first backup makes it
    known = {point.id for point in services.catalogue.points.of_plan(plan.name, elsewhere=True)}
    runs = {listings.run_of(manifest) for manifest in listings.of_plan(stored, plan.name)}
    custody = services.catalogue.custody  # it knows forgotten points, too, which a copy may have
    unknown = [run for run in runs - known if run is not None and not custody.knows_run(run)]
    left = renamed.of_others(services.catalogue, plan, stored, has_own=bool(known or runs))
    if left:
        told = Finding(
            "repository-snapshots", "warning", repository.name, *left_words(plan.name, left)
        )
        return [told, *_unknown_points(plan, repository, unknown, known)]
    return _unknown_points(plan, repository, unknown, known)


def _unknown_points(
    plan: Plan, repository: Repository, unknown: Sequence[str], known: Collection[str]
) -> list[Finding]:
    if not unknown:
        return []
    points = counted(len(unknown), "restore point")
    text = (
        f"the repository contains {points} of the plan that drd's catalogue does not know, so drd "
        f"neither restores nor forgets {noun(len(unknown), 'it', 'them')}"
    )
    remedy = f"drd catalogue rebuild {plan.name}"
    if not known:
        text = (
            f"the repository contains {points} of the plan, but drd's catalogue does not "
            "know any: if the catalogue was lost, rebuild it from the repository"
        )
        remedy = "drd catalogue rebuild"
    return [Finding("repository-snapshots", "warning", repository.name, text, remedy)]


def _missing(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Points of which others removed snapshots; no finding if there are none."""
    if plan.made_by:
        return _missing_copies(services, plan, repository)
    missing = tuple(find_missing(services, plan.name, repository))
    if not missing:
        return []
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


def _missing_copies(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Copies of another tool that are gone before their time, also those that drd noticed before;
    the tool may still list one of which nothing is left."""
    seen = list_copies(services, plan)
    noted = services.catalogue.health.of_plan(plan.name)
    lacking = {p for known in noted if known.repository == repository.name for p in known.missing}
    missing = sorted({*seen.missing, *lacking})
    unread = _unread(services, plan, repository)
    if not missing:
        return unread
    every = services.catalogue.points.of_plan(plan.name, kept_only=False)
    known = {p.id: p for p in every if p.id in missing}
    tool = called(plan.made_by)
    listed = {
        i: seen.unreadable[copy_name(p)]
        for i, p in known.items()
        if copy_name(p) in seen.unreadable
    }
    told = [f"{tool} still lists {with_copy(known[i])}, but {why}" for i, why in listed.items()]
    gone = [with_copy(known[i]) if i in known else i for i in missing if i not in listed]
    if gone:
        told.append(f"{tool} no longer lists {', '.join(gone)}")
    them = noun(len(missing), "it", "them")
    text = f"{'; '.join(told)}, although `retention` in the plan says that it keeps {them}"
    if plan.retention.keeps_everything:
        text = (
            f"{'; '.join(told)}, although "
            f"{noun(len(missing), 'this copy was', 'each of these copies was')} the newest"
        )
    hint = (
        f"find out who removed {them}. If this was intended: drd points forget {' '.join(missing)} "
        "--reason TEXT"
    )
    return [*unread, Finding("repository-snapshots", "error", repository.name, text, hint)]


def _unread(services: Services, plan: Plan, repository: Repository) -> list[Finding]:
    """Whether the newest copy does not count because its dump is cut off, or was not read yet."""
    points = services.catalogue.points.of_plan(plan.name)
    newest = max(points, key=lambda p: (p.available_at, p.data_time), default=None)
    if newest is None or newest.complete:
        return []
    rows = [row for row in newest.components if TO_READ in row.facts and row.error]
    level: Literal["warning", "error"] = "warning" if read_dumps.waits(newest) else "error"
    text = f"the newest copy, {with_copy(newest)}, does not count as a restore point"
    return [
        Finding(
            ADOPTED, level, repository.name, f"{text}: {row.component}: {row.error}", row.remedy
        )
        for row in rows
    ]


def masked_passwords(services: Services, plan: Plan) -> list[Finding]:
    """An older drd used `***` as a password when it read a secret's command twice, and made
    repositories with it."""
    findings = []
    for spec in plan.repositories.values():
        try:
            opens = services.open_repository(replace(spec, password=BY_MASK)).opens()
        except DrdError:
            continue  # it cannot be reached, or is missing: another finding says so
        hint = (
            f"drd repository rekey {plan.name} --repository {spec.name}\nThis command gives "
            f"the repository the plan's own password ({spec.password.describe()}), removes "
            f"the password {MASK}, and prints how to make a new repository. That is "
            "necessary: whoever could read this repository still can."
        )
        detail = f"does not open with {MASK}, which an older drd may have used as a password"
        if opens:
            detail = (
                f"opens with the password {MASK}: anyone who can access {spec.url} can "
                "read the backups"
            )
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
