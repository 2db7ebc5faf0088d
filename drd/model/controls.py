"""What a control found at the live service."""

from __future__ import annotations

from dataclasses import dataclass

from drd.errors import DrdError


class ControlFailed(DrdError):
    """The live service is not as a control of the plan expects."""

    exit_code = 4


class ControlUnknown(DrdError):
    """A control could not find out how the live service is."""

    permanent = False


@dataclass(frozen=True, slots=True)
class ControlSpec:
    """A control of a plan. `settings` is the frozen settings model of its kind."""

    name: str
    kind: str
    settings: object
    every_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What was observed, and what the plan expects, in a few words each. If it does not `hold`,
    `remedy` says what to do.
    """

    holds: bool
    observed: str
    expected: str
    remedy: str = ""
