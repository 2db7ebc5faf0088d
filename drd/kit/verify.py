"""Check whether a kit is usable: it alone opens the repositories, and it matches the
current plans."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from drd.errors import DrdError, NoRestorePoint
from drd.kit.archive import Kit
from drd.kit.opened_kit import OpenedKit, confirm, newest_point, opened
from drd.model.kit import KitDrill, KitPlan, KitRepository
from drd.model.plan import Plan
from drd.model.snapshot import RestorePoint
from drd.model.text import called
from drd.model.units import format_duration, format_time, to_rfc3339

_NO_SEALS = (
    "an older drd made this kit, so the kit does not contain a list of restore points: a "
    "recovery from this kit cannot distinguish a forged restore point from a real restore "
    "point. Make a new kit: drd kit export"
)


@dataclass(frozen=True, slots=True)
class RepositoryFound:
    """What was found out about a repository with the kit alone."""

    name: str
    url: str
    newest: RestorePoint | None
    error: DrdError | None = None


class LoadedHashes(NamedTuple):
    """The hash of a plan that this host has loaded, and others by which evidence counts for it."""

    digest: str
    proofs: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class PlanFound:
    """What drd knows of one plan. `loaded` are the hashes of the plan that this host has loaded;
    None if it has not loaded the plan."""

    name: str
    digest: str
    proof: str | None
    loaded: LoadedHashes | None
    repositories: tuple[RepositoryFound, ...]
    missing: tuple[str, ...]
    error: DrdError | None = None
    made_by: str = ""
    refuting: tuple[KitDrill, ...] = ()

    @property
    def left_out(self) -> list[KitDrill]:
        """Return the drills that could not restore the newest points. Drills of points that are
        older than the newest usable point are left out."""
        newest = self.newest
        return [
            d
            for d in self.refuting
            if newest is None or d.data_time is None or d.data_time >= newest.data_time
        ]

    @property
    def newest(self) -> RestorePoint | None:
        newest_points = [r.newest for r in self.repositories if r.newest is not None]
        return max(newest_points, key=lambda p: p.data_time, default=None)

    @property
    def current(self) -> bool | None:
        """Whether a recovery with the kit does the same as a recovery by the loaded plan; None if
        drd has not loaded the plan."""
        if self.loaded is None:
            return None
        return (self.proof or self.digest) in (self.loaded.digest, *self.loaded.proofs)

    @property
    def problems(self) -> list[DrdError]:
        """Return the problems: repositories that do not open, and restore points that are
        missing."""
        errors = [e for e in (self.error, *(r.error for r in self.repositories)) if e is not None]
        if errors or self.newest is not None:
            return errors
        message = f"the repositories of {self.name} do not contain a complete restore point"
        hint = f"drd backup {self.name}"
        if self.made_by:
            hint = (
                f"let {called(self.made_by)} make a copy, then: drd catalogue rebuild {self.name}"
            )
        return [NoRestorePoint(message, hint=hint)]


class KitOutdated(DrdError):
    """The plan changed since the kit was made."""

    exit_code = 4


@dataclass(frozen=True, slots=True)
class KitVerification:
    """The result of a test of a kit at the time `at`."""

    made_at: datetime
    at: datetime
    plans: tuple[PlanFound, ...]

    @property
    def age_s(self) -> float:
        return max(0.0, (self.at - self.made_at).total_seconds())

    @property
    def problems(self) -> list[DrdError]:
        """Return the problems, most serious first: what does not open, what is missing, what has
        changed."""
        errors = [problem for p in self.plans for problem in p.problems]
        errors.sort(key=lambda problem: isinstance(problem, NoRestorePoint))
        changed: list[DrdError] = [
            KitOutdated(
                f"the kit is outdated: plan {p.name} was changed after the kit was made",
                hint="make a new kit with the same options as before, and replace the old "
                f"kit: drd kit export {p.name} --to FILE.",
            )
            for p in self.plans
            if p.current is False
        ]
        return errors + changed

    @property
    def exit_code(self) -> int:
        return next((p.exit_code for p in self.problems), 0)

    def lines(self) -> Iterator[str]:
        """The result as lines for a terminal."""
        yield f"kit of {format_time(self.made_at)}, {format_duration(self.age_s)} old"
        for plan in self.plans:
            yield f"{plan.name}: the plan in the kit (hash {plan.digest[:12]}) {_compared(plan)}"
            for repository in plan.repositories:
                yield f"  {repository.name}  {_result_text(repository)}"
            for drill in plan.left_out:
                yield f"  {_refuted_text(plan, drill)}"
            for missing in plan.missing:
                yield f"  not in the kit: {missing}"


def _result_text(found: RepositoryFound) -> str:
    if found.error is not None:
        return "drd cannot use this repository with the kit, see below"
    if found.newest is None:
        return (
            "the kit opens this repository, but the repository does not contain a "
            "complete restore point"
        )
    at = found.newest.data_time
    point = f"{found.newest.id} with data of {format_time(at, seconds=True)}"
    return f"the kit opens this repository; its newest restore point is {point}"


def _refuted_text(plan: PlanFound, drill: KitDrill) -> str:
    when = format_time(drill.finished_at, seconds=True)
    if plan.newest is not None and plan.newest.id == drill.refuted:
        return (
            f"the drill of {when} could not restore restore point {drill.refuted}, and the "
            f"repository does not have another one: {_why(drill)}"
        )
    return (
        f"drd leaves out restore point {drill.refuted}: the drill of {when} could not restore it: "
        f"{_why(drill)}"
    )


def _why(drill: KitDrill) -> str:
    return "; ".join(f"{f.component}: {f.why}" for f in drill.failed if f.of_data)


def _compared(plan: PlanFound) -> str:
    if plan.loaded is None:
        return "is not loaded on this host, so drd cannot compare the two"
    if not plan.current:
        return "is older than the plan on this host"
    if plan.loaded.digest != plan.digest:
        return (
            "has an older schedule or owner than the plan on this host, but recovers the same data"
        )
    return "is the same as on this host"


def verify(
    kit: Kit, loaded: Mapping[str, LoadedHashes], *, only: str | None = None
) -> KitVerification:
    """Check with the kit alone the repositories of all plans, or of the plans `only`. `loaded` are
    the hashes of the plans that this host has loaded, by name."""
    with opened(kit) as using:
        plans = tuple(
            _plan(using, known, loaded.get(known.name))
            for known in kit.index.plans
            if only in (None, known.name)
        )
    return KitVerification(kit.index.made_at, datetime.now(UTC), plans)


def _plan(using: OpenedKit, known: KitPlan, loaded: LoadedHashes | None) -> PlanFound:
    missing = known.missing if known.seals is not None else (*known.missing, _NO_SEALS)
    try:
        plan = using.plan(known)
    except DrdError as error:
        return PlanFound(known.name, known.digest, known.proof, loaded, (), missing, error)
    repositories = [_repository(using, plan, known, place) for place in known.repositories]
    kept = tuple(f for f in repositories if f is not None)
    return PlanFound(
        known.name,
        known.digest,
        known.proof,
        loaded,
        kept,
        missing,
        made_by=plan.made_by,
        refuting=tuple(d for d in known.drills if d.refuted is not None),
    )


def _repository(
    using: OpenedKit, plan: Plan, of: KitPlan, known: KitRepository
) -> RepositoryFound | None:
    """Check one repository; None for a copy that has never been made."""
    repository = using.repository(plan.repositories[known.name])
    try:
        if known.copy_of is not None and known.id is None:
            repository.preflight(writing=False)
            if repository.identity() is None:
                return None
        confirm(repository, known.id)
        newest = newest_point(repository, plan.name, of.refuted)
    except DrdError as error:
        return RepositoryFound(known.name, known.url, None, error)
    return RepositoryFound(known.name, known.url, newest)


def document(found: KitVerification) -> dict[str, Any]:
    """Return the document for --json."""
    return {
        "ok": not found.problems,
        "made_at": to_rfc3339(found.made_at),
        "age_s": found.age_s,
        "plans": [
            {
                "plan": p.name,
                "digest": p.digest,
                "loaded_digest": p.loaded.digest if p.loaded is not None else None,
                "current": p.current,
                "newest_point": _point(p.newest),
                "missing": list(p.missing),
                "left_out": [
                    {
                        "point": d.refuted,
                        "drilled_at": to_rfc3339(d.finished_at),
                        "why": _why(d),
                    }
                    for d in p.left_out
                ],
                "repositories": [
                    {
                        "repository": r.name,
                        "url": r.url,
                        "opens": r.error is None,
                        "newest_point": _point(r.newest),
                        "error": _error(r.error),
                    }
                    for r in p.repositories
                ],
                "error": _error(p.error),
            }
            for p in found.plans
        ],
    }


def _point(point: RestorePoint | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {"point": point.id, "data_time": to_rfc3339(point.data_time)}


def _error(error: DrdError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"message": error.message, "hint": error.hint, "exit": error.exit_code}
