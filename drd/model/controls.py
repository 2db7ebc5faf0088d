"""The findings of a control at the live service."""

from __future__ import annotations

from dataclasses import dataclass

from drd.errors import DrdError

FAILED = "control-failed"
"""The code of the error of a control that does not hold."""


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
    `remedy` says what to do. `reference` is the restore point that the next check compares with.
    """

    holds: bool
    observed: str
    expected: str
    remedy: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class BucketEncryption:
    """How a bucket encrypts what is stored in it: `AES256`, `aws:kms` or `aws:kms:dsse`, and the id
    of the key, if the bucket names one. Without an `algorithm`, the bucket does not encrypt.
    """

    bucket: str
    algorithm: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a component differs from a restore point, in words; `point` is this restore point,
    `newest` the newest complete one.
    """

    words: tuple[str, ...]
    point: str
    newest: str
