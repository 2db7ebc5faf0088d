"""Write the rights that a role needs for backups of a whole server, as one script for psql."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.grants import Server, connected, filled, for_psql, program, server_of
from drd.kinds.postgres.grants_sql import END, LOGIN_CHECK, LOOK, ROLE, SUPERUSER, TRY
from drd.kinds.postgres.physical.settings import ClusterSettings, ClusterTarget
from drd.kinds.postgres.quoting import ident
from drd.model.plan import Component
from drd.ports.grants import Grants, Logins

_HEAD = """\
-- Use a separate role for drd in each dsn, never the login of the application. With the right
-- REPLICATION, a role can copy all data of the server: protect its password.
"""

_REPLICATION = """\
DO {tag}
DECLARE
  reader CONSTANT text := {literal};
BEGIN
  IF NOT (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = reader) THEN
    PERFORM pg_temp.drd_try(
      format('ALTER ROLE %I REPLICATION', reader),
      format('role %I cannot copy the files of the server', reader),
      'Log in as a superuser, and run the script again.');
  END IF;
  -- To count the rows of all databases, and to see settings, sizes and the progress of backups.
  IF NOT pg_has_role(reader, 'pg_read_all_data', 'USAGE') THEN
    PERFORM pg_temp.drd_try(
      format('GRANT pg_read_all_data TO %I', reader),
      format('role %I cannot count rows, so drills compare fewer tables', reader),
      'Log in as a superuser, and run the script again.');
  END IF;
  -- A role with REPLICATION can copy all rows anyway: policies must not hide any from the counting.
  IF NOT (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = reader) THEN
    PERFORM pg_temp.drd_try(
      format('ALTER ROLE %I BYPASSRLS', reader),
      format('row security hides rows from role %I, so drills compare fewer tables', reader),
      'Log in as a superuser, and run the script again.');
  END IF;
  IF NOT pg_has_role(reader, 'pg_monitor', 'USAGE') THEN
    PERFORM pg_temp.drd_try(
      format('GRANT pg_monitor TO %I', reader),
      format('role %I cannot see the settings and sizes of the server', reader),
      'Log in as a superuser, and run the script again.');
  END IF;
  IF current_setting('max_wal_senders')::integer < 2 THEN
    RAISE WARNING USING
      MESSAGE = 'max_wal_senders of the server is less than 2, and a backup needs 2',
      HINT = 'Run as a superuser: ALTER SYSTEM SET max_wal_senders = 10; then restart the server.';
  END IF;
END {tag};
"""

_HBA = """\
-- pg_hba.conf must allow this role to connect for replication; a script cannot add the line:
--   host  replication  {role}  ADDRESS/32  scram-sha-256
--   local replication  {role}  peer                        (from this host, without a password)
-- Then: SELECT pg_reload_conf();
"""


_SINGLE = "recoveries of single databases and tables"

_OPTIONAL = """\
-- These rights are enough for backups, drills and recoveries of the whole server. A recovery of a
-- single database or table into the running server makes databases, and gives objects to their
-- owners. To allow it with this role, run this too:
-- ALTER ROLE {role} SUPERUSER;
-- The service logs in with this role as well. To give the service no more rights, write a target
-- with `data_dir` and with a `dsn` that names another user (as root: postgresql://root@/postgres),
-- print this script again, and recover with --target NAME --in-place.
"""


def grants(
    components: Sequence[Component], targets: Mapping[str, Sequence[object]], logins: Logins
) -> Grants:
    """Implements `GrantsOf`. A recovery of the whole server writes files, one of a single database
    or table logs in."""
    servers: dict[tuple[str, ...], Server] = {}
    for component in components:
        assert isinstance(component.settings, ClusterSettings)
        address = address_of(component.settings.dsn)
        server = server_of(servers, address)
        name = address.params.get("user") or logins.service
        server.role(name, f"backups of component {component.name}", address)
        server.databases[address.dbname or name, name] = component.name
    for component in components:
        assert isinstance(component.settings, ClusterSettings)
        here = [component.settings.dsn]
        for target in targets.get(component.name, ()):
            assert isinstance(target, ClusterTarget)
            here += [target.dsn] if target.dsn is not None else []
        for dsn in here:
            address = address_of(dsn)
            server = server_of(servers, address)
            name = address.params.get("user") or logins.person
            role = server.role(name, f"{_SINGLE} of component {component.name}", address)
            reads = name in _readers(server)
            role.recovers |= not reads
            role.optional |= reads
    many = list(servers.values())
    parts = [part for server in many for part in _of_server(server, alone=len(many) == 1)]
    text = "\n".join([_HEAD, r"\set drd_is_incomplete false", *parts, END])
    return for_psql(program(many[0].where), text, tuple(_lacks(many)))


def _readers(server: Server) -> set[str]:
    return {reader for _, reader in server.databases}


def _lacks(servers: Sequence[Server]) -> Iterator[str]:
    for name in (n for s in servers for n, role in s.roles.items() if role.optional):
        yield f"Recoveries of single databases and tables need more: role {ident(name)} must be a"
        yield "superuser. The statement for this stands below as a comment, with another way, which"
        yield "gives the service no more rights."


def _of_server(server: Server, *, alone: bool) -> Iterator[str]:
    where = server.where
    port = f", port {where['port']}" if "port" in where else ""
    there = connected({} if alone else where, "postgres")
    yield f"-- The server {where.get('host', 'on this host')}{port}\n{there}{LOOK}"
    yield TRY
    for name, role in server.roles.items():
        check = filled(LOGIN_CHECK, name) if role.password else ""
        yield f"-- Role {name}: {', '.join(role.uses)}\n{filled(ROLE, name)}{check}"
        if name in _readers(server):
            yield filled(_REPLICATION, name) + _HBA.format(role=name)
        if role.recovers:
            yield filled(SUPERUSER, name)
        elif role.optional:
            yield _OPTIONAL.format(role=ident(name))
    yield "\\endif\n"
