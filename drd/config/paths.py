"""The paths of drd.yaml: their defaults, and the directories to which they are relative. No
pydantic here, nor pathlib: `drd status` starts in a few milliseconds."""

from __future__ import annotations

import os

from drd.errors import Problem

DEFAULT_CONFIG = "/etc/drd/drd.yaml"
DEFAULT_STATE = "sqlite:////var/lib/drd/drd.db"
DEFAULT_PLANS = "plans"
DEFAULT_PUBLIC = "/var/lib/drd-public"
"""The public directory for a state in PostgreSQL; a state in a directory has its own beside it."""
NOT_A_MAPPING = "drd.yaml has lines like `key: value`."

_SQLITE = "sqlite:///"


def public_of(url: str) -> str:
    """Return the public directory of a state whose drd.yaml does not name one."""
    if not url.startswith(_SQLITE):
        return DEFAULT_PUBLIC
    return f"{os.path.dirname(url[len(_SQLITE) :].partition('?')[0])}-public"  # noqa: PTH120 (4 ms)


def missing(path: str) -> Problem:
    """Return the error for a requested drd.yaml that does not exist."""
    hint = (
        "check the option --config and the variable $DRD_CONFIG. Without both, drd uses "
        "/etc/drd/drd.yaml, or its defaults."
    )
    return Problem(path, 1, "", "there is no such file", hint)


def place(path: str, base: str) -> str:
    """Return an absolute, normalised path; relative paths are relative to the directory of
    drd.yaml."""
    return os.path.normpath(os.path.join(base, path))  # noqa: PTH118 (pathlib costs 4 ms)


def state_url(url: str, base: str) -> str:
    """Return the URL with the SQLite file's path made absolute, as other paths of drd.yaml."""
    if not url.startswith(_SQLITE):
        return url
    path, mark, options = url[len(_SQLITE) :].partition("?")
    return f"{_SQLITE}{place(path, base)}{mark}{options}"
