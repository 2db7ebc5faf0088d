"""Verify whether a repository can still be read: everything that it needs exists, and a share of
its data is read back.

Each scheduled run reads the next parts, so that everything is read once within the time that the
plan states. No other run has to wait for a verification (see `Repository.check`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from drd.errors import (
    DeadlineExceeded,
    DrdError,
    ManifestRefused,
    NoRestorePoint,
    NotSupported,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    SnapshotsUnreadable,
)
from drd.flows.components.repository_choice import Holders, repository_spec
from drd.flows.durable_steps import Runner, describe, new_run
from drd.flows.repository import listings
from drd.flows.repository.adopted import list_copies
from drd.flows.repository.identity import confirm
from drd.flows.repository.missing import note_listing, record_missing
from drd.flows.restore.known_problems import others_for
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.upkeep.log_copies import damaged_logs
from drd.model.adopted import copies_of, with_copy
from drd.model.pauses import lists_less, named
from drd.model.plan import Plan, RepositorySpec
from drd.model.read_progress import Reading, begun, due_parts, parts_of
from drd.model.repair import others_repair, repair_ways
from drd.model.run import RunKind, RunState
from drd.model.run_details import VerificationDetail
from drd.model.schedule import can_verify
from drd.model.step_results import CheckStepResult, PreflightStepResult
from drd.model.text import called, noun, some
from drd.ports.health import KnownRepository


@dataclass(frozen=True, slots=True)
class VerificationOutcome:
    """The result. `read` counts the parts that were read. `damage` is the damage, `affected` are
    the restore points that need the damaged data; None if drd cannot find out. `verifier` is the
    program of another tool that read the copies in drd's place.
    """

    run: str
    plan: str
    repository: str
    state: RunState
    reading: Reading
    read: int
    damage: RepositoryDamaged | None = None
    affected: tuple[str, ...] | None = ()
    verifier: str = ""


def verification(
    services: Services,
    plan: Plan,
    repository: str = "",
    *,
    everything: bool = False,
    trigger: str = "manual",
) -> VerificationOutcome:
    """Verify one repository of the plan, by default the repository of the backups. Read the share
    that is due, or `everything`. If there is damage, the outcome contains it, and the run has
    failed. Raises AlreadyRunning, and errors of access to the repository.
    """
    spec = repository_spec(plan, repository or plan.primary.name)
    if not can_verify(spec):
        raise NotSupported(
            f"drd cannot verify the copies in {spec.name}: the plan does not name a command "
            "for that",
            hint="add `verify: [...]` to the `command` of the repository. Until then, only drills "
            f"show whether a copy can be restored: drd drill {plan.name}",
        )
    crash_cleanup.settle(services, plan)
    with new_run(
        services, plan, RunKind.VERIFICATION, trigger=trigger, subject=spec.name
    ) as runner:
        return _VerificationRun(services, plan, spec, runner).execute(everything=everything)


class _VerificationRun:
    """The phases of one verification, in order."""

    def __init__(
        self, services: Services, plan: Plan, spec: RepositorySpec, runner: Runner
    ) -> None:
        self.services = services
        self.plan = plan
        self.spec = spec
        self.runner = runner
        self.repository = services.open_repository(spec)
        self.policy = plan.verification
        self.ends = services.clock.monotonic() + self.policy.timeout_s
        parts = parts_of(self.policy.interval_s, self.policy.read_all_within_s)
        known = services.catalogue.copies.reading(plan.name, spec.name)
        self.begun_at = services.clock.now()
        self.reading = begun(known, parts, self.begun_at)
        self.read = 0
        self.subset: str | None = None
        """The part of the data that restic read last, as an argument of `restic check
        --read-data-subset`."""
        self.verifier = spec.adopted.verifier if spec.adopted is not None else ""

    def execute(self, *, everything: bool) -> VerificationOutcome:
        self.runner.step(
            "repository",
            "preflight",
            lambda: PreflightStepResult(
                repository=confirm(self.services, self.repository, writing=False)
            ),
        )
        try:
            # Damage may be anywhere, and one sound part takes none of it back.
            if everything or self.verifier or self.reading.error is not None or self._is_hurt():
                self._read_everything()
            else:
                self._read_share()
        except RepositoryDamaged as error:
            return self._damaged(error)
        if (refused := self._refused()) is not None:
            return self._finish(RunState.FAILED, *refused)
        self.services.catalogue.health.record_sound(self.plan.name, self.spec.name, self.begun_at)
        missing = self._missing()
        if missing:
            return self._finish(RunState.FAILED, self._not_all_there(missing), missing)
        logs = damaged_logs(self.services, self.plan, self.spec, self.runner, self.subset)
        if logs is not None:
            return self._finish(RunState.FAILED, logs)
        return self._finish(RunState.SUCCEEDED, None)

    def _refused(self) -> tuple[ManifestRefused, tuple[str, ...]] | None:
        """Read the manifests again that an earlier run refused. Return the first error, and all
        points whose manifest is still refused. This is needed because restic can read a file that
        is no valid manifest.
        """
        hurt = [k for k in self._known() if k.damage is not None]
        known = [k for k in hurt if k.repair == "none" or k.affected]
        if not known or self.plan.made_by:
            return None
        affected, name, errors = known[0].affected, self.plan.name, {}
        for listed in self.services.catalogue.points.of_plan(name):
            doubtful = affected is None or listed.id in affected
            if not doubtful or self.spec.name not in listed.repositories:
                continue
            try:
                point = self.services.catalogue.points.get(name, listed.id)
                Holders(self.services, self.plan, point, only=[self.spec.name]).manifest()
            except ManifestRefused as error:
                errors[listed.id] = error
            except (NoRestorePoint, PointGone):
                continue  # a missing point or manifest is reported elsewhere
        if not errors:
            return None
        first = next(iter(errors.values()))
        self.services.catalogue.health.record_damage(
            name, self.spec.name, first.damage, tuple(errors), self.begun_at, repair=first.repair
        )
        return first, tuple(errors)

    def _missing(self) -> tuple[str, ...]:
        """Return points of which others removed snapshots: the rest can be read, but is
        incomplete.
        """
        if self.plan.made_by:  # what the tool let expire meanwhile is no loss
            return list_copies(self.services, self.plan).missing
        name, listed_at = self.plan.name, self.services.clock.now()
        known = self.services.catalogue.points.of_plan(name)
        listing = listings.listed(self.repository, name)
        listings.readable(self.repository, listing, self.services.warn)
        return tuple(
            note_listing(
                self.services, name, self.repository, listing, known=known, listed_at=listed_at
            )
        )

    def _not_all_there(self, missing: Sequence[str]) -> RepositoryDamaged:
        if self.plan.made_by:
            return self._copies_gone(missing)
        others = self._elsewhere(missing)
        have = (
            f" Repository {others[0]} has all of these points. To restore from that "
            f"repository: --repository {others[0]}."
            if others
            else ""
        )
        if others and self.spec.copy_of is not None:
            have += (
                f" `drd copy {self.plan.name} --repository {self.spec.name}` copies "
                "these points again."
            )
        return RepositoryDamaged(
            f"the repository {lists_less(missing)}. drd could read all other data",
            hint=f"find out who removed the snapshots.{have} To forget the damaged points "
            f"in this repository: drd points forget {' '.join(missing[:5])} "
            f"--repository {self.spec.name} --reason TEXT",
        )

    def _copies_gone(self, missing: Sequence[str]) -> RepositoryDamaged:
        tool, count = called(self.plan.made_by), len(missing)
        every = self.services.catalogue.points.of_plan(self.plan.name, kept_only=False)
        names = {p.id: with_copy(p) for p in every}
        them = noun(count, "it", "them")
        return RepositoryDamaged(
            f"{tool} no longer lists {copies_of(self.plan.made_by, count)} that the tool "
            f"should still have: {some([names.get(i, i) for i in missing], 5)}. The other "
            "copies are not damaged",
            hint=f"find out who removed {them}. If this was intended: drd points forget "
            f"{' '.join(missing[:5])} --reason TEXT",
        )

    def _is_hurt(self) -> bool:
        """Return whether another run has met damage there."""
        return any(k.damage is not None for k in self._known())

    def _known(self) -> list[KnownRepository]:
        known = self.services.catalogue.health.of_plan(self.plan.name)
        return [k for k in known if k.repository == self.spec.name]

    def _read_everything(self) -> None:
        self._step("let it be verified" if self.verifier else "read everything", "100%")
        self.read = self.reading.parts
        self._record(self.reading.read_all(self.services.clock.now()))

    def _read_share(self) -> None:
        share = due_parts(
            self.reading,
            self.policy.interval_s,
            self.policy.read_all_within_s,
            self.services.clock.now(),
        )
        for _ in range(share):
            part, parts = self.reading.next_part, self.reading.parts
            self._step(f"read part {part} of {parts}", f"{part}/{parts}")
            self.read += 1
            self._record(self.reading.read(self.services.clock.now()))

    def _step(self, name: str, subset: str) -> None:
        self.subset = subset

        def effect() -> CheckStepResult:
            self.repository.check(read_subset=subset, deadline_s=self._time_left_s())
            return CheckStepResult()

        self.runner.step(name, "check", effect)

    def _time_left_s(self) -> float:
        left_s = self.ends - self.services.clock.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded(
                f"reading repository {self.spec.name} did not finish in time",
                hint="drd keeps the result of the parts that it read, and the next run "
                "continues with the other parts. If the next run fails, too, set a "
                "longer `timeout:` in the section `verification:` of the plan.",
            )
        return left_s

    def _record(self, reading: Reading) -> None:
        self.reading = reading
        self.services.catalogue.copies.record_reading(self.runner.owned, self.spec.name, reading)

    def _damaged(self, error: RepositoryDamaged) -> VerificationOutcome:
        """Describe the consequences: the points that need what is damaged, and which other
        repositories have them.
        """
        if isinstance(error, SnapshotsUnreadable):
            return self._snapshots_unreadable(error)
        affected = self._affected(error)
        if affected is not None:
            error.message += f". {_named(affected)}"
        # restic does not store again what it believes to have.
        others, is_copy = self._elsewhere(affected), self.spec.copy_of is not None
        if self.plan.made_by:
            mends = None if self.verifier else error.repair
            lines = others_repair(self.plan.name, self.spec.name, mends, error.hint, affected)
        else:
            lines = repair_ways(
                self.plan.name, self.spec.name, error.repair, affected, others, is_copy=is_copy
            )
        error.hint = "\n".join(lines)
        self._record(replace(self.reading, error=describe(error).text))
        self.services.catalogue.health.record_damage(
            self.plan.name,
            self.spec.name,
            error.damage,
            affected,
            self.begun_at,
            repair=error.repair,
        )
        return self._finish(RunState.FAILED, error, affected)

    def _snapshots_unreadable(self, error: SnapshotsUnreadable) -> VerificationOutcome:
        """Handle unreadable snapshots: they only block retention, unless they were the manifests of
        points, which are no points there any more. Later data does not depend on them.
        """
        asked_at = self.services.clock.now()
        listing = listings.listed(self.repository, self.plan.name)
        lost = [
            p.id
            for p in self.services.catalogue.points.of_plan(self.plan.name)
            if p.repositories.get(self.spec.name) in listing.unreadable
        ]
        if lost:
            error.message += f"; {_named(lost)}"
        if listing.unreadable:
            error.hint = listings.removal_hint(self.repository, listing)
        record_missing(self.services, self.plan.name, self.spec.name, lost, asked_at)
        self._record(replace(self.reading, error=describe(error).text))
        return self._finish(RunState.FAILED, error, tuple(lost))

    def _affected(self, damage: RepositoryDamaged) -> tuple[str, ...] | None:
        """Return restore points with a snapshot that needs what is damaged, newest first."""
        if not damage.parts and not damage.trees:
            return None  # restic does not say where it is
        try:
            hit = self.repository.snapshots_with(damage.parts, damage.trees)
            by_run = listings.by_run(listings.listed(self.repository, self.plan.name))
        except (RepositoryError, DeadlineExceeded) as error:
            self.services.note(f"cannot find out which restore points are damaged: {error.message}")
            return None
        points = self.services.catalogue.points.of_plan(self.plan.name)
        return tuple(p.id for p in points if any(s.id in hit for s in by_run.get(p.id, ())))

    def _elsewhere(self, affected: Sequence[str] | None) -> list[str]:
        """Return the other repositories of the plan that can restore all of these points, or the
        newest one.
        """
        points = self.services.catalogue.points.of_plan(self.plan.name)
        wanted = [p for p in points if p.id in affected] if affected is not None else points[:1]
        return others_for(self.services, self.plan, self.spec.name, wanted)

    def _read_bytes(self) -> int:
        """Return about how many bytes were read: a share of the repository's size; 0 if unknown."""
        try:
            return round(self.repository.size_bytes() * self.read / self.reading.parts)
        except DrdError:
            return 0

    def _finish(
        self,
        state: RunState,
        error: RepositoryDamaged | None,
        affected: tuple[str, ...] | None = (),
    ) -> VerificationOutcome:
        why = describe(error) if error is not None else None
        self.services.catalogue.runs.finish(
            self.runner.owned,
            state,
            at=self.services.clock.now(),
            error=why.text if why is not None else None,
            detail=VerificationDetail(
                remedy=(why.remedy or None) if why is not None else None,
                read=self.read,
                parts=self.reading.parts,
                bytes=self._read_bytes() if error is None else 0,
                affected=affected,
                permanent=error is not None and error.permanent,
                error_code=error.code if error is not None else None,
            ),
        )
        return VerificationOutcome(
            self.runner.run.id,
            self.plan.name,
            self.spec.name,
            state,
            self.reading,
            self.read,
            error,
            affected,
            self.verifier,
        )


def _named(points: Sequence[str]) -> str:
    if not points:
        return "The restore points do not need the damaged data"
    names = named(points)
    return f"{names[0].upper()}{names[1:]} cannot be restored completely from this repository"
