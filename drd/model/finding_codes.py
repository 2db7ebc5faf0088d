"""The codes of findings that code depends on, and the names of findings for people.

No `dataclasses` here: `drd status` imports this in a cold start.
"""

from __future__ import annotations

REPOSITORY = "repository"
PROTECTION = "repository-protection"
KEY = "repository-key"
WRITING = "repository-writing"
DATA = "repository-data"
KNOWN_STATE = "repository-known-state"
ADOPTED = "repository-copies"
ARCHIVE = "repository-archive"
BACKUP_ERRORS = "repository-backup-errors"
CHECK = "repository-check"
CHECK_QUERY = "check-query"
IN_REPOSITORY = frozenset({"repository-keys", "repository-locks", "repository-index"})
"""Codes of findings about the content of a repository: they do not say whether it is the plan's
own.
"""

SECRETS_OF_REPOSITORY = frozenset(
    {
        "repository-password",
        "repository-access-key",
        "repository-secret-key",
        "repository-session-token",
    }
)
"""Codes of findings about secrets that are needed to store anything in a repository."""

_ASPECTS = {
    PROTECTION: "protection",
    KEY: "key",
    WRITING: "writing",
    KNOWN_STATE: "known state",
    ADOPTED: "copies",
    ARCHIVE: "archive",
    BACKUP_ERRORS: "backup errors",
    CHECK: "check",
    "repository-env": "secrets of its commands",
    "repository-keys": "keys",
    "repository-locks": "locks",
    "repository-index": "index",
    "repository-clock": "clock",
    "repository-room": "room",
    "repository-snapshots": "snapshots",
    "repository-password": "password",
    "repository-access-key": "access key",
    "repository-secret-key": "secret key",
    "repository-session-token": "session token",
    "repository-access": "access",
    "repository-masked-password": "masked password",
    "repository-unit": "unit",
}
"""What the words for people say about the repository, for each of these codes."""

OF_REPOSITORY = frozenset(
    {REPOSITORY, DATA, "repository-restic-password", "repository-as-a-copy", *_ASPECTS}
)
"""Codes of findings whose subject is a repository of the plan."""

SOURCE = frozenset({"reachable", "database", "files"})
"""Codes of findings about the source of a component; a capture of the component reads the same
source."""

THIS_STATE = "this-state"
COPIED_STATE = "copied-state"
"""Codes of a state that may be a copy of another one, until a person decides (`drd adopt`)."""

DRILL = "drill"
RESTORE_POINT = "restore-point"
POINT_SIGNATURE = "point-signature"
PORT = "port"
IN_USE = "in-use"
TARGETS = "targets"
TARGET_DIRECTORY = "target-directory"
DISK_SPACE = "disk-space"

UNNAMED = "unnamed"
"""The code of a finding that an older drd recorded; its subject is its former name."""

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
"""Names that do not follow the pattern `SUBJECT: the words of the code`."""


def name_of(code: str, subject: str) -> str:
    """Return the name for people of the finding with this code about this subject."""
    if code in _NAMES:
        return _NAMES[code].format(subject).removeprefix(": ")
    if code in _ASPECTS:
        return f"repository {subject}: {_ASPECTS[code]}"
    return f"{subject}: {_code_text(code)}" if subject else _code_text(code)


def _code_text(code: str) -> str:
    return code.replace("-", " ")
