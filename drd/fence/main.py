"""Set up a fence and run one command behind it."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import _socket as socket
import array
import codecs
import ctypes
import errno
import os
import resource
import struct
import sys

from drd.fence import kernel, landlock, rules
from drd.fence.parts import CALLS, FILES, NETWORK
from drd.fence.processes import as_status, close_streams, end_descendants
from drd.fence.record import Record
from drd.fence.spec import Spec
from drd.fence.warden import Warden
from drd.fence.watch import DRD_DIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

CANNOT = 125
"""The exit code when a fence could not be set up; the record has the reason."""

_LONGEST = 500
_SET_MODE_FILTER, _NEW_LISTENER, _WAIT_KILLABLE = 1, 8, 32


def main() -> NoReturn:
    spec = Spec.from_arguments(sys.argv[1:])
    record = Record(spec.record, spec.by)
    try:
        os._exit(as_status(_run(spec, record)))
    except Exception as error:  # noqa: BLE001 - whoever waits for us is told why
        try:
            record.write("failed", why=_failure_text(spec, error))
            end_descendants()
        finally:
            os._exit(CANNOT)


def _failure_text(spec: Spec, error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    who = f"user id {spec.user[0]}" if spec.user is not None else "its user"
    return (
        f"{type(error).__name__}: {error}. {who} may be unable to read Python below "
        f"{sys.base_prefix}: install drd with a Python that everyone can read"
    )


def _load_what_is_needed_later() -> None:
    """Import modules early: the command's user may not be able to read Python's library."""
    for name in ("ascii", "utf-8"):
        codecs.lookup(name)


def _run(spec: Spec, record: Record) -> int:
    for group in spec.groups:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")
    _load_what_is_needed_later()
    _become(spec)
    kernel.die_with_parent(DRD_DIED)
    kernel.adopt_orphans()
    ours, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        _command(spec, childs)
    childs.close()
    listener = _listener(ours, NETWORK in spec.parts)
    record.write("holds", parts=spec.parts, abi=kernel.landlock_abi())
    close_streams()
    return Warden(spec, child, listener, record).watch()


def _become(spec: Spec) -> None:
    """Become the user of the command, so that the warden uses its rights."""
    if spec.user is None:
        if os.geteuid() != 0:
            kernel.keep_capabilities(0)
        return
    uid, gid, groups = spec.user
    os.setgroups(list(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _listener(ours: socket.socket, wanted: bool) -> int | None:
    """Wait until the child begins, and receive the listener of its filter. Raises OSError with the
    child's error.
    """
    room = array.array("i", [0])
    data, passed, _, _ = ours.recvmsg(4 * _LONGEST, socket.CMSG_SPACE(room.itemsize))
    if data != b"ok":
        raise OSError(errno.EPERM, data.decode() or "the fence's process ended")
    if not wanted:
        return None
    room.frombytes(passed[0][2][: room.itemsize])
    return room[-1]


# --- the command's own process ------------------------------------------------------------------


def _command(spec: Spec, warden: socket.socket) -> NoReturn:
    try:
        parent = os.getppid()
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(CANNOT)
        os.close(spec.record)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        program = _find_program(spec.argv[0])
        _limit(spec)
        if spec.user is None and os.geteuid() == 0:
            kernel.keep_capabilities(spec.kept_capabilities)
        listener = _confine(spec)
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))]
        warden.sendmsg([b"ok"], passed if listener >= 0 else [])
        if listener >= 0:
            os.close(listener)
    except Exception as error:  # noqa: BLE001 - the warden tells it
        warden.send(_failure_text(spec, error)[:_LONGEST].encode())
        os._exit(CANNOT)
    _become_program(spec, program)


def _find_program(program: str) -> str:
    """Return the path of the program. Python's own search imports a module, which could not be read
    any more later.
    """
    if "/" in program:
        return program
    for directory in os.environ.get("PATH", os.defpath).split(":"):
        path = f"{directory or '.'}/{program}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):  # noqa: PTH112
            return path
    return f"/nonexistent/{program}"


def _become_program(spec: Spec, program: str) -> NoReturn:
    try:
        os.execv(program, spec.argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        text = f"cannot run {spec.argv[0]}: {error.strerror}\n"
        os.write(2, text.encode("utf-8", "backslashreplace"))
        os._exit(127 if error.errno == errno.ENOENT else 126)


def _limit(spec: Spec) -> None:
    _go_first()
    _lower(resource.RLIMIT_CORE, 0)
    if spec.memory_bytes is not None:
        _lower(resource.RLIMIT_DATA, spec.memory_bytes)
    if spec.processes is not None:
        _lower(resource.RLIMIT_NPROC, spec.processes)


def _go_first() -> None:
    """Make the kernel kill it first when memory runs out: before drd's runs, and before the host's
    services.
    """
    try:
        kernel.own_proc()
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        pass  # a kernel without it


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def _confine(spec: Spec) -> int:
    """Give up rights; returns the listener of the filter, or -1."""
    kernel.no_new_privileges()
    if FILES in spec.parts:
        own = [(path, landlock.CHANGE) for path in spec.writes]
        read = [(path, landlock.READ) for path in spec.reads]
        device = [(path, landlock.DEVICE) for path in spec.devices]
        landlock.restrict(
            kernel.landlock_abi(), [*own, *read, *device], warden=NETWORK in spec.parts
        )
    if CALLS not in spec.parts:
        return -1
    warden = NETWORK in spec.parts
    owner = (os.geteuid(), os.getegid())
    code = rules.filter_for(kernel.MACHINE, warden=warden, owner=owner)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("=HHIQ", len(code) // 8, 0, 0, ctypes.addressof(buffer))
    if not warden:
        kernel.syscall(kernel.SECCOMP, _SET_MODE_FILTER, 0, ctypes.c_char_p(program))
        return -1
    try:
        flags = _NEW_LISTENER | _WAIT_KILLABLE
        return kernel.syscall(kernel.SECCOMP, _SET_MODE_FILTER, flags, ctypes.c_char_p(program))
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # Before Linux 5.19 a signal may interrupt a call that the warden executes.
        flags = _NEW_LISTENER
        return kernel.syscall(kernel.SECCOMP, _SET_MODE_FILTER, flags, ctypes.c_char_p(program))
