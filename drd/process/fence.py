"""Describe a fence: the directories of a drill, what it may reach, and its limits.

A fence is a field of `Command`. All fences of a drill belong to one `Fences`: a program that
listens behind one of them can be reached from behind the others, and one record contains every
refused access.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from drd.errors import SandboxUnavailable
from drd.fence import available
from drd.fence.parts import PARTS
from drd.fence.record import plain, read
from drd.fence.spec import MOST, Spec
from drd.process import rights
from drd.process.cgroup import Group

END_NOW = signal.SIGUSR2
"""The signal that makes a warden end everything behind its fence."""

CANNOT = 125
"""The exit code of a command whose fence could not be set up."""

_PACKAGE = Path(__file__).resolve().parents[2]
_BOOT = (
    f"import sys; sys.path.insert(0, {str(_PACKAGE)!r}); from drd.fence.main import main; main()"
)

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/proc")
_KERNEL = ("/sys/devices/system", "/sys/kernel/mm", "/sys/fs/cgroup")
_ETC = (
    "passwd", "group", "nsswitch.conf", "hosts", "host.conf", "resolv.conf", "gai.conf", "hostname",
    "localtime", "timezone", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/certs",
    "ssl/openssl.cnf", "ca-certificates", "pki/tls/certs", "pki/ca-trust", "locale.alias",
    "locale.conf", "locale.gen", "default/locale", "services", "protocols", "networks", "rpc",
    "mime.types", "magic", "alternatives", "os-release", "debian_version", "machine-id", "terminfo",
    "inputrc", "bash.bashrc", "profile", "profile.d", "environment", "shells", "login.defs",
    "fonts",
    "perl", "python3", "java-17-openjdk", "java-21-openjdk", "postgresql-common", "xml", "sgml",
)  # fmt: skip
"""Files in /etc that every program reads. They are not secret and configure no service."""

_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))

ROOT_KEEPS = sum(1 << number for number in (0, 1, 2, 3, 4, 6, 7))
"""Capabilities of a command that drd runs as root: over files (within the fence), and to become
another user. None over the kernel, the network or other processes.
"""

_SPARE_PROCESSES = 1024
_SHARE_OF_MEMORY = 0.75
_LEAST_MEMORY = 2 << 30

Place = Path | str


@dataclass(frozen=True, slots=True)
class Fence:
    """One command's part of a sandbox. `by` is the name of the command in the record. The command
    may change files in `writes`; it may only read and execute files in `reads` (real paths), and
    files that every program reads. It may connect to sockets below `sockets`, and to its own
    sockets. `home` becomes its HOME and TMPDIR. Files in `hidden` are excluded from all of these.
    """

    sandbox: Fences
    by: str
    writes: tuple[Path, ...] = ()
    reads: tuple[Path, ...] = ()
    sockets: tuple[Path, ...] = ()
    home: Path | None = None
    hidden: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "TMPDIR": str(self.home)} if self.home else {}


@dataclass(frozen=True, slots=True)
class FenceLimits:
    """`memory_bytes` is for a whole sandbox where cgroups are available, otherwise for each
    process.
    """

    memory_bytes: int
    processes: int
    lifetime_s: float | None = None

    @classmethod
    def usual(cls, lifetime_s: float | None = None) -> FenceLimits:
        """Three quarters of the host's memory, and a thousand processes more than run now."""
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = max(int(whole * _SHARE_OF_MEMORY), _LEAST_MEMORY)
        return cls(memory, _SPARE_PROCESSES, lifetime_s)


@dataclass(frozen=True, slots=True)
class BlockedAccess:
    """An access to something outside that was refused to a fenced process: `what` (tcp, dns,
    socket, …), the destination `to` if it is known, and the fence.
    """

    by: str
    what: str
    to: str

    @property
    def words(self) -> str:
        return f"{self.what} {self.to}".strip()


@dataclass
class Fences:
    """All fences of one drill. `reach` has the declared HOST:PORT; `reads` are real paths that all
    may read; `closed` places can never be read, even if a command names them. Close it at the end.
    """

    reach: tuple[str, ...] = ()
    closed: tuple[Path, ...] = ()
    limits: FenceLimits = field(default_factory=FenceLimits.usual)
    reads: tuple[Path, ...] = ()
    wanted: tuple[str, ...] = PARTS

    def __post_init__(self) -> None:
        self.found = available.detect()
        self.parts = tuple(p for p in self.wanted if p in self.found.parts)
        self._record = os.memfd_create("drd-fence", os.MFD_CLOEXEC)
        self._group: Group | None = None
        self._grouped = False

    @property
    def missing(self) -> Mapping[str, str]:
        """The parts of a fence that this host does not have, with the reason."""
        return self.found.missing

    @property
    def record(self) -> int:
        return self._record

    @property
    def group(self) -> Group | None:
        if not self._grouped:
            self._grouped = True
            self._group = Group.made(self.limits.memory_bytes, self.limits.processes)
        return self._group

    @property
    def grouped(self) -> bool:
        """Whether a control group limits the fence."""
        return self._group is not None

    def fence(
        self,
        by: str,
        writes: Iterable[Place] = (),
        *,
        reads: Iterable[Place] = (),
        sockets: Iterable[Place] = (),
        home: Place | None = None,
        hidden: Iterable[Place] = (),
    ) -> Fence:
        own = (*writes, *([home] if home is not None else []))
        return Fence(
            self,
            by,
            writes=tuple(map(Path, own)),
            reads=tuple(map(Path, reads)),
            sockets=tuple(map(Path, sockets)),
            home=Path(home) if home is not None else None,
            hidden=tuple(map(Path, hidden)),
        )

    def events(self) -> list[dict[str, Any]]:
        return read(self._record)

    def attempts(self) -> list[BlockedAccess]:
        """In order; each destination appears once for each command. If a command tried more than
        the record holds, the count of its tries comes last.
        """
        events = self.events()
        attempts = (
            BlockedAccess(plain(str(e["by"])), plain(str(e["what"])), plain(str(e["to"])))
            for e in events
            if e["event"] == "tried"
        )
        more = {
            (str(e["by"]), str(e["what"])): int(e["count"])
            for e in events
            if e["event"] == "tried more"
        }
        others = (
            BlockedAccess(plain(by), plain(what), f"other places, at least {count} times")
            for (by, what), count in more.items()
        )
        return [*dict.fromkeys(attempts), *others]

    def failures(self) -> list[str]:
        """Return why fences could not be set up."""
        return [str(e["why"]) for e in self.events() if e["event"] == "failed"]

    def fenced(self) -> list[str]:
        """Return which commands ran behind a fence."""
        return list(dict.fromkeys(str(e["by"]) for e in self.events() if e["event"] == "holds"))

    def close(self) -> None:
        if self._group is not None:
            self._group.remove()
        with suppress(OSError):
            os.close(self._record)
        self._record = -1


_REFUSALS = ("permission denied", "not permitted", "unreachable", "name resolution")


def refused_hint(text: str) -> str:
    """Return the hint for a command whose last output suggests that its fence refused something;
    empty otherwise.
    """
    if not any(words in text.lower() for words in _REFUSALS):
        return ""
    return (
        "in a drill, this command can use only the files and hosts that the plan allows. Add what "
        "the command needs to the plan: `drill: {read: [PATH], reach: ['HOST:PORT']}`. The command "
        "may write only below $HOME. docs/sandbox.md lists what is always allowed."
    )


def require_up(fence: Fence, exit_code: int | None) -> None:
    """Raise SandboxUnavailable if a command ended because its fence could not be set up, or failed:
    this proves nothing about the command.
    """
    if exit_code == CANNOT and (failures := fence.sandbox.failures()):
        raise SandboxUnavailable(
            f"the fence of {fence.by} cannot be set up: {'; '.join(failures)}",
            hint="run drd doctor, which sets up a fence and reports which part is missing.",
        )


@rights.as_root(rights.Purpose.PROCESSES)
def end_fenced(pid: int, within_s: float = 3.0) -> None:
    """Let the warden with this pid kill everything behind its fence; returns when all has ended, or
    after this time.
    """
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        signal.pidfd_send_signal(process, END_NOW)
        select.select([process], [], [], within_s)
    except OSError:
        pass
    finally:
        os.close(process)


# --- the command line ---------------------------------------------------------------------------


def fenced_argv(
    fence: Fence,
    argv: Sequence[str],
    *,
    user: str | rights.Owner | None,
    death_signal: signal.Signals,
) -> list[str]:
    """`argv` behind the fence: the command line that starts the warden and its command."""
    box = fence.sandbox
    group = box.group
    reads = tuple(_readable(fence))
    spec = Spec(
        argv=(_find_program(argv[0], reads), *argv[1:]),
        by=fence.by,
        reads=reads,
        writes=tuple(_changeable(fence)),
        devices=_real(map(Path, _DEVICES)),
        sockets=_real(fence.sockets),
        reach=_addresses(box.reach),
        parts=box.parts,
        record=box.record,
        death_signal=int(death_signal),
        user=_account(user),
        kept_capabilities=ROOT_KEEPS,
        memory_bytes=box.limits.memory_bytes,
        processes=_threads() + box.limits.processes,
        lifetime_s=box.limits.lifetime_s,
        groups=group.places if group is not None else (),
    )
    arguments = spec.to_arguments()
    if sum(map(len, arguments)) > MOST:
        raise SandboxUnavailable(
            f"the fence of {fence.by} would be too long: it names {len(reads)} files one by one, "
            f"because {_most_named(reads)} contains a place that drd hides",
            hint="name directories further down in the section `drill: {read: [PATH]}` of the "
            "plan, or move drd's own directories and local repositories to a directory of their "
            "own.",
        )
    return [sys.executable, "-I", "-S", "-c", _BOOT, *arguments]


def _most_named(paths: Iterable[str]) -> str:
    """Return the directory that contains the most of these paths."""
    return Counter(os.path.dirname(p) for p in paths).most_common(1)[0][0]  # noqa: PTH120


def _account(user: str | rights.Owner | None) -> tuple[int, int, tuple[int, ...]] | None:
    if user is None:
        return None
    if isinstance(user, rights.Owner):
        return (user.uid, user.gid, user.groups)
    account = pwd.getpwnam(user)
    groups = tuple(os.getgrouplist(user, account.pw_gid))
    return (account.pw_uid, account.pw_gid, groups)


def _real(places: Iterable[Path]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.realpath(p) for p in places))


def _in_place(places: Iterable[Path]) -> tuple[str, ...]:
    """Real paths of the directories that a fenced process may change. A path that has become a link
    was replaced by such a process, and is not followed.
    """
    return tuple(dict.fromkeys(os.path.join(os.path.realpath(p.parent), p.name) for p in places))  # noqa: PTH118


def _threads() -> int:
    """Return the limit on threads, for the whole host: no user has more."""
    with suppress(OSError, ValueError, IndexError):
        text = Path("/proc/loadavg").read_text(encoding="ascii")
        return int(text.split()[3].partition("/")[2])
    return 4096


@cache
def _addresses(reach: tuple[str, ...]) -> tuple[tuple[str, int, str], ...]:
    """Return every current address of the declared hosts; a host without one cannot be reached."""
    addresses = []
    for one in reach:
        host, _, port = one.rpartition(":")
        host = host.strip("[]")
        with suppress(OSError, ValueError):
            for *_, address in socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM):
                addresses.append((str(address[0]), int(port), host))
    return tuple(dict.fromkeys(addresses))


def _readable(fence: Fence) -> list[str]:
    """Return the paths that the command may read: those of the system, and those that its fence
    names."""
    own = _in_place(fence.writes)
    closed = tuple(c for c in _real(fence.sandbox.closed) if c != "/")
    systems = _real(map(Path, [*_SYSTEM, *_KERNEL, *(f"/etc/{name}" for name in _ETC)]))
    asked = map(os.fspath, [*fence.reads, *fence.sandbox.reads])
    paths: list[str] = []
    for path in dict.fromkeys([*systems, *asked]):
        if path in own:
            continue
        paths += _parts_around(path, closed)
    return paths


def _find_program(program: str, readable: tuple[str, ...]) -> str:
    """Return the first match in $PATH that may be run behind the fence; the name alone if there is
    none.
    """
    if "/" in program:
        return program
    for directory in os.environ.get("PATH", os.defpath).split(":"):
        path = os.path.join(directory, program)  # noqa: PTH118 - a string for argv
        real = os.path.realpath(path)
        if os.access(real, os.X_OK) and any(
            real == r or real.startswith(f"{r}/") for r in readable
        ):
            return path
    return program


def _changeable(fence: Fence) -> Iterable[str]:
    hidden = _in_place(fence.hidden)
    for place in _in_place(fence.writes):
        yield from _parts_around(place, hidden)


def _parts_around(path: str, closed: tuple[str, ...]) -> list[str]:
    """Return the path, or the parts of it that contain nothing closed."""
    if any(path == c or path.startswith(f"{c}/") for c in closed):
        return []
    if not any(c.startswith(f"{path.rstrip('/')}/") for c in closed):
        return [path]
    parts: list[str] = []
    with suppress(OSError):
        for entry in os.scandir(path):
            if not entry.is_symlink():
                parts += _parts_around(entry.path, closed)
    return parts
