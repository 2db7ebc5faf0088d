"""Servers that restic alone reaches, each with a directory of this host behind it: an SSH server
and restic's REST server. rclone needs no server to reach a directory.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.child import LOOPBACK, Child, free_ports

_SSHD = """\
Port {port}
ListenAddress {host}
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PerSourcePenalties no
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class SshServer:
    """`key` and `known_hosts` log in as the user of the tests."""

    directory: Path
    port: int

    @property
    def user(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name

    @property
    def key(self) -> str:
        return (self.directory / "user").read_text().rstrip("\n")

    @property
    def another_key(self) -> str:
        """A key that the server does not accept."""
        return (self.directory / "stranger").read_text().rstrip("\n")

    def known_hosts(self, port: int | None = None, *, of: str = "host") -> str:
        """The server's key, at a proxy's `port`; or another key in its place."""
        kind, key, *_ = (self.directory / f"{of}.pub").read_text().split()
        return f"[{LOOPBACK}]:{port or self.port} {kind} {key}"

    def url(self, path: Path, port: int | None = None) -> str:
        return f"sftp://{self.user}@{LOOPBACK}:{port or self.port}/{path}"


@contextlib.contextmanager
def ssh_server(directory: Path) -> Iterator[SshServer]:
    """sshd, which gives SFTP to the user of the tests."""
    (port,) = free_ports(1)
    for name in ("host", "user", "stranger"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(words, check=True)
    (directory / "authorized").write_bytes((directory / "user.pub").read_bytes())
    config = directory / "sshd_config"
    config.write_text(_SSHD.format(port=port, host=LOOPBACK, directory=directory))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    child = Child(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], directory / "sshd.log")
    with _until_it_listens(child, port):
        yield SshServer(directory, port)


@dataclass(frozen=True)
class RestServer:
    """`root` has a directory for each repository, by the path of its URL."""

    root: Path
    port: int
    user: str = "drd"
    password: str = "at the/server:"

    def url(self, name: str, port: int | None = None) -> str:
        return f"rest:http://{LOOPBACK}:{port or self.port}/{name}/"


@contextlib.contextmanager
def rest_server(directory: Path, *, append_only: bool = False) -> Iterator[RestServer]:
    """restic's REST server, as Debian has it."""
    (port,) = free_ports(1)
    server = RestServer(directory / "served", port)
    server.root.mkdir()
    digest = base64.b64encode(hashlib.sha1(server.password.encode()).digest()).decode()
    (directory / "users").write_text(f"{server.user}:{{SHA}}{digest}\n")
    argv = ["restic-rest-server", "--path", str(server.root), "--listen", f"{LOOPBACK}:{port}"]
    argv += ["--htpasswd-file", str(directory / "users")]
    argv += ["--append-only"] if append_only else []
    with _until_it_listens(Child(argv, directory / "rest.log"), port):
        yield server


@contextlib.contextmanager
def _until_it_listens(child: Child, port: int) -> Iterator[None]:
    def listens() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
            return True
        return False

    child.wait_until(listens, 20)
    try:
        yield
    finally:
        child.end(signal.SIGTERM, 5)
