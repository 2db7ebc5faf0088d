"""The address of a MariaDB or MySQL database with its login, and the option files that give the
login to programs.

The driver gets the password as a parameter, the programs get it in an option file of mode 0600. It
is never in an argv, an environment variable or a message.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drd import log, secrets
from drd.errors import SecretUnavailable, SourceError
from drd.kinds.mariadb import dsn
from drd.kinds.mariadb.clear_password import NO_PLUGINS, proven
from drd.kinds.mariadb.flavour import MARIADB, MYSQL, Flavour
from drd.masking import MASK
from drd.model.plan import SecretRef
from drd.process import Container, Relay, relay

OPTIONS = "drd.cnf"
"""The name of an option file in a workplace."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a database, with the login. `origin` is the secret reference that contains
    the address; empty if the address is text of a plan. With `inside`, the address is valid in this
    container. `is_of_whoever_runs`: the address names no user, so drd logs in with the name of the
    system user that it runs as."""

    parts: dsn.Parts
    origin: str = ""
    inside: Container | None = None
    is_of_whoever_runs: bool = False

    @property
    def database(self) -> str:
        return self.parts.database

    @property
    def uri(self) -> str:
        return self.parts.uri()

    @property
    def named(self) -> str:
        """The server's name for errors. It contains no part of a secret reference."""
        where = f" in the {self.inside}" if self.inside is not None else ""
        return (f"the server of dsn ({self.origin})" if self.origin else self.parts.uri("")) + where

    def to_database(self, name: str) -> Address:
        return replace(self, parts=self.parts._replace(database=name))

    def as_user(self, user: str, password: str) -> Address:
        return replace(self, parts=self.parts._replace(user=user, password=password))

    @property
    def relayed(self) -> Relay | None:
        """Return the program that passes on the connection to a server in a container."""
        if self.inside is None:
            return None
        return relay(self.inside, self.parts.host or self.parts.socket, self.parts.port)

    def environment(self) -> dict[str, str]:
        """The variables with which a command finds the database, without the password."""
        parts = self.parts
        where = (
            {"MYSQL_HOST": parts.host, "MYSQL_TCP_PORT": str(parts.port)}
            if parts.host
            else {"MYSQL_UNIX_PORT": parts.socket}
        )
        return {**where, "MYSQL_DATABASE": parts.database, "MYSQL_USER": parts.user}

    def options(self, flavour: Flavour | None = MARIADB, *, charset: bool = True) -> str:
        """Return the content of an option file for the programs of `flavour`; None means: for the
        programs of both products. `charset`: also set a character set, for programs that convert
        text."""
        parts = self.parts
        lines = ["[client]", f"user={_option(parts.user)}", f"password={_option(parts.password)}"]
        if parts.host:
            lines += [f"host={_option(parts.host)}", f"port={parts.port}", "protocol=tcp"]
        else:
            lines += [f"socket={_option(parts.socket)}", "protocol=socket"]
        if charset:
            lines.append("default-character-set=utf8mb4")
        if parts.ssl_ca:
            lines.append(f"ssl-ca={_option(parts.ssl_ca)}")
        if flavour is None:  # MySQL's programs do not read this group
            lines.append("[client-mariadb]")
        if flavour is MYSQL:
            lines.append(f"ssl-mode={'VERIFY_IDENTITY' if parts.ssl_ca else 'DISABLED'}")
            return "\n".join([*lines, ""])
        if parts.ssl:
            lines.append("ssl")
        if parts.ssl_ca:
            lines.append("ssl-verify-server-cert")
        elif not parts.ssl:
            lines.append("skip-ssl-verify-server-cert")
        if not proven(parts):
            lines.append(NO_PLUGINS)
        return "\n".join([*lines, ""])


def _option(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def address_of(ref: SecretRef, inside: Container | None = None) -> Address:
    """Return the address that a reference or text names. Raises SecretUnavailable or SourceError,
    whose text never contains the address."""
    text = secrets.resolve(ref)
    try:
        parts = dsn.parse(text)
    except ValueError as error:
        raise SourceError(f"the dsn ({ref.describe()}) {error}", hint=f"{dsn.FORM}.") from None
    if parts.password == MASK:
        raise SecretUnavailable(
            f"the password of the dsn ({ref.describe()}) is {MASK}, the text that drd writes in "
            "place of a secret",
            hint="write the real password into the secret.",
        )
    if parts.password:
        log.mask(parts.password)
    if inside is not None and (not parts.user or parts.ssl):
        raise SourceError(
            f"the dsn ({ref.describe()}) {'asks for TLS' if parts.user else 'names no user'}, "
            "which does not work with `in`",
            hint="leave out ssl and ssl_ca: drd's connection begins inside the container, and is "
            "without TLS. For a server outside the container, leave out `in`."
            if parts.user
            else "write mariadb://USER@/DATABASE: the container does not know drd's system user.",
        )
    own = not parts.user
    if own:
        parts = parts._replace(user=pwd.getpwuid(os.geteuid()).pw_name)
    return Address(parts, "" if ref.source == "text" else ref.describe(), inside, own)


def write_options(
    address: Address,
    file: Path,
    more: Sequence[str] = (),
    *,
    flavour: Flavour = MARIADB,
    user: str | None = None,
    charset: bool = True,
) -> Path:
    """Write an option file for the programs of a product, of mode 0600, that belongs to `user`
    (default: the user that drd runs as). The caller removes the file."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write("\n".join([address.options(flavour, charset=charset), *more, ""]))
        if user is not None:
            account = pwd.getpwnam(user)
            os.fchown(out.fileno(), account.pw_uid, account.pw_gid)
    return file
