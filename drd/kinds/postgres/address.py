"""The address of a PostgreSQL database: the parameters of its DSN, as libpq completes them.

A password is never part of a conninfo string, an argv or a message.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import conninfo, pq

from drd import log, secrets
from drd.errors import SecretUnavailable, SourceError
from drd.kinds.postgres.dsn import SECRET_KEYWORDS
from drd.masking import MASK
from drd.model.plan import SecretRef
from drd.process import Container, relay

CONNECT_TIMEOUT_S = 5
CONNECT_INSIDE_S = 30
"""The engine of a container may need seconds to start a program there."""

VARIABLES = ("PG",)
"""The prefix of variables that PostgreSQL's programs read (PGHOSTADDR, PGSERVICE, PGOPTIONS,
PGCLIENTENCODING). drd removes a container's own variables of these names: they are for other
clients."""

SOCKETS_INSIDE = "/var/run/postgresql"
"""Where Debian's packages and the official images have the socket."""

NO_PASSFILE = f"{os.devnull}/none"
"""A path without a file: libpq warns if a path is not a plain file."""

NO_PASSWORD = ""
"""The password for a server that must not get one: with None, libpq would search for a password in
its environment."""

_RELAYED = ("dbname", "user", "options", "application_name", "connect_timeout")
_UNPINNED = ("passfile", "target_session_attrs", "load_balance_hosts")
_FROM_SERVICE = (
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "options",
    "target_session_attrs",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "krbsrvname",
    "gssencmode",
)


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of a connection: libpq's by keyword, with the password separate. `origin` is
    the reference that they came from, if the plan does not name them itself. With `inside`, the
    parameters are valid in this container. `as_owner`: root logs in with the rights of the user for
    whom it acts, because peer authentication lets in only that user.
    """

    params: Mapping[str, str]
    password: str | None = None
    origin: str = ""
    inside: Container | None = None
    as_owner: bool = False

    @property
    def dbname(self) -> str:
        return self.params.get("dbname") or self.params.get("user") or ""

    @property
    def socket(self) -> Path | None:
        """The only socket on this host by which libpq would connect; None for other addresses."""
        host, port = self.params.get("host", ""), self.params.get("port", "5432")
        if self.inside is not None or not host.startswith("/") or "," in host:
            return None
        return Path(host) / f".s.PGSQL.{port or 5432}"

    def to_database(self, name: str) -> Address:
        """Return the same server and user with another database."""
        return replace(self, params={**self.params, "dbname": name})

    def pinned(self, connection: psycopg.Connection[Any]) -> Address:
        """Return the address of the one server, user and database that this connection reached, out
        of several, with the values from a password file.
        """
        info = connection.info
        if self.inside is not None:
            return replace(self, params={**self.params, "dbname": info.dbname, "user": info.user})
        # Not all that libpq adds: older programs do not know its newer keywords.
        params = {k: v for k, v in info.get_parameters().items() if k in self.params}
        params |= {"dbname": info.dbname, "user": info.user}
        params |= {"host": info.host, "port": str(info.port)}
        if info.hostaddr and not info.host.startswith(("/", "@")):
            params["hostaddr"] = info.hostaddr
        else:
            params.pop("hostaddr", None)
        # pg_dump would write the dump in that encoding instead of the database's own.
        for unwanted in (*_UNPINNED, "client_encoding"):
            params.pop(unwanted, None)
        kept = {k: v for k, v in params.items() if v and k not in SECRET_KEYWORDS}
        password = self.password or info.password or None
        if password:
            log.mask(password)
        return replace(self, params=kept, password=password)

    @property
    def conninfo(self) -> str:
        """The connection string for an argv: everything but the password, with any names quoted."""
        return conninfo.make_conninfo("", **self.params)

    @property
    def dialled(self) -> str:
        """The connection string for drd's own connections: the server in a container is reached
        through a relay."""
        if self.inside is None:
            return self.conninfo
        host, port = self.params["host"], self.params["port"]
        socket = f"/.s.PGSQL.{port}"
        place = f"{host}{socket}" if host.startswith("/") else host
        params = {k: v for k, v in self.params.items() if k in _RELAYED}
        params |= {"host": f"@{relay(self.inside, place, int(port), socket).name}", "port": port}
        return conninfo.make_conninfo("", **params)

    @property
    def relay_said(self) -> str:
        """Why the last connection in the container failed, in the words of the container."""
        if self.inside is None:
            return ""
        host, port = self.params["host"], self.params["port"]
        socket = f"/.s.PGSQL.{port}"
        place = f"{host}{socket}" if host.startswith("/") else host
        return relay(self.inside, place, int(port), socket).said

    @property
    def uri(self) -> str:
        """The connection as a URI for people, without the password."""
        shown = {k: self.params[k] for k in ("host", "port") if k in self.params}
        user = quote(self.params.get("user", ""), safe="")
        login = f"{user}@" if user else ""
        query = f"?{urlencode(shown, safe='/', quote_via=quote)}" if shown else ""
        return f"postgresql://{login}/{quote(self.dbname, safe='')}{query}"

    @property
    def named(self) -> str:
        """Return the connection for errors: it contains no part of a secret reference."""
        where = f" in the {self.inside}" if self.inside is not None else ""
        return (f"the server of dsn ({self.origin})" if self.origin else self.uri) + where

    def environment(self) -> dict[str, str]:
        """Return the parameters as the PG* variables that libpq reads, without the password."""
        known = {
            option.keyword.decode(): option.envvar.decode()
            for option in pq.Conninfo.get_defaults()
            if option.envvar is not None
        }
        return {known[k]: v for k, v in self.params.items() if k in known}


def address_of(ref: SecretRef, inside: Container | None = None) -> Address:
    """Return the address that a DSN names, completed from drd's own PG* variables as libpq would do
    it. The programs that drd starts do not get those variables, so they are included here. Only the
    DSN itself says how a server is reached `inside` a container.

    Raises SecretUnavailable, or SourceError if it is no connection string; its text is never
    repeated.
    """
    text = secrets.resolve(ref)
    try:
        given = {k: str(v) for k, v in conninfo.conninfo_to_dict(text).items() if v is not None}
    except psycopg.ProgrammingError:
        raise SourceError(
            f"the dsn ({ref.describe()}) is not a connection string of libpq",
            hint="write postgresql://user@host:5432/database or host=… dbname=….",
        ) from None
    if "sslpassword" in given:
        raise SourceError(
            f"the dsn ({ref.describe()}) has an sslpassword, which drd does not support",
            hint="use a client key without a passphrase, of mode 0600.",
        )
    around = _from_environment(given) if inside is None else {}
    params = {**around, **given, "application_name": "drd"}
    if inside is not None:
        params = _in_container(ref, params)
    if "service" in params:
        params = {**_from_service(ref, text), **given, "application_name": "drd"}
        for keyword in ("service", "servicefile"):
            params.pop(keyword, None)
    params.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
    params.pop("client_encoding", None)
    password = params.pop("password", None)
    if password == MASK:
        raise SecretUnavailable(
            f"the password of the dsn ({ref.describe()}) is {MASK}, the text that drd "
            "writes instead of a secret",
            hint="write the real password into the secret.",
        )
    if password:
        log.mask(password)
        params.pop("passfile", None)
        if "\n" in password or password.endswith("\r"):
            raise SourceError(
                f"the password of the dsn ({ref.describe()}) contains a line end, which "
                "the password files of PostgreSQL's programs cannot contain",
                hint="give the user another password.",
            )
    origin = "" if ref.source == "text" else ref.describe()
    return Address(params, password or None, origin, inside)


def _in_container(ref: SecretRef, given: Mapping[str, str]) -> dict[str, str]:
    """Complete the parameters as they are valid in a container. Raises SourceError for those with
    which drd itself could not connect through the container."""
    host = given.get("host") or given.get("hostaddr") or SOCKETS_INSIDE
    port = given.get("port", "5432")
    wrong, remedy = "", ""
    if not given.get("user"):
        wrong = "names no user"
        remedy = "write postgresql://USER@/DATABASE: the container does not know drd's system user."
    elif "service" in given or "," in f"{host}{port}" or not port.isdigit() or host[0] == "@":
        wrong = "does not name one host and one port"
        remedy = "write the host and the port, or the directory of the socket in the container."
    elif given.get("sslmode", "") in ("require", "verify-ca", "verify-full"):
        wrong = f"has sslmode={given['sslmode']}"
        remedy = (
            "leave it out: drd's connection begins inside the container, and is without TLS. For "
            "a server outside the container, leave out `in`."
        )
    if wrong:
        raise SourceError(
            f"the dsn ({ref.describe()}) {wrong}, which does not work with `in`", hint=remedy
        )
    kept = {k: v for k, v in given.items() if k not in ("hostaddr", "passfile")}
    kept.setdefault("connect_timeout", str(CONNECT_INSIDE_S))
    return {**kept, "host": host, "port": port}


def _from_environment(given: Mapping[str, str]) -> dict[str, str]:
    parameters = {}
    for option in pq.Conninfo.get_defaults():
        keyword = option.keyword.decode()
        variable = option.envvar.decode() if option.envvar else ""
        value = os.environ.get(variable, "")
        if value and keyword not in given and keyword not in SECRET_KEYWORDS - {"password"}:
            parameters[keyword] = value
    return parameters


def _from_service(ref: SecretRef, text: str) -> dict[str, str]:
    """Return the parameters of a connection string that names a service, whose file takes
    precedence over the variables. Only libpq reads that file, when it begins a connection; this
    connection is never used.
    """
    begun = pq.PGconn.connect_start(text.encode())
    try:
        parameters = {o.keyword.decode(): o.val.decode() for o in begun.info if o.val}
        said = begun.error_message.decode("utf-8", "replace").strip()
    except psycopg.OperationalError as error:
        parameters, said = {}, str(error)
    finally:
        begun.finish()
    if "service" not in parameters:
        raise SourceError(
            f"the dsn ({ref.describe()}) names a service that libpq cannot use: {said}",
            hint="write the service into ~/.pg_service.conf or the file of PGSERVICEFILE.",
        )
    return {k: v for k, v in parameters.items() if k in _FROM_SERVICE}
