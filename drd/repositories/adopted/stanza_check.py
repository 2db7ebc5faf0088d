"""Let pgBackRest check the way of the WAL from the server into the archive, if the plan allows it:
that makes the server begin a new WAL segment."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from configparser import Error as NoConfiguration
from pathlib import Path
from typing import NamedTuple

from drd.errors import DrdError
from drd.model.finding import Finding
from drd.model.finding_codes import CHECK
from drd.process import rights
from drd.repositories.adopted.stanza_place import configured
from drd.repositories.adopted.stanza_program import StanzaProgram, code_and_text, plain

CHECK_S = 120.0
"""How long the check may take, within the time of a readiness check. By default pgBackRest waits a
minute for the WAL (archive-timeout)."""


class _Cause(NamedTuple):
    what: str
    remedy: str


_NOT_ARCHIVED = _Cause(
    "WAL of the server does not arrive in the archive",
    "read the log of the server for what archive_command says, and mend that. Until then, no "
    "change made after the last archived WAL can be restored.",
)
_ARCHIVING = _Cause(
    "the server does not archive with pgBackRest into this stanza",
    "set archive_mode = on, and archive_command = 'pgbackrest --stanza=STANZA archive-push %p', "
    "then restart the server.",
)
_NO_SERVER = _Cause(
    "pgBackRest cannot ask the server",
    "start the server, or correct pg1-path, pg1-port and pg1-socket-path in `config`. pgBackRest "
    "asks as the user that runs drd, or for root as the owner of pg1-path: docs/adopted.md has the "
    "grants for the service's user.",
)
_OTHER_SERVER = _Cause(
    "the server is not the one of this stanza",
    "if the server was replaced or upgraded: pgbackrest stanza-upgrade, then a full backup. If "
    "not, correct `url` or `stanza` in the plan, or pg1-path in `config`.",
)
_NO_STANZA = _Cause(
    "the repository does not contain the stanza as the server uses it",
    "compare the name of the stanza in archive_command with the plan: pgbackrest info.",
)
_OTHERWISE = _Cause(
    "the check failed", "to see more, run by hand where the server runs: pgbackrest check"
)
_CAUSES = {
    "082": _NOT_ARCHIVED,
    "045": _NOT_ARCHIVED,
    "068": _ARCHIVING,
    "087": _ARCHIVING,
    "027": _NO_SERVER,
    "041": _NO_SERVER,
    "047": _NO_SERVER,
    "056": _NO_SERVER,
    "057": _NO_SERVER,
    "028": _OTHER_SERVER,
    "044": _OTHER_SERVER,
    "051": _OTHER_SERVER,
    "055": _NO_STANZA,
    "103": _NO_STANZA,
}
"""By the codes of pgBackRest's errors."""


def check_finding(name: str, stanza: str, config: str, program: StanzaProgram) -> Finding:
    """Run `pgbackrest check` as the owner of the server's directory, if root runs it, and return
    the finding about the repository `name`."""
    try:
        options = configured(config).get(stanza, {})
    except NoConfiguration:
        options = {}
    owner, service = _owner(options), rights.acts_for()
    words = ["check"]
    if owner and service and options.get("pg1-user") == service.name:
        words += [f"--pg1-user={owner}"]  # the owner has not the service's login, but its own
    try:
        code, _, said = program.run(words, deadline_s=CHECK_S, user=owner)
    except DrdError as error:
        return Finding(CHECK, "error", name, error.message, error.hint)
    if code == 0:
        text = "pgbackrest check passed: a new WAL segment of the server arrived in the archive"
        return Finding(CHECK, "ok", name, text)
    number, text = code_and_text(said)
    cause = _CAUSES.get(number, _OTHERWISE)
    why = plain(text) or f"it ended with status {code}"
    return Finding(
        CHECK,
        "error",
        name,
        f"pgbackrest check: {cause.what}: {why}",
        cause.remedy.replace("STANZA", stanza),
    )


def _owner(options: Mapping[str, str]) -> str | None:
    """Return the user who owns the server's directory; None if this process cannot become that
    user, or if the directory is not on this host."""
    if 0 not in os.getresuid():
        return None
    path = options.get("pg1-path", "")
    try:
        uid = Path(path).stat().st_uid if path.startswith("/") else 0
        return pwd.getpwuid(uid).pw_name if uid else None
    except (OSError, KeyError):
        return None
