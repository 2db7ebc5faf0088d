"""Findings: what doctor, readiness, kit, preflight and alerts say about one thing, in one form.

Code uses `code` and `subject`; `text`, `remedy` and `name` are for people. docs/findings.md lists
the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from drd.model.finding_codes import UNNAMED, name_of

Severity = Literal["ok", "warning", "error"]
"""docs/findings.md says how alerts, which have another scale, follow from it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined, and the result.

    `subject` is what it is about: a component, a repository, a scenario; empty for the host or the
    plan as a whole. `remedy` is exact enough to paste. An `error` would end a run or withhold
    `ready`; with a `warning`, everything works, but somebody should look. `where` is the target or
    the step for which it was examined. `rights` marks an error that somebody with more rights may
    not have, `login` what depends on the user who runs drd, because the address names none.
    """

    code: str
    severity: Severity
    subject: str
    text: str
    remedy: str = ""
    where: str = ""
    rights: bool = False
    login: bool = False

    @property
    def failed(self) -> bool:
        return self.severity == "error"

    @property
    def name(self) -> str:
        """The name for people, which plans use to accept the finding: `orders-db: row security`."""
        name = name_of(self.code, self.subject)
        return f"{self.where}: {name}" if self.where else name

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON, as documents and runs have it."""
        return {
            "code": self.code,
            "subject": self.subject,
            "where": self.where,
            "name": self.name,
            "severity": self.severity,
            "evidence": self.text,
            "remedy": self.remedy,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finding:
        """Return the inverse of `to_json`. It also reads what older versions recorded: findings
        without a code, and the oldest with `ok`, `detail` and `hint`.
        """
        severity: Severity = data.get("severity") or ("warning" if data["ok"] else "error")
        text, remedy = (
            data.get("evidence", data.get("detail")),
            data.get("remedy", data.get("hint")),
        )
        if "code" not in data:
            return cls(UNNAMED, severity, data["name"], text or "", remedy or "")
        where = data.get("where", "")
        return cls(data["code"], severity, data["subject"], text or "", remedy or "", where)
