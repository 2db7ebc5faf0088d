"""A drill of the loss of the host: it uses only a recovery kit, the repositories that the kit
opens, and a directory of this host to work in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from drd.flows.services import Services
from drd.model.kit import Key
from drd.model.plan import Plan
from drd.model.run import CheckResult, CheckVerdict
from drd.model.step_results import KitStepResult

HOST_LOSS = "host-loss"
OPENS = "recovery kit opens"


class KitGap(NamedTuple):
    """What a kit could not provide. It becomes a check of the drill, which was not run."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class KitAt:
    """A kit in a file, and the secret that opens it, which is read only when drd needs it."""

    file: str
    key: Callable[[], Key]


@dataclass(frozen=True, slots=True)
class HostFromKit:
    """A host made from a kit alone, as `drd bootstrap` makes one. `plan` is the plan in the kit,
    with references to files of that host; `proof` is the hash of what a drill with the kit proves;
    `services` have the catalogue that was rebuilt from the repositories. `came` says what came from
    the kit, `gaps` what it could not provide, `detail` is for the record of the run."""

    plan: Plan
    proof: str
    services: Services
    came: str
    gaps: tuple[KitGap, ...] = ()
    detail: KitStepResult = field(default_factory=KitStepResult)

    def rows(self) -> list[CheckResult]:
        """Return the rows for the evidence."""
        return [
            _row(CheckVerdict.PASSED, self.came),
            *(
                CheckResult(
                    f"recovery kit: {gap.subject}",
                    None,
                    CheckVerdict.NOT_RUN,
                    gap.text,
                    "the kit contains everything of the current plan",
                    part=True,
                    looked_at_data=False,
                )
                for gap in self.gaps
            ),
        ]


HostFactory = Callable[[Plan, KitAt | None, Path], AbstractContextManager[HostFromKit]]
"""Returns a host in an empty directory, made from this kit, or from the copy that the plan or
drd.yaml name. Raises KitUnavailable if there is none, and every error because of which a kit cannot
open its repositories."""


def does_not_open(why: str) -> CheckResult:
    return _row(CheckVerdict.FAILED, why)


def _row(verdict: CheckVerdict, observed: str) -> CheckResult:
    expected = "everything that a recovery needs"
    return CheckResult(OPENS, None, verdict, observed, expected, looked_at_data=False)
