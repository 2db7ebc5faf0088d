"""Rights at a target that a recovery has by the person who starts it.

The service cannot check them, because its user is another one. It reports what the last check of a
person found; if there was none, it reports that nobody has checked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drd.flows.services import Services
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.readiness_finding import ReadinessFinding
from drd.model.run import Run, RunKind
from drd.model.run_details import ReadinessDetail
from drd.model.units import format_time

_LOOKED_AT = 200
_ABOUT_LOGINS = ("target", "target-rights", "target-unavailable")


@dataclass(frozen=True, slots=True)
class PersonsCheck:
    """The findings of the newest check with the present plan by root, else by another person;
    `check` is None if there is none."""

    plan: str
    check: Run | None = None

    @classmethod
    def for_service(cls, services: Services, plan: Plan) -> PersonsCheck | None:
        """Return the check for the service; None for root and for a person, who try their own
        rights."""
        if services.is_root or services.claim is None:
            return None
        checks = [
            run
            for run in services.catalogue.runs.newest(
                plan.name, limit=_LOOKED_AT, kind=RunKind.READINESS
            )
            if run.plan_digest == plan.digest
            and run.actor is not None
            and run.actor.came == "terminal"
            and _found(run)
        ]
        of_root = [run for run in checks if run.actor is not None and run.actor.uid == 0]
        return cls(plan.name, next(iter(of_root or checks), None))

    def instead_of(self, tried: Finding) -> list[ReadinessFinding]:
        """Return the findings to show instead of what the service's user found at a target."""
        same = self._of_check(tried)
        if not same:
            return [ReadinessFinding(self._untried(tried) if tried.severity != "ok" else tried)]
        return same

    def _of_check(self, tried: Finding) -> list[ReadinessFinding]:
        if self.check is None or self.check.actor is None:
            return []
        at = format_time(self.check.started_at) if self.check.started_at else ""
        by = f"checked by {self.check.actor.user} at {at}"
        same = [
            judged
            for judged in _found(self.check)
            if (judged.finding.where, judged.finding.subject) == (tried.where, tried.subject)
            and judged.finding.code in (tried.code, *_ABOUT_LOGINS)
            and (judged.finding.failed or judged.finding.code == tried.code)
        ]
        return [
            replace(j, finding=replace(j.finding, text=f"{j.finding.text} ({by})"), excepted=None)
            for j in same
        ]

    def _untried(self, tried: Finding) -> Finding:
        text = (
            "the service cannot try this: a recovery has the rights of the person who starts it, "
            f"usually root (tried as the service's user: {tried.text})"
        )
        remedy = f"check the plan as root: sudo drd readiness {self.plan}"
        return replace(tried, severity="warning", text=text, remedy=remedy)


def _found(run: Run) -> tuple[ReadinessFinding, ...]:
    detail = run.detail
    return (detail.findings or ()) if isinstance(detail, ReadinessDetail) else ()
