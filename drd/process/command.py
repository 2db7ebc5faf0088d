"""Describe what to run: words, environment, user and deadline, without running it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drd.errors import ToolMissing
from drd.process import rights
from drd.process.fence import Fence, fenced_argv
from drd.process.orphans import MARKS

_PASSED_ON = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    *MARKS,
]


@dataclass(frozen=True, slots=True)
class Command:
    """One child to be started.

    `env` is added to the base environment; nothing else of drd's own is passed on, so a secret
    reaches only the child that needs it, by its environment or a file and never by `argv`.
    `user` switches to that user (needs root). `drop_capabilities` removes the rights that
    systemd gave to drd alone (reading files that only root may read): for the commands of a plan,
    and for servers that run code from the data. Root stays root; but a root process that acts
    for another user (see `rights`) starts children as that user, with the right to read, unless the
    thread that starts them has taken root's rights back and `owners` is not set.
    `death_signal` is what the kernel sends when drd dies: TERM for programs that clean up (restic
    removes its lock), KILL for the rest. With a `fence` it may use only what the fence allows, and
    all
    processes that it leaves running end with it.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    user: str | None = None
    drop_capabilities: bool = False
    deadline_s: float | None = None
    death_signal: signal.Signals = signal.SIGTERM
    stop_signal: signal.Signals = signal.SIGTERM
    name: str = ""
    owners: bool = False
    fence: Fence | None = None

    @property
    def title(self) -> str:
        """The command's name in messages."""
        return self.name or Path(self.argv[0]).name


_NO_CAPABILITIES = ["--inh-caps=-all", "--ambient-caps=-all"]
"""Without ambient capabilities, exec leaves none to a user who is not root. The bounding set stays:
clearing it takes a right that the service does not have, and its NoNewPrivileges= makes that
unnecessary.
"""


_READING = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
"""The rights that the service's unit gives to restic and the dump tools."""


def base_environment() -> dict[str, str]:
    """Return the few variables that every child gets; no NOTIFY_SOCKET, no PG*, no AWS_*, no
    RESTIC_*."""
    return {k: os.environ[k] for k in _PASSED_ON if k in os.environ}


def find_tool(name: str, *, package: str, bin_dir: Path | None = None) -> str:
    """Return the absolute path of a program. Raises ToolMissing, with the Debian package as the
    remedy."""
    if bin_dir is not None:
        candidate = bin_dir / name
        if os.access(candidate, os.X_OK):
            return str(candidate)
        raise ToolMissing(
            f"{name} is not in {bin_dir}", hint=f"install {package} or correct bin_dir."
        )
    path = shutil.which(name)
    if path is None:
        raise ToolMissing(f"{name} is not installed", hint=f"apt-get install {package}")
    return path


def ambient_capabilities() -> int:
    """Return the rights that every child of this process inherits, as a bit mask; 0 outside of a
    unit."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split("\n"):
        if line.startswith("CapAmb:"):
            return int(line.split()[1], 16)
    return 0


def full_environment(command: Command, *, roots: bool = False) -> dict[str, str]:
    """`roots`: the child of a root process that acts for another user keeps root's rights."""
    env = base_environment()
    if command.user is not None:
        home = pwd.getpwnam(command.user).pw_dir
        env |= {"HOME": home, "USER": command.user, "LOGNAME": command.user}
    elif (owner := _owner(roots=roots)) is not None:
        env |= {"HOME": owner.home, "USER": owner.name, "LOGNAME": owner.name}
    if command.fence is not None:
        env |= command.fence.environment()
    return env | dict(command.env)


def _owner(*, roots: bool) -> rights.Owner | None:
    """Return the user of a child, where this root process acts for another user."""
    return None if roots else rights.acts_for()


def _has_more_to_drop(command: Command) -> bool:
    return command.drop_capabilities and ambient_capabilities() != 0


def full_argv(command: Command, *, roots: bool = False) -> list[str]:
    """`command.argv` behind setpriv, which sets the death signal and switches to `user`, or to the
    user for whom this root process acts unless the child keeps `roots` rights.

    setpriv sets the death signal last: the kernel clears it when the user changes. Without setpriv
    a child still ends by cancel and deadline, and by the cleanup after a crash.
    """
    if command.fence is not None:
        return fenced_argv(
            command.fence,
            command.argv,
            user=command.user or _owner(roots=roots),
            death_signal=command.death_signal,
        )
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if command.user is not None or _has_more_to_drop(command) or rights.acts_for():
            raise ToolMissing("setpriv is not installed", hint="apt-get install util-linux")
        return list(command.argv)
    words = [setpriv, "--pdeathsig", command.death_signal.name.removeprefix("SIG")]
    if command.user is not None:
        account = pwd.getpwnam(command.user)
        words += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        words += [*_NO_CAPABILITIES, "--no-new-privs"]
    elif (owner := _owner(roots=roots)) is not None:
        groups = ",".join(map(str, owner.groups))
        words += [f"--reuid={owner.uid}", f"--regid={owner.gid}"]
        words += [f"--groups={groups}"] if groups else ["--clear-groups"]
        words += _NO_CAPABILITIES if command.drop_capabilities else _READING
    elif _has_more_to_drop(command):
        words += _NO_CAPABILITIES
    return [*words, "--", *command.argv]
