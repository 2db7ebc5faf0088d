"""Choose the rights of a command that root runs: the rights of the state's owner, and root's own
rights only for the purposes named here.

A state that belongs to another user can be changed by that user: they can redirect any path in it.
So a root process acts as the owner (effective user, group and groups), with one right more, which
the service has as well: reading files that only root may read. `root(...)` takes root's rights back
for the calling thread, and for programs that it starts meanwhile, and for nothing else. Threads
that it starts inherit them, and must not outlive it.

Linux keeps credentials per thread; glibc's functions change all threads at once, so drd changes a
thread's own by system calls.
"""

from __future__ import annotations

import errno
import os
import platform
import pwd
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from drd import record_writer
from drd.errors import DrdError
from drd.process.path_walk import Link, walk
from drd.process.private import why_not_private
from drd.users import user_name

P = ParamSpec("P")
T = TypeVar("T")


class Purpose(StrEnum):
    """All purposes for which root's rights are taken again. `docs/operations.md` lists the same
    purposes."""

    READING = "read root's files: plans, credentials, sources that only root may read"
    OWNERS = "set the owners of files in a drill or a target, and run programs that check them"
    PROCESSES = (
        "control processes of other users: servers of sandboxes, services that a runbook "
        "starts or stops"
    )
    TARGETS = "write targets, local repositories and output files that only root may write"
    NOTES = "write root's own record of its recoveries"
    LOGINS = "log in as root by peer authentication, in a recovery"


@dataclass(frozen=True, slots=True)
class Owner:
    """The user for whom root acts. A user without an account on this host (of a container, or of
    the host that was lost) has a number as the name, no home directory and a single group."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str

    @property
    def become(self) -> str:
        """The beginning of a command line with which root runs a command as this user."""
        if self.name != str(self.uid):
            return f"sudo -u {self.name}"
        return f"setpriv --reuid={self.uid} --regid={self.gid} --clear-groups"


_CALLS = {
    "x86_64": {"setgroups": 116, "setresuid": 117, "setresgid": 119, "capset": 126},
    "generic": {"setgroups": 159, "setresuid": 147, "setresgid": 149, "capset": 91},
}
"""From asm/unistd_64.h, and from asm-generic/unistd.h, which aarch64 and riscv64 use."""

_GENERIC = ("aarch64", "riscv64", "loongarch64")
_SAME = -1
NOBODY = 65534
"""The id of the user nobody and of the group nogroup."""
_CHOWN, _READ_SEARCH, _ALL = 1 << 0, 1 << 2, (1 << 64) - 1
"""CAP_CHOWN and CAP_DAC_READ_SEARCH of linux/capability.h, and all of them."""
_VERSION_3 = 0x20080522

_owner: Owner | None = None
_roots_groups: tuple[int, ...] = ()


@contextmanager
def acting_for(uid: int, gid: int = NOBODY) -> Iterator[None]:
    """In the body, let a root process act as `uid`. Changes nothing for other users, for root's own
    state, and within another body. `gid` is the group of the state, for a user without an account.
    No other thread may be working meanwhile.
    """
    global _owner, _roots_groups  # noqa: PLW0603 - credentials are the process's
    if os.geteuid() != 0 or uid == 0 or _owner is not None:
        yield
        return
    owner = account(uid, gid)
    record_writer.reads_of(uid)
    _calls()
    import ctypes  # noqa: F401 - as long as whoever we will be need not be able to read it

    _roots_groups = tuple(os.getgroups())
    _owner = owner
    try:
        os.setgroups(owner.groups)
        os.setresgid(_SAME, owner.gid, 0)
        os.setresuid(_SAME, owner.uid, 0)
        _may_read()
        yield
    finally:
        _owner = None
        os.setresuid(_SAME, 0, 0)
        os.setresgid(_SAME, 0, 0)
        os.setgroups(_roots_groups)


def account(uid: int, gid: int) -> Owner:
    """Return the user with this id. `gid` is the group of a file of theirs: a user without an
    account gets that group, unless it is root's."""
    try:
        known = pwd.getpwuid(uid)
    except KeyError:
        return Owner(uid, gid or NOBODY, (), str(uid), "/")
    groups = tuple(os.getgrouplist(known.pw_name, known.pw_gid))
    return Owner(uid, known.pw_gid, groups, known.pw_name, known.pw_dir)


def acts_for() -> Owner | None:
    """Return the user for whom this root process acts; None if this process is not root's, or if
    the state belongs to root."""
    return _owner


def may_be_root() -> bool:
    """Return whether this process has root's rights, or could take them back."""
    return os.geteuid() == 0 or _owner is not None


def taken() -> bool:
    """Return whether this thread has taken root's rights back."""
    return _owner is not None and os.geteuid() == 0


@contextmanager
def root(purpose: Purpose) -> Iterator[None]:
    """Give this thread root's rights for the body, where the process acts for another user."""
    assert isinstance(purpose, Purpose)
    owner = _owner
    if owner is None or os.geteuid() == 0:
        yield
        return
    become_root_for_good()
    try:
        yield
    finally:
        _act_for(owner)


def _act_for(owner: Owner) -> None:
    """Change the credentials of this thread alone."""
    _call("setgroups", len(owner.groups), _ids(owner.groups))
    _call("setresgid", _SAME, owner.gid, 0)
    _call("setresuid", _SAME, owner.uid, 0)
    _may_read()


def is_owners(name: str | None) -> bool:
    """Return whether this thread has taken root's rights back, and could act as the user of this
    name instead: the user for whom the process acts."""
    return taken() and _owner is not None and _owner.name == name


@contextmanager
def owners() -> Iterator[None]:
    """Give the thread the owner's rights again, for callbacks inside `root`."""
    owner = _owner
    if owner is None or os.geteuid() != 0:
        yield
        return
    _act_for(owner)
    try:
        yield
    finally:
        become_root_for_good()


def user_of(info: os.stat_result) -> Owner:
    """Return the user to whom a file belongs."""
    return account(info.st_uid, info.st_gid)


@contextmanager
def as_user(user: Owner) -> Iterator[None]:
    """Give this thread of root the rights of another user during the body, and the right to read
    every file, which the service has as well. If that user replaces names meanwhile, they can only
    lead to files that this user could change anyway.
    """
    groups = tuple(os.getgroups())
    try:
        _act_for(user)
        yield
    finally:
        _call("setresuid", _SAME, 0, 0)
        _call("setresgid", _SAME, 0, 0)
        _call("setgroups", len(groups), _ids(groups))


def can_make_in(directory: Path, user: Owner) -> bool:
    """Return, for root, whether another user can make a file in a directory."""
    with as_user(user) if user.uid else nullcontext():
        if user.uid:
            _make_effective(0)
        return os.access(directory, os.W_OK | os.X_OK, effective_ids=True)


@contextmanager
def keeping_owners() -> Iterator[None]:
    """Keep this thread of root's from changing any file's owner inside the body: its files stay
    root's, even where a library would give them to another user.
    """
    try:
        _make_effective(_ALL & ~_CHOWN)
        yield
    finally:
        _make_effective(_ALL)


def become_root_for_good() -> None:
    """Take root's rights like `root`, for a thread that does nothing else than `purpose`."""
    if _owner is None or os.geteuid() == 0:
        return
    # With the effective user 0 the kernel makes all permitted capabilities effective.
    _call("setresuid", _SAME, 0, 0)
    _call("setresgid", _SAME, 0, 0)
    _call("setgroups", len(_roots_groups), _ids(_roots_groups))


class NotFollowed(PermissionError):
    """The path to which root was to write contains another user's link."""

    def __init__(self, link: Link) -> None:
        whose = user_name(link.whose)
        super().__init__(
            errno.EACCES,
            f"{link.place} is a symbolic link that belongs to user {whose}; as root, drd "
            "does not follow links of other users",
        )
        self.hint = (
            f"if the link is intended, make root the owner of {link.place}, in a directory that "
            "only root can change. If not, use the real path instead of the link"
        )


@contextmanager
def writing(directory: Path) -> Iterator[Path]:
    """Take root's rights when the user for whom this process acts may not write to a directory.
    Yields a name of the directory that nobody can replace meanwhile. Raises NotFollowed for another
    user's link, and FileNotFoundError.
    """
    if _owner is None or os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        yield directory
        return
    with root(Purpose.TARGETS), closing(walk(os.fspath(directory))) as way:
        for link in way.links:
            if link.whose != 0:
                raise NotFollowed(link)
        if way.missing:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))
        yield Path(f"/proc/self/fd/{way.steps[-1].fd}")


def may_write(directory: Path) -> bool:
    """Return whether drd can make something in a directory, with root's rights if needed: if it is
    root's alone.
    """
    if os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        return True
    if _owner is None or why_not_private(directory, 0) is not None:
        return False
    with root(Purpose.TARGETS):
        return os.access(directory, os.W_OK | os.X_OK, effective_ids=True)


def make_for_owner(directory: Path) -> None:
    """Make a directory with mode 0700. It belongs to the user for whom the process acts, even if
    root had to make it.
    """
    if taken():  # root makes it, so it is root's
        directory.mkdir(mode=0o700, exist_ok=True)
        return
    with writing(directory.parent) as place:
        made = place / directory.name
        made.mkdir(mode=0o700, exist_ok=True)
        owner = _owner
        if owner is None or os.geteuid() != 0:
            return
        fd = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(fd) as entries:
                empty = next(entries, None) is None
            if empty and why_not_private(directory.parent, 0) is None:
                os.fchown(fd, owner.uid, owner.gid)
        finally:
            os.close(fd)


def as_root(purpose: Purpose) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function so that it runs with root's rights."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def work(*args: P.args, **kwargs: P.kwargs) -> T:
            with root(purpose):
                return function(*args, **kwargs)

        return work

    return decorate


def _may_read() -> None:
    """The one right that the service has as well: `AmbientCapabilities=` of its unit."""
    _make_effective(_READ_SEARCH)


def _make_effective(wanted: int) -> None:
    """Make these capabilities effective, as far as they are permitted to this thread."""
    import ctypes

    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    every = _permitted()
    low, high = every & 0xFFFFFFFF, every >> 32
    data = (ctypes.c_uint32 * 6)(wanted & low, low, 0, (wanted >> 32) & high, high, 0)
    _call("capset", header, data)


def _permitted() -> int:
    # Bytes: no import may be needed here, while root's files cannot be read.
    for line in Path("/proc/thread-self/status").read_bytes().splitlines():
        if line.startswith(b"CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def _ids(groups: tuple[int, ...]) -> Any:
    import ctypes

    return (ctypes.c_uint32 * max(1, len(groups)))(*groups)


def _calls() -> dict[str, int]:
    machine = platform.machine()
    name = "generic" if machine in _GENERIC else machine
    if name not in _CALLS:
        raise DrdError(
            f"drd cannot make root act as another user on this processor ({machine})",
            hint="run drd as the user who owns the state or the target, for example: "
            "runuser -u drd -- drd …",
        )
    return _CALLS[name]


def _call(name: str, *words: Any) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(w) if isinstance(w, int) else w for w in words]
    if libc.syscall(ctypes.c_long(_calls()[name]), *given) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
