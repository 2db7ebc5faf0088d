"""Run a command of drd as the service would: with its user, its rights, its restrictions."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import NoReturn

from drd import process
from drd.errors import DrdError, ToolMissing, UsageError

_OWN = re.compile(
    r"(Type|Exec|Watchdog|Restart|Timeout|KillMode|OOMPolicy|NotifyAccess|PIDFile|SyslogIdentifier)"
)
"""Settings that make the unit a daemon, and do not restrict it."""

_TAKEN_AWAY = re.compile(r"RuntimeDirectory")
"""Would be removed under the running service when the command ends."""


def as_service(words: Sequence[str], unit: str = "drd.service") -> NoReturn:
    """Become `drd WORDS` in a service that is confined like `unit`, with its drop-ins; the exit
    code is the command's. Raises UsageError if the user is not root or there is no such unit."""
    if os.geteuid() != 0:
        raise UsageError("only root can act as the service", hint="run this command with sudo.")
    program = shutil.which("systemd-run")
    if program is None:
        raise ToolMissing("systemd-run is not installed", hint="apt-get install systemd")
    told = process.run(process.Command(("systemctl", "cat", "--no-pager", unit), deadline_s=30.0))
    if told.exit_code != 0:
        raise UsageError(
            f"there is no unit {unit} on this host: {told.complaint}",
            hint="install the unit: drd install",
        )
    options = [f"--property={line}" for line in restrictions(told.stdout)]
    command = [sys.executable, "-m", "drd", *words]
    sys.stdout.flush()
    try:
        os.execv(  # noqa: S606 (a list of words, no shell)
            program, [program, "--quiet", "--wait", "--pipe", "--collect", *options, "--", *command]
        )
    except OSError as error:
        raise DrdError(f"cannot run {program}: {error.strerror}") from error


def restrictions(unit: str) -> list[str]:
    """Return the settings of a unit's [Service] section that restrict what runs in it, in order,
    from the output of `systemctl cat`."""
    settings = []
    section = ""
    for line in map(str.strip, re.sub(r"\\\n", " ", unit).splitlines()):
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and line[0] not in "#;":
            key, _, value = line.partition("=")
            if not _OWN.match(key) and not _TAKEN_AWAY.match(key):
                settings.append(f"{key.strip()}={value.strip()}")
    return settings
