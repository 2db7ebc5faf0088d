"""Connections of this process to a server in a container.

The server is reached from inside the container, where its address is valid and its own rules for
local logins hold. drd itself connects to an abstract socket, which leaves no file. Only this
process may use it.
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
import threading
from contextlib import suppress

from drd.errors import DrdError
from drd.model.text import escaped, in_one_line
from drd.process.cancel import shielded
from drd.process.child import start
from drd.process.container import Container, shell_in

_SAID = 300

# One process for both directions, and no child that outlives its parent. The engine's `exec` starts
# a program beside the server. If that program leaves a child, the first process of the container
# becomes its parent, and that is often the server itself: PostgreSQL takes a child that a signal
# ended for a crashed process of its own, and restarts with all its sessions lost.
_PERL = r"""
use Socket qw(:DEFAULT getaddrinfo);
use IO::Handle;
$SIG{PIPE} = "IGNORE";
my ($h, $p) = @ARGV; my ($s, $ok);
if ($h =~ m{^/}) {
  $ok = socket($s, PF_UNIX, SOCK_STREAM, 0) && connect($s, pack_sockaddr_un($h));
} else {
  my ($e, @found) = getaddrinfo($h, $p, {socktype => SOCK_STREAM});
  $e and do { print STDERR "$h: $e\n"; exit 4 };
  for (@found) {
    socket($s, $_->{family}, SOCK_STREAM, 0) or next;
    $ok = connect($s, $_->{addr}) and last;
  }
}
$ok or do { print STDERR "$h: $!\n"; exit 4 };
my @from = (\*STDIN, $s); my @to = ($s, \*STDOUT); my @left = ("", "");
$_->blocking(0) for @from, \*STDOUT;
my $over;
until (defined $over && !length $left[$over]) {
  my ($r, $w) = ("", "");
  for (0, 1) {
    vec($r, fileno $from[$_], 1) = 1 if !defined $over && length $left[$_] < 65536;
    vec($w, fileno $to[$_], 1) = 1 if length $left[$_];
  }
  select($r, $w, undef, undef) < 0 and next;
  for (0, 1) {
    if (vec($w, fileno $to[$_], 1)) {
      my $n = syswrite($to[$_], $left[$_]);
      if (defined $n) { substr($left[$_], 0, $n) = "" } else { $!{EAGAIN} || $!{EINTR} or exit 0 }
    }
    if (!defined $over && vec($r, fileno $from[$_], 1)) {
      my $n = sysread($from[$_], $left[$_], 65536, length $left[$_]);
      if (defined $n ? !$n : !($!{EAGAIN} || $!{EINTR})) { $over = $_ }
    }
  }
}
exit 0;
"""
_BASH = r"""
exec 3<>"/dev/tcp/$0/$1" 4<&0 || exit 4
exec 2>/dev/null
cat <&3 3<&- 4<&- & c=$!
cat <&4 >&3 3<&- 4<&- & e=$!
wait -n "$c" "$e"; kill "$c" "$e"; wait; exit 0
"""
_SHELL = r"""
if command -v perl >/dev/null 2>&1; then exec perl -e "$3" "$1" "$2"; fi
case $1 in
  /*) echo "no perl in the container, so drd cannot use a Unix socket there: write 127.0.0.1" >&2
      exit 3;;
esac
if command -v bash >/dev/null 2>&1; then exec bash -c "$4" "$1" "$2"; fi
if command -v nc >/dev/null 2>&1; then exec nc "$1" "$2"; fi
echo "neither perl nor bash nor nc in the container" >&2; exit 3
"""


class Relay:
    """Accepts the connections of this process for one address in a container."""

    def __init__(self, container: Container, host: str, port: int, suffix: str) -> None:
        """`host` is a name, an address, or the path of a socket; `suffix` follows the name."""
        self._command = (host, str(port), _PERL, _BASH)
        self._container = container
        # psycopg takes a name for a socket's if its second character is a colon, as in C:.
        self.name = f":drd-{os.getpid()}-{secrets.token_hex(16)}"
        self.said = ""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(f"\0{self.name}{suffix}")
        self._listener.listen(16)
        threading.Thread(target=self._accept, name="drd-relay", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            size = struct.calcsize("3i")
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            if struct.unpack("3i", credentials)[0] != os.getpid():
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=[connection], name="drd-relayed", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        """Let a program in the container pass on everything. A cancel does not end it: the server
        is told first to stop its work, and then the connection is closed."""
        with connection, shielded():
            try:
                command = shell_in(self._container, _SHELL, *self._command, deadline_s=None)
                child = start(command, stdin=connection.fileno(), stdout=connection.fileno())
                done = child.pump()
                said = done.stderr if done.exit_code in (3, 4, 125, 126, 127) else ""
            except DrdError as error:
                said = error.message
            self.said = escaped(in_one_line(said)).strip()[:_SAID]
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


_relays: dict[tuple[Container, str, int, str], Relay] = {}
_making = threading.Lock()


def relay(container: Container, host: str, port: int = 0, suffix: str = "") -> Relay:
    """Return the relay of this process to an address in a container; `Relay.name` with `suffix` is
    the abstract socket to connect to."""
    with _making:
        key = (container, host, port, suffix)
        if key not in _relays or not _relays[key].name.startswith(f":drd-{os.getpid()}-"):
            _relays[key] = Relay(container, host, port, suffix)
        return _relays[key]
