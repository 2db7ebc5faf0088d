"""Decide where a fenced process may connect to, and on what it may listen: the warden does both for
it.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
import struct

from drd.fence import kernel
from drd.fence.addresses import (
    ANY_4,
    ANY_6,
    LOOPBACK_4,
    LOOPBACK_6,
    MAPPED,
    family_of,
    inet,
    is_any,
    is_loopback,
    listeners,
    path_of,
    sockaddr,
    unmapped,
    written,
)
from drd.fence.name_lookup import Names, address_bytes, question
from drd.fence.processes import descendants
from drd.fence.record import Record
from drd.fence.sockets import (
    address_of,
    call_with_address,
    connect_in_thread,
    number_of,
    option_of,
    port_of,
    sockets_of,
)
from drd.fence.syscall_request import (
    AT_FDCWD,
    SyscallRequest,
    below,
    is_socket,
    location,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_CLOEXEC, _NONBLOCK = 0o2000000, 0o4000
_MULTIPATH = 262
_UNIX_DATAGRAMS = (socket.SOCK_DGRAM, socket.SOCK_RAW)  # Unix accepts either
_MANY = 256
_V6ONLY = 26
_LOW = 1024
"""Ports below this number belong to the host: a fenced command may not listen on them, whatever
rights it has."""
DNS = 53

_OPTIONS = {
    0: (1, 2, 7, 8, 10, 11, 13, 21, 24, 51),
    41: (16, 23, 25, 26, 49, 51, 66, 67),
}
"""The usual options of IPv4 and IPv6, by number: they do not change the destination of packets."""

_ROUTINE = ("/run/nscd/", "/var/run/nscd/", "/run/systemd/userdb/")
"""Sockets where the C library searches names of users and hosts; it works without these sockets."""


class Network:
    """Refuses and records connections to the outside. Sockets may be made below `own`, and reached
    there and below `sockets`; `reach` has the declared addresses, ports and host names.
    """

    def __init__(
        self,
        record: Record,
        own: tuple[str, ...],
        sockets: tuple[str, ...],
        reach: Collection[tuple[str, int, str]],
    ) -> None:
        self._record = record
        self._own = own
        self._sockets = (*own, *sockets)
        self._reach = {(unmapped(address_bytes(address)), port) for address, port, _ in reach}
        known: dict[str, tuple[bytes, ...]] = {}
        for address, _, name in reach:
            known[name.lower()] = (*known.get(name.lower(), ()), address_bytes(address))
        self._names = Names(record, known)
        self._made: dict[int, socket.socket] = {}
        self._nowhere: set[int] = set()
        self._listening: set[int] = set()

    def calls(self) -> dict[str, Callable[[SyscallRequest], bool | None]]:
        return {
            "socket": self._socket,
            "connect": self._connect,
            "sendto": self._send,
            "bind": self._bind,
            "listen": self._listen,
            "setsockopt": self._set_option,
        }

    # sockets of other kinds

    def _socket(self, asked: SyscallRequest) -> bool:
        """Streams are made here, and kept until they are connected or listen. Datagrams get a
        socket that leads nowhere, so that their destination can be recorded.
        """
        family, kind, protocol = asked.integer(0), asked.integer(1), asked.integer(2)
        inet = family in (socket.AF_INET, socket.AF_INET6)
        of = kind & 0xF
        if inet and of == socket.SOCK_STREAM and protocol == _MULTIPATH:
            raise OSError(errno.EPROTONOSUPPORT, "programs fall back to TCP")
        if inet and of == socket.SOCK_STREAM and protocol in (0, socket.IPPROTO_TCP):
            return self._give(asked, socket.socket(family, of), kind)
        if family == socket.AF_UNIX and of in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
            return self._give(asked, socket.socket(family, of), kind)
        plain = of == socket.SOCK_DGRAM and protocol in (0, socket.IPPROTO_UDP)
        if not (inet and plain) and not (family == socket.AF_UNIX and of in _UNIX_DATAGRAMS):
            icmp = inet and of == socket.SOCK_DGRAM
            if icmp:
                self._record.tried("icmp")
            else:
                self._record.tried("a socket of kind", f"{family}/{of}/{protocol}")
            raise OSError(errno.EACCES, "not behind a fence")
        made = self._names.pair() if inet else None
        nowhere = made or socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._nowhere.add(number_of(nowhere))
        return self._give(asked, nowhere, kind)

    def _give(self, asked: SyscallRequest, made: socket.socket, kind: int) -> bool:
        made.setblocking(not kind & _NONBLOCK)
        if len(self._made) >= _MANY:
            self._forget_closed()
        self._made[number_of(made)] = made
        asked.give(made.fileno(), closes_on_exec=bool(kind & _CLOEXEC))
        return True

    def _ours(self, asked: SyscallRequest, index: int = 0) -> socket.socket:
        """Return a socket that we made and still hold. Raises OSError for any other: it is
        connected already.
        """
        made = self._made.get(asked.socket(asked.integer(index)))
        if made is None:
            raise OSError(errno.EISCONN, "connected, or listening")
        return made

    def _drop(self, made: socket.socket) -> None:
        """Give up our copy: it is the process's alone, and closed when the process closes it."""
        number = number_of(made)
        self._made.pop(number, None)
        made.close()
        self._names.forget(number)

    def _forget_closed(self) -> None:
        """Close sockets that no process has any more; if all are in use, the oldest."""
        used = sockets_of(descendants())
        for number, made in list(self._made.items()):
            if number not in used:
                self._drop(made)
                self._nowhere.discard(number)
        while len(self._made) >= _MANY:
            self._drop(next(iter(self._made.values())))

    def _set_option(self, asked: SyscallRequest) -> bool:
        """IP options that change the destination of packets are refused; level and option are
        numbers, which nobody can change afterwards. A socket that leads nowhere accepts all
        options.
        """
        level, option = asked.integer(1), asked.integer(2)
        if asked.socket(asked.integer(0)) in self._nowhere:
            return False
        if option not in _OPTIONS[level]:
            raise OSError(errno.EPERM, "not behind a fence")
        asked.go_on()
        return True

    def _send(self, asked: SyscallRequest) -> None:
        """A datagram with its own address."""
        data = asked.memory(asked.arguments[4], max(0, min(asked.integer(5), 128)))
        if asked.socket(asked.integer(0)) not in self._nowhere:
            raise OSError(errno.EISCONN, "a stream has its address already")
        if family_of(data) == socket.AF_UNIX:
            self._refuse_unix(data)
        address, port = inet(data)
        if port == DNS:
            query = asked.memory(asked.arguments[1], max(0, min(asked.integer(2), 512)))
            asked_name = question(query)
            self._record.tried("dns", asked_name[0] if asked_name else written(address, port))
        else:
            self._record.tried("udp", written(address, port))
        raise OSError(errno.ENETUNREACH, "outside")

    def _connect_datagram(self, number: int, data: bytes) -> None:
        """Connect a resolver's socket to us. A program that only chooses an address connects and
        sends nothing: for addresses of the host that is not recorded. Raises OSError.
        """
        address, port = inet(data)
        if port == DNS:
            self._names.lead_here(number)
            return
        if port and not is_loopback(address):
            self._record.tried("udp", written(address, port))
        raise OSError(errno.ENETUNREACH, "outside")

    # connecting

    def _connect(self, asked: SyscallRequest) -> bool:
        data = asked.memory(asked.arguments[1], max(0, min(asked.integer(2), 128)))
        made, family = self._ours(asked), family_of(data)
        if number_of(made) in self._nowhere:
            if family == socket.AF_UNIX:
                self._refuse_unix(data)
            self._connect_datagram(number_of(made), data)
            return False
        if family == socket.AF_UNIX:
            return self._connect_unix(asked, made, data)
        if family == socket.AF_UNSPEC:
            return False  # it is not connected
        if made.family not in (socket.AF_INET, socket.AF_INET6):
            raise OSError(errno.EAFNOSUPPORT, "another family")
        address, port = inet(data)
        if not self._may_reach(address, port):
            self._record.tried("tcp", written(address, port))
            raise OSError(errno.ENETUNREACH, "outside")
        return self._carry_out(asked, made, data)

    def _carry_out(
        self, asked: SyscallRequest, made: socket.socket, data: bytes, keep: int | None = None
    ) -> bool:
        """Connect, in its own thread if that may take a while; returns whether the thread answers
        later.
        """
        if os.get_blocking(made.fileno()):
            return connect_in_thread(asked, made.fileno(), data, keep, lambda: self._drop(made))
        try:
            call_with_address("connect", made.fileno(), data)
        except OSError as error:
            if error.errno == errno.EINPROGRESS:
                self._drop(made)
            raise
        self._drop(made)
        return False

    def _may_reach(self, address: bytes, port: int) -> bool:
        if (address, port) in self._reach:
            return True
        return is_loopback(address) and self._is_ours(address, port)

    def _is_ours(self, address: bytes, port: int) -> bool:
        """Return whether the listener there is behind a fence of this drill."""
        sockets = listeners(address, port)
        return bool(sockets) and sockets <= self._of_this_drill()

    def _of_this_drill(self) -> set[int]:
        """Return the sockets that listen behind its fences."""
        return {e["inode"] for e in self._record.read() if e["event"] == "listens"}

    def _connect_unix(self, asked: SyscallRequest, made: socket.socket, data: bytes) -> bool:
        path = path_of(data)
        if path is None or not path:
            self._refuse_unix(data)
            raise OSError(errno.ECONNREFUSED, "outside")
        with asked.place(AT_FDCWD, path) as file:
            where = location(file)
            if not is_socket(file) or not below(where, self._sockets):
                if not where.startswith(_ROUTINE):
                    self._record.tried("socket", where)
                raise OSError(errno.EACCES, "outside")
            name = f"/proc/self/fd/{file}".encode()
            there = struct.pack("=H", socket.AF_UNIX) + name + b"\0"
            return self._carry_out(asked, made, there, keep=file)

    def _refuse_unix(self, data: bytes) -> None:
        """Refuse the connection. Raises OSError."""
        path = path_of(data)
        if path is None:
            name = data[3:].rstrip(b"\0").decode("utf-8", "replace")
            self._record.tried("abstract socket", f"@{name}")
        elif os.path.lexists(path) and not os.fsdecode(path).startswith(_ROUTINE):
            self._record.tried("socket", os.fsdecode(path))
        raise OSError(errno.ECONNREFUSED, "outside")

    # listening

    def _bind(self, asked: SyscallRequest) -> None:
        data = asked.memory(asked.arguments[1], max(0, min(asked.integer(2), 128)))
        made, family = self._ours(asked), family_of(data)
        if number_of(made) in self._nowhere:
            raise OSError(errno.EADDRNOTAVAIL, "no datagrams behind a fence")
        if made.family == socket.AF_UNIX:
            if family != socket.AF_UNIX:
                raise OSError(errno.EINVAL, "another family")
            self._bind_unix(asked, made.fileno(), data)
            return
        there = self._near(made.fileno(), made.family, data)
        self._leave_to_the_host(*inet(there))
        try:
            call_with_address("bind", made.fileno(), there)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            self._forget_closed()  # a socket that was only to find a free port
            call_with_address("bind", made.fileno(), there)

    def _bind_unix(self, asked: SyscallRequest, ours: int, data: bytes) -> None:
        """Bind in the drill's own directories only, starting from the directory itself: nobody can
        replace it meanwhile.
        """
        path = path_of(data)
        if path is None:
            raise OSError(errno.EACCES, "no names that the whole host shares")
        if not path:
            return
        parent, name = os.path.split(path)
        if not name or name in (b".", b".."):
            raise OSError(errno.EADDRINUSE, "no name")
        with asked.place(AT_FDCWD, parent or b".") as at:
            if not below(location(at), self._own):
                raise OSError(errno.EACCES, "outside")
            mask = os.umask(asked.mask())
            try:
                os.fchdir(at)
                call_with_address("bind", ours, struct.pack("=H", socket.AF_UNIX) + name + b"\0")
            finally:
                os.chdir("/")
                os.umask(mask)

    def _near(self, ours: int, domain: int, data: bytes) -> bytes:
        """Return the address to bind: the given one if it is a loopback address, and the loopback
        address if it is a wildcard address. Raises OSError for any other address.
        """
        address, port = inet(data)
        if is_loopback(address):
            return data
        if not is_any(address):
            self._record.tried("listen", written(address, port))
            raise OSError(errno.EADDRNOTAVAIL, "only on loopback")
        if domain == socket.AF_INET:
            return sockaddr(LOOPBACK_4, port)
        if option_of(ours, _V6ONLY, level=socket.IPPROTO_IPV6):
            return sockaddr(LOOPBACK_6, port)
        return sockaddr(MAPPED + LOOPBACK_4, port)

    def _listen(self, asked: SyscallRequest) -> None:
        number = asked.socket(asked.integer(0))
        if number in self._listening:
            return  # only the length of the queue would change
        made = self._ours(asked)
        ours = made.fileno()
        in_net = made.family in (socket.AF_INET, socket.AF_INET6)
        if in_net and not port_of(ours):
            # It would listen on every address of the host.
            data = sockaddr(ANY_4 if made.family == socket.AF_INET else ANY_6, 0)
            call_with_address("bind", ours, self._near(ours, made.family, data))
        if in_net:
            self._leave_to_the_host(*address_of(ours))
        kernel.call("listen", ours, asked.integer(1))
        if in_net:
            self._note(ours)
            try:
                self._leave_to_the_host(
                    *address_of(ours)
                )  # others may have begun to listen meanwhile
            except OSError:
                made.shutdown(socket.SHUT_RDWR)
                self._drop(made)
                raise
        self._listening.add(number)
        self._drop(made)

    def _leave_to_the_host(self, address: bytes, port: int) -> None:
        """Refuse ports that the host uses: names of loopback have several addresses, so a listener
        on another address than production's would get connections of its clients. Raises OSError.
        """
        taken = listeners(None, port) - self._of_this_drill() if port else set()
        if port and (port < _LOW or taken):
            self._record.tried("listen", written(address, port))
            raise OSError(errno.EADDRINUSE if taken else errno.EACCES, "the host's")

    def _note(self, ours: int) -> None:
        """Record it, so that others behind the fences of this drill may connect to it."""
        self._record.write("listens", port=port_of(ours), inode=os.fstat(ours).st_ino)
