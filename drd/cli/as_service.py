"""Run a command of drd as the service would: with its user, its rights, its restrictions."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence

from drd import process
from drd.errors import DrdError, ToolMissing, UsageError

_OWN = re.compile(
    r"(Type|Exec|Watchdog|Restart|Timeout|KillMode|OOMPolicy|NotifyAccess|PIDFile|SyslogIdentifier)"
)
"""Settings that make the unit a daemon, and do not restrict it."""

_TAKEN_AWAY = re.compile(r"RuntimeDirectory")
"""Would be removed under the running service when the command ends."""


_SYSTEMDS_OWN = range(200, 256)
"""Exit codes by which systemd says that it could not start the program. drd itself does not use
them."""


def as_service(words: Sequence[str], unit: str = "drd.service") -> int:
    """Run `drd WORDS` in a service that is confined like `unit`, with its drop-ins, and return its
    exit code. Raises UsageError if the user is not root or there is no such unit, and DrdError if
    nothing starts under its settings."""
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
    name = f"drd-as-service-{os.getpid()}.service"
    options = [f"--unit={name}", "--quiet", "--wait", "--pipe", "--collect"]
    options += [f"--property={line}" for line in restrictions(told.stdout)]
    words = [program, *options, "--", sys.executable, "-m", "drd", *words]
    sys.stdout.flush()
    child = process.start(process.Command(words, env=os.environ), stdin=0, stdout=1, stderr=2)
    code = child.wait()
    if code in _SYSTEMDS_OWN:
        raise _not_started(name, unit, code)
    return code


def _not_started(name: str, unit: str, code: int) -> DrdError:
    """Return the error with the reason that systemd wrote to the journal."""
    process.run(process.Command(("journalctl", "--sync"), deadline_s=30.0))
    words = ("journalctl", "--no-pager", "--quiet", "--output=cat", f"--unit={name}")
    said = process.run(process.Command(words, deadline_s=30.0)).stdout.splitlines()
    why = next((line.removeprefix(f"{name}: ") for line in said if "Failed " in line), "")
    return DrdError(
        f"systemd cannot start a command with the settings of {unit}: "
        f"{why or f'exit status {code}'}",
        hint="the service does not start with these settings, either. Correct the settings: "
        f"systemctl edit {unit.removesuffix('.service')}",
    )


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
