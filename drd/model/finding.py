"""Findings: what doctor, readiness, kit, preflight and alerts say of one thing, in one shape.

Code goes by `code` and `subject`; `text`, `remedy` and `name` are for people.
docs/findings.md lists the codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["ok", "warning", "error"]

REPOSITORY = "repository"
PROTECTION = "repository-protection"
KEY = "repository-key"
DATA = "repository-data"
KNOWN_STATE = "repository-known-state"
IN_REPOSITORY = frozenset({"repository-keys", "repository-locks", "repository-index"})
"""What lies in a repository: it says nothing about whether it is the plan's own."""

OF_REPOSITORY = frozenset(
    {
        REPOSITORY,
        PROTECTION,
        KEY,
        DATA,
        KNOWN_STATE,
        *IN_REPOSITORY,
        "repository-clock",
        "repository-snapshots",
        "repository-password",
        "repository-access-key",
        "repository-secret-key",
        "repository-session-token",
        "repository-masked-password",
        "repository-restic-password",
        "repository-unit",
        "repository-as-a-copy",
    }
)
"""Findings whose subject is a repository of the plan."""

DRILL = "drill"
RESTORE_POINT = "restore-point"
PORT = "port"

UNNAMED = "unnamed"
"""The code of a finding that an older drd recorded: its subject is the name that it had."""

_NAMES = {
    REPOSITORY: "repository {}",
    DATA: "repository {} data",
    "repository-restic-password": "repository {}: password for restic",
    "repository-as-a-copy": "repository {} as a copy",
    "target-unavailable": "{}",
    DRILL: "drill {}",
    "exception": "exception for {}",
    "people": "people: {}",
    "tool-version": "{} version",
    "target-room": "{}: target's room",
    "set-user-id": "{}: set-user-ID",
    "host-clock": "this host's clock",
    "schedule": "schedule against RPO",
    "projection": "projection against RTO",
    "state-set-aside": "state: set aside",
    "state-shared": "state: shared",
    UNNAMED: "{}",
}
"""Names that are not `SUBJECT: the words of the code`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined, and how it is.

    An `error` would end a run or withhold `ready`; a `warning` works, but deserves attention.
    `subject` is what it is about: a component, a repository, a scenario; empty for the host or the
    plan as a whole. `remedy` is exact enough to paste. `where` is the target or the step for which
    it was examined. `rights` marks an error that somebody with more rights may not have.
    """

    code: str
    severity: Severity
    subject: str
    text: str
    remedy: str = ""
    where: str = ""
    rights: bool = False

    @property
    def failed(self) -> bool:
        return self.severity == "error"

    @property
    def name(self) -> str:
        """What people call it, and plans that accept it: `orders-db: row security`."""
        name = name_of(self.code, self.subject)
        return f"{self.where}: {name}" if self.where else name

    def to_json(self) -> dict[str, Any]:
        """As documents and runs have it."""
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
        """The inverse of `to_json`, also of what older versions recorded: without a code, and the
        oldest with `ok`, `detail` and `hint`."""
        severity: Severity = data.get("severity") or ("warning" if data["ok"] else "error")
        text, remedy = (
            data.get("evidence", data.get("detail")),
            data.get("remedy", data.get("hint")),
        )
        if "code" not in data:
            return cls(UNNAMED, severity, data["name"], text or "", remedy or "")
        where = data.get("where", "")
        return cls(data["code"], severity, data["subject"], text or "", remedy or "", where)


def name_of(code: str, subject: str) -> str:
    """What people call the finding with this code about this subject."""
    if code in _NAMES:
        return _NAMES[code].format(subject).removeprefix(": ")
    if code in OF_REPOSITORY:
        return f"repository {subject}: {_words(code.removeprefix('repository-'))}"
    return f"{subject}: {_words(code)}" if subject else _words(code)


def _words(code: str) -> str:
    return code.replace("-", " ")
