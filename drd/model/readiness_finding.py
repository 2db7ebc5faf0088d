"""Findings as the readiness of a plan judges them, and the exceptions that a plan makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model.finding import Finding, Severity
from drd.model.units import from_rfc3339, to_rfc3339
from drd.model.verdicts import Readiness


@dataclass(frozen=True, slots=True)
class ReadinessException:
    """A finding of this name does not withhold `ready` before `until`."""

    finding: str
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ReadinessFinding:
    """A finding, and what it means for the plan. `allows` is the best verdict that the plan can
    have with it: worse than ready only for an error. `proof` marks findings about drills, which
    have alerts of their own."""

    finding: Finding
    allows: Readiness = Readiness.READY
    proof: bool = False
    excepted: ReadinessException | None = None

    @property
    def counts(self) -> bool:
        """Whether the finding withholds `ready`."""
        return self.allows is not Readiness.READY and self.excepted is None

    def to_json(self) -> dict[str, Any]:
        """Return the finding in the form in which a run keeps it."""
        excepted = self.excepted
        return {
            **self.finding.to_json(),
            "allows": self.allows.value,
            "proof": self.proof,
            "exception": excepted
            and {"reason": excepted.reason, "until": to_rfc3339(excepted.until)},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ReadinessFinding:
        """Return the inverse of `to_json`. It also reads what older versions recorded: only
        findings about problems, and the oldest without the last keys."""
        finding = Finding.from_json(data)
        allows = Readiness(data["allows"]) if "allows" in data else Readiness.READY
        return cls(finding, allows, bool(data.get("proof")), _exception(finding, data))


def _exception(finding: Finding, data: Mapping[str, Any]) -> ReadinessException | None:
    said = data.get("exception")
    if not said:
        return None
    return ReadinessException(finding.name, str(said["reason"]), from_rfc3339(said["until"]))


def judged_as(
    code: str,
    severity: Severity,
    subject: str,
    text: str,
    remedy: str = "",
    *,
    allows: Readiness = Readiness.READY,
    proof: bool = False,
) -> ReadinessFinding:
    """Return a finding together with what it means for the plan."""
    return ReadinessFinding(Finding(code, severity, subject, text, remedy), allows, proof)
