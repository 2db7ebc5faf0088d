"""Describe what to run: words, environment, user and deadline, without running it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

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

    `env` is added to the base environment; no other variables of drd are passed on, so a secret
    reaches only the child that needs it, by its environment or a file and never by `argv`. `user`
    switches to that user (needs root). `drop_capabilities` removes the rights that systemd gave to
    drd alone (reading files that only root may read): for the commands of a plan, and for servers
    that run code from the data. Root stays root; but a root process that acts for another user (see
    `rights`) starts children as that user, with the right to read, unless the thread that starts
    them has taken root's rights back and `owners` is not set. `death_signal` is what the kernel
    sends when drd dies: TERM for programs that clean up (restic removes its lock), KILL for the
    rest. With a `fence` it may use only what the fence allows, and all processes that it leaves
    running end with it. `files` are secrets for programs that read them only from a file, by the
    variable that contains its path. They are in anonymous memory, which the child and its children
    can open, and which vanishes with them. A child that `has_helpers` gets the stop signal alone,
    without its own children, because it needs them to end in order: restic removes its lock through
    ssh. With a `leash`, drd also ends programs that the child has started and that left its group:
    when drd stops the child (`ON_STOP`), or whenever the child ends (`ALWAYS`); in the latter case
    a child that leaves its output open has failed. With `writes` it may change files only below
    these directories (where the kernel has Landlock), but read and connect as usual. A `user` of a
    command that `reads_all` keeps the right to read the files of others. `more_time` is the remedy
    if the command does not end by its deadline; without it the deadline is drd's own. It inherits
    the open descriptors `fds`, under the same numbers.
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
    files: Mapping[str, bytes] = field(default_factory=dict)
    has_helpers: bool = False
    leash: Literal["", "on-stop", "always"] = ""
    writes: Sequence[Path] = ()
    reads_all: bool = False
    more_time: str = ""
    fds: Sequence[int] = ()

    @property
    def title(self) -> str:
        """The command's name in messages."""
        return self.name or Path(self.argv[0]).name


def at_priority(
    command: Command, *, nice: int | None = None, ionice: str | int | None = None
) -> Command:
    """Return the command with a lower priority for the processor (0 to 19) and for disks (`idle`,
    or a level from 0 to 7 of the class best-effort); both programs start it in their place."""
    first = ["nice", "-n", str(nice)] if nice is not None else []
    if ionice is not None:
        first += ["ionice", *disk_priority(ionice)]
    return replace(command, argv=[*first, *command.argv], name=command.title) if first else command


def disk_priority(ionice: str | int) -> list[str]:
    """Return the options of the program ionice for `idle`, or for a level from 0 to 7."""
    return ["-c", "3"] if ionice == "idle" else ["-c", "2", "-n", str(ionice)]


_NO_CAPABILITIES = ["--inh-caps=-all", "--ambient-caps=-all"]
"""Options that remove all capabilities. Without ambient capabilities, a user who is not root has
none after exec. The bounding set is not cleared: this needs a right that the service does not have,
and NoNewPrivileges= makes it unnecessary.
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


@contextmanager
def with_files(command: Command) -> Iterator[tuple[Command, tuple[int, ...]]]:
    """Yield the command with its files as open descriptors that it must inherit.

    A program may close what it inherits (ssh does), so the path leads through the child itself,
    whose id only a shell in its place can know.
    """
    if not command.files:
        yield command, ()
        return
    with ExitStack() as stack:
        opened = {}
        for name, content in command.files.items():
            file = stack.enter_context(os.fdopen(os.memfd_create("drd-file"), "w+b", buffering=0))
            file.write(content)
            os.fchmod(file.fileno(), 0o600)  # ssh refuses a key that others can read
            opened[name] = file.fileno()
        argv = [*_naming_files(opened, command.env), *command.argv]
        named = replace(command, argv=argv, files={}, name=command.title)
        yield named, tuple(opened.values())


_PATHS_BY_PYTHON = """
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
count = int(sys.argv[1])
for word in sys.argv[2:2 + count]:
    name, _, fd = word.partition("=")
    os.environ[name] = f"/proc/{os.getpid()}/fd/{fd}"
argv = sys.argv[2 + count:]
try:
    os.execvp(argv[0], argv)
except OSError as error:
    sys.exit(f"{argv[0]}: {error.strerror}")
"""
"""Code for a Python that starts a program: Python ignores two signals, which a program would
otherwise inherit as ignored."""


def _naming_files(opened: Mapping[str, int], env: Mapping[str, str]) -> list[str]:
    """Return the words that set the variables with the paths, and start what follows in their
    place. A shell does this ten times as fast, but drops variables whose names it could not
    write: rclone's for a remote with a hyphen."""
    if all(name.isidentifier() and name.isascii() for name in env):
        paths = " ".join(f"{name}=/proc/$$/fd/{fd}" for name, fd in opened.items())
        return ["/bin/sh", "-c", f'export {paths}; exec "$@"', "sh"]
    words = [f"{name}={fd}" for name, fd in opened.items()]
    return [sys.executable, "-I", "-S", "-c", _PATHS_BY_PYTHON, str(len(words)), *words]


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
    if command.writes:
        writes = [os.path.realpath(p) for p in command.writes]
        words = [sys.executable, "-I", "-S", "-c", _WRITE_FENCE, str(len(writes)), *writes]
        command = replace(command, argv=[*words, *command.argv], name=command.title)
    argv = _with_rights(command, roots=roots)
    if not command.leash:
        return argv
    number = str(int(command.death_signal))
    return [sys.executable, "-I", "-S", "-c", _LEASH, command.leash, number, *argv]


_PACKAGE = Path(__file__).resolve().parents[2]
_LEASH = (
    f"import sys; sys.path.insert(0, {str(_PACKAGE)!r}); from drd.fence.leash import main; main()"
)
_WRITE_FENCE = (
    f"import sys; sys.path.insert(0, {str(_PACKAGE)!r}); "
    "from drd.fence.write_fence import main; main()"
)


def _with_rights(command: Command, *, roots: bool) -> list[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if command.user is not None or _has_more_to_drop(command) or rights.acts_for():
            raise ToolMissing("setpriv is not installed", hint="apt-get install util-linux")
        return list(command.argv)
    words = [setpriv, "--pdeathsig", command.death_signal.name.removeprefix("SIG")]
    if command.user is not None:
        account = pwd.getpwnam(command.user)
        words += [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        words += [*(_READING if command.reads_all else _NO_CAPABILITIES), "--no-new-privs"]
    elif (owner := _owner(roots=roots)) is not None:
        groups = ",".join(map(str, owner.groups))
        words += [f"--reuid={owner.uid}", f"--regid={owner.gid}"]
        words += [f"--groups={groups}"] if groups else ["--clear-groups"]
        words += _NO_CAPABILITIES if command.drop_capabilities else _READING
    elif _has_more_to_drop(command):
        words += _NO_CAPABILITIES
    return [*words, "--", *command.argv]
