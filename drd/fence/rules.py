"""Make the seccomp filter for the system calls of a fenced process.

Dangerous calls are always refused. Calls that need a decision (where to connect, what to listen on,
whose mode to change) go to the warden, which executes or refuses them.
"""

from __future__ import annotations

import _socket as socket
import errno
import struct

from drd.fence.syscall_numbers import AUDIT_ARCH, LAST, NUMBERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ALLOW, NOTIFY, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
_ERRNO = 0x00050000

_X32 = 0x40000000
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_EQUAL, _ABOVE, _AT_LEAST, _SET = 0x15, 0x25, 0x35, 0x45

_NAMESPACES = 0x7E020000
_NEW_TIME = 0x80
_FAST_OPEN = 0x20000000
_SPECIAL_BITS = 0o6000
_CREATES = 0o100 | 0x400000  # O_CREAT, O_TMPFILE
_DEVICES = 0o020000  # set in the types of both kinds of devices, and of no type that may be made

WARDEN = (
    "connect", "bind", "listen", "shmget", "shmat", "shmctl", "chmod", "fchmod", "fchmodat",
    "fchmodat2", "utime", "utimes", "futimesat", "utimensat", "inotify_add_watch",
)  # fmt: skip
"""Always decided by the warden; some calls of `socket`, `sendto` and `setsockopt` are as well."""

_NOT_HERE = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3", "openat2", "semget", "semop",
    "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink",
    "userfaultfd", "fanotify_init", "fanotify_mark",
)  # fmt: skip
"""Answered as by a kernel that does not have them: programs then use other calls, which are
mediated.
"""

_REFUSED = (
    "ptrace", "syslog", "uselib", "ustat", "sysfs", "vhangup",
    "modify_ldt", "pivot_root", "_sysctl", "adjtimex", "chroot", "acct", "settimeofday", "mount",
    "umount2", "swapon", "swapoff", "reboot", "sethostname", "setdomainname", "iopl", "ioperm",
    "create_module", "init_module", "delete_module", "get_kernel_syms", "query_module", "quotactl",
    "quotactl_fd", "nfsservctl", "lookup_dcookie", "clock_settime", "kexec_load", "add_key",
    "request_key", "keyctl", "migrate_pages", "move_pages", "perf_event_open", "open_by_handle_at",
    "clock_adjtime", "setns", "process_vm_readv", "process_vm_writev", "process_madvise",
    "process_mrelease", "kcmp", "finit_module", "kexec_file_load", "bpf", "open_tree", "move_mount",
    "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "open_tree_attr", "pidfd_getfd",
)  # fmt: skip

_NO_ATTRIBUTES = (
    "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr",
    "setxattrat", "removexattrat",
)  # fmt: skip

_DEVICE_CONTROL = (
    0x5412, 0x541C,  # text injected into a terminal
    0x40086602, 0x40046602, 0x401C5820, 0x40806685,  # flags of files that were opened for reading
)  # fmt: skip

_FILE_CONTROL = (1024, 1026, 1040)
"""Leases and delegations, which make others wait that open a file, and F_NOTIFY: all work with a
descriptor opened for reading.
"""

_TCP_HIDES_CONNECT = (30, 31)

_AS_IT_IS = 0xFFFFFFFF
"""The number with which a program leaves the owner or the group of a file as it is."""


class Program:
    """Classic BPF instructions, with jumps to labels, on the number of a call. A body that `of`
    adds may load something else, and must end with a verdict on every path.
    """

    def __init__(self, machine: str) -> None:
        self.numbers = NUMBERS[machine]
        self._lines: list[tuple[int, int, str, str]] = []
        self._labels: dict[str, int] = {}
        self._fresh = 0

    def of(self, name: str, body: Callable[[], None]) -> None:
        number = self.numbers.get(name)
        if number is None:
            return
        after = self.label()
        self.jump(_EQUAL, number, "", after)
        body()
        self.mark(after)

    def simply(self, names: tuple[str, ...], verdict: int) -> None:
        for name in names:
            number = self.numbers.get(name)
            if number is not None:
                after = self.label()
                self.jump(_EQUAL, number, "", after)
                self.give(verdict)
                self.mark(after)

    def argument(self, index: int, *, high: bool = False) -> None:
        self.add(_LOAD, 16 + 8 * index + 4 * high)

    def masked(self, mask: int) -> None:
        self.add(_AND, mask)

    def give(self, verdict: int) -> None:
        self.add(_RETURN, verdict)

    def when(self, value: int, verdict: int, test: int = _EQUAL) -> None:
        """Return this verdict if the loaded value is `value`, or passes another test with it."""
        after = self.label()
        self.jump(test, value, "", after)
        self.give(verdict)
        self.mark(after)

    def label(self) -> str:
        self._fresh += 1
        return f"l{self._fresh}"

    def mark(self, label: str) -> None:
        self._labels[label] = len(self._lines)

    def jump(self, test: int, value: int, yes: str, no: str) -> None:
        """Add a jump to the label `yes` if the test passes, else to `no`. Both labels are of later
        lines; an empty label means the next line."""
        self._lines.append((test, value, yes, no))

    def add(self, code: int, value: int) -> None:
        self._lines.append((code, value, "", ""))

    def assembled(self) -> bytes:
        def distance(label: str, line: int) -> int:
            return self._labels[label] - line - 1 if label else 0

        return b"".join(
            struct.pack("=HBBI", code, distance(yes, n), distance(no, n), value)
            for n, (code, value, yes, no) in enumerate(self._lines)
        )


def refused(number: int) -> int:
    return _ERRNO | number


def filter_for(machine: str, *, warden: bool, owner: tuple[int, int]) -> bytes:
    """Return the filter of this architecture, for programs of this `owner` (user and group).
    Without a `warden`, its calls are left to the kernel. Raises KeyError for an architecture
    without rules.
    """
    program = Program(machine)
    add, give = program.add, program.give
    add(_LOAD, 4)
    native = program.label()
    program.jump(_EQUAL, AUDIT_ARCH[machine], native, "")
    give(KILL)
    program.mark(native)
    add(_LOAD, 0)
    if machine == "x86_64":
        program.when(_X32, KILL, _AT_LEAST)
    program.when(LAST, refused(errno.ENOSYS), _ABOVE)
    program.simply(_NOT_HERE, refused(errno.ENOSYS))
    program.simply(_REFUSED, refused(errno.EPERM))
    program.simply(_NO_ATTRIBUTES, refused(errno.EOPNOTSUPP))
    if warden:
        program.simply(WARDEN, NOTIFY)
        _network(program)
    for name, body in {**_bodies(program), **_owners(program, owner)}.items():
        program.of(name, body)
    give(ALLOW)
    return program.assembled()


def _network(program: Program) -> None:
    fast = refused(errno.EOPNOTSUPP)

    def sendto() -> None:
        program.argument(3)
        program.when(_FAST_OPEN, fast, _SET)
        for half in (False, True):
            program.argument(4, high=half)
            addressed = program.label()
            program.jump(_EQUAL, 0, addressed, "")
            program.give(NOTIFY)
            program.mark(addressed)
        program.give(ALLOW)

    def flagged(index: int) -> Callable[[], None]:
        def body() -> None:
            program.argument(index)
            program.when(_FAST_OPEN, fast, _SET)
            program.give(ALLOW)

        return body

    program.of("socket", lambda: _socket(program))
    program.of("socketpair", lambda: _socketpair(program))
    program.of("sendto", sendto)
    program.of("sendmsg", flagged(2))
    program.of("sendmmsg", flagged(3))
    program.of("setsockopt", lambda: _options(program))


def _socket(program: Program) -> None:
    """The warden makes them, so that it can connect them later."""
    program.argument(0)
    program.when(socket.AF_NETLINK, refused(errno.EAFNOSUPPORT))
    program.give(NOTIFY)


def _socketpair(program: Program) -> None:
    """Refuse datagrams: one end could be sent to any address."""
    program.argument(0)
    unix = program.label()
    program.jump(_EQUAL, socket.AF_UNIX, unix, "")
    program.give(refused(errno.EAFNOSUPPORT))
    program.mark(unix)
    _of_type(program, (socket.SOCK_STREAM, socket.SOCK_SEQPACKET), refused(errno.EACCES))


def _of_type(program: Program, types: tuple[int, ...], otherwise: int) -> None:
    program.argument(1)
    program.masked(0xF)
    for one in types:
        program.when(one, ALLOW)
    program.give(otherwise)


def _options(program: Program) -> None:
    """IP options are the warden's; TCP options that could connect without it do not exist."""
    program.argument(1)
    program.when(0, NOTIFY)
    program.when(41, NOTIFY)
    tcp = program.label()
    program.jump(_EQUAL, 6, tcp, "")
    program.give(ALLOW)
    program.mark(tcp)
    program.argument(2)
    for option in _TCP_HIDES_CONNECT:
        program.when(option, refused(errno.EPERM))
    program.give(ALLOW)


def _bodies(program: Program) -> dict[str, Callable[[], None]]:
    """Calls that depend on their arguments, which are numbers and not in memory."""

    def itself(*indexes: int) -> None:
        _only_itself(program, *indexes)

    return {
        "clone": lambda: _no_namespace(program, _NAMESPACES),
        "unshare": lambda: _no_namespace(program, _NAMESPACES | _NEW_TIME),
        "shmget": lambda: _own_segment(program),
        "ioctl": lambda: _none_of(program, _DEVICE_CONTROL),
        "fcntl": lambda: _none_of(program, _FILE_CONTROL),
        "prlimit64": lambda: itself(0),
        "sched_setparam": lambda: itself(0),
        "sched_setscheduler": lambda: itself(0),
        "sched_setattr": lambda: itself(0),
        "sched_setaffinity": lambda: itself(0),
        "setpriority": lambda: itself(0, 1),
        "ioprio_set": lambda: _own_priority(program),
        "open": lambda: _creates(program, 1, 2),
        "openat": lambda: _creates(program, 2, 3),
        "creat": lambda: _creates(program, None, 1),
        "mknod": lambda: _creates(program, None, 1, _DEVICES),
        "mknodat": lambda: _creates(program, None, 2, _DEVICES),
    }


_NO, _DONE = refused(errno.EPERM), refused(0)


def _owners(program: Program, owner: tuple[int, int]) -> dict[str, Callable[[], None]]:
    """If a program sets the owner of a file to its own user and group, report success and do
    nothing: programs that copy their own files do so (MariaDB, for the second trigger of a table).
    Refuse every other owner."""

    def body(first: int) -> Callable[[], None]:
        def only_itself() -> None:
            for index, own in enumerate(owner, first):
                program.argument(index)
                itself = program.label()
                program.jump(_EQUAL, own, itself, "")
                program.jump(_EQUAL, _AS_IT_IS, itself, "")
                program.give(_NO)
                program.mark(itself)
            program.give(_DONE)

        return only_itself

    return {"chown": body(1), "fchown": body(1), "lchown": body(1), "fchownat": body(2)}


def _no_namespace(program: Program, flags: int) -> None:
    program.argument(0)
    program.when(flags, _NO, _SET)
    program.give(ALLOW)


def _own_segment(program: Program) -> None:
    """Allow, without a warden, a segment without a name, or a new one; never an existing one."""
    program.argument(0)
    program.when(0, ALLOW)
    program.argument(2)
    program.masked(0o3000)
    program.when(0o3000, ALLOW)
    program.give(refused(errno.EACCES))


def _none_of(program: Program, requests: tuple[int, ...]) -> None:
    program.argument(1)
    for request in requests:
        program.when(request, _NO)
    program.give(ALLOW)


def _only_itself(program: Program, *indexes: int) -> None:
    """Require these arguments to be 0, which means the caller."""
    for index in indexes:
        program.argument(index)
        itself = program.label()
        program.jump(_EQUAL, 0, itself, "")
        program.give(_NO)
        program.mark(itself)
    program.give(ALLOW)


def _own_priority(program: Program) -> None:
    program.argument(0)
    process = program.label()
    program.jump(_EQUAL, 1, process, "")
    program.give(_NO)
    program.mark(process)
    _only_itself(program, 1)


def _creates(program: Program, flags: int | None, mode: int, kinds: int = 0) -> None:
    """No set-user-ID, no set-group-ID, no device."""
    if flags is not None:
        program.argument(flags)
        new = program.label()
        program.jump(_SET, _CREATES, new, "")
        program.give(ALLOW)
        program.mark(new)
    program.argument(mode)
    program.when(_SPECIAL_BITS | kinds, _NO, _SET)
    program.give(ALLOW)
