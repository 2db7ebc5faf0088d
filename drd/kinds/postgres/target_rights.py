"""Check whether the user of a target may restore a database completely."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.quoting import ident
from drd.model.text import escaped
from drd.ports import Finding

_SELF = """
SELECT rolname::text, rolsuper, rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user"""

_OWNED = """
SELECT o.rolname::text, pg_catalog.pg_has_role(d.datdba, 'USAGE')
  FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles o ON o.oid = d.datdba
 WHERE d.datname = %s"""

TARGET_RIGHTS = "target-rights"

_ROLES = """
SELECT w.name, r.oid IS NOT NULL,
       CASE WHEN r.oid IS NOT NULL THEN pg_catalog.pg_has_role(r.oid, 'MEMBER') END
  FROM unnest(%s::text[]) w(name) LEFT JOIN pg_catalog.pg_roles r ON r.rolname = w.name"""


# Before PostgreSQL 13, no extension was trusted.
_ONLY_SUPERUSER = """
SELECT a.name::text FROM pg_catalog.pg_available_extensions a
  JOIN pg_catalog.pg_available_extension_versions v
    ON v.name = a.name AND v.version = a.default_version
 WHERE a.name = ANY(%s) AND v.superuser
   AND NOT coalesce((pg_catalog.to_jsonb(v)->>'trusted')::bool, false) ORDER BY 1"""


def only_superuser_creates(cluster: Cluster, wanted: Iterable[str]) -> list[str]:
    """Return the extensions that only a superuser may create, if the user is none."""
    row = cluster.one(_SELF)
    if row is None or row[1]:
        return []
    return [name for (name,) in cluster.admin().execute(_ONLY_SUPERUSER, [sorted(wanted)])]


def extension_findings(
    cluster: Cluster, name: str, wanted: Iterable[str], consequence: str, *, login: bool
) -> list[Finding]:
    """Return a warning with the `consequence` if the user may not create all wanted extensions. On
    a managed server, an administrator who is no superuser may create some of them all the same."""
    refused = only_superuser_creates(cluster, wanted)
    if not refused:
        return []
    user = str(cluster.admin().info.user)
    text = (
        f"only a superuser may create {some_of('extension', refused)}, and user {user} is none: "
        f"{consequence}"
    )
    remedy = (
        f"ALTER ROLE {ident(user)} SUPERUSER; or use a superuser in the target's dsn. If the "
        "provider of the server lets this user create them, nothing is to be done."
    )
    return [Finding(TARGET_RIGHTS, "warning", name, text, remedy, login=login)]


def some_of(what: str, names: Sequence[str]) -> str:
    return f"{what if len(names) == 1 else f'{what}s'} {', '.join(map(escaped, names))}"


def rights_findings(
    cluster: Cluster, name: str, facts: Mapping[str, Any], *, no_owner: bool, login: bool = False
) -> list[Finding]:
    """Return findings about the rights of the user; with `login`, about the rights of the login of
    the user who runs drd."""
    rights = _findings(cluster, name, facts, no_owner=no_owner)
    return [replace(finding, login=login) for finding in rights]


def _findings(
    cluster: Cluster, name: str, facts: Mapping[str, Any], *, no_owner: bool
) -> list[Finding]:
    """Return findings about the user's rights. A superuser may do everything. Other users need the
    right to create databases, and, to restore owners, roles that exist already and that they are
    members of.
    """
    row = cluster.one(_SELF)
    assert row is not None
    user, superuser, createdb = row
    if superuser:
        return [Finding(TARGET_RIGHTS, "ok", name, f"user {user} is a superuser")]
    lacking = _may_not(cluster, name, user, createdb=createdb)
    if no_owner:
        return lacking or [Finding(TARGET_RIGHTS, "ok", name, f"user {user} may create databases")]
    roles = cluster.admin().execute(_ROLES, [list(facts["roles"])]).fetchall()
    missing = [role for role, exists, _ in roles if not exists]
    foreign = [role for role, exists, member in roles if exists and not member]
    if not missing and not foreign:
        return lacking or [
            Finding(
                TARGET_RIGHTS,
                "warning",
                name,
                f"user {user} is not a superuser: the restore ends at the first object that only "
                "a superuser may create",
                "use a superuser in the target's dsn.",
            )
        ]
    grants = " ".join(f"GRANT {ident(role)} TO {ident(user)};" for role in foreign)
    make = f"create the roles {', '.join(missing)} first; " if missing else ""
    return [
        *lacking,
        Finding(
            TARGET_RIGHTS,
            "error",
            name,
            f"user {user} is not a superuser and cannot give objects to their owners. Roles that "
            f"are missing, or that the user is not a member of: {', '.join([*missing, *foreign])}",
            f"use a superuser in the target's dsn, or --no-owner; or {make}{grants}".rstrip(),
        ),
    ]


def _may_not(cluster: Cluster, name: str, user: str, *, createdb: bool) -> list[Finding]:
    """Say what prevents this user from making the database and renaming it; None for nothing."""
    findings = []
    if not createdb:
        detail, hint = (
            f"user {user} may not create databases",
            f"ALTER ROLE {ident(user)} CREATEDB;",
        )
        findings.append(Finding(TARGET_RIGHTS, "error", name, detail, hint))
    owner = _foreign_owner(cluster)
    if owner is not None:
        database = ident(cluster.address.dbname)
        findings.append(
            Finding(
                TARGET_RIGHTS,
                "error",
                name,
                f"user {user} may not rename database {cluster.address.dbname}, which belongs to "
                f"{owner}",
                f"GRANT {ident(owner)} TO {ident(user)}; or ALTER DATABASE {database} "
                f"OWNER TO {ident(user)}; or use a superuser in the target's dsn.",
            )
        )
    return findings


def _foreign_owner(cluster: Cluster) -> str | None:
    """Return the owner of the database to be replaced, if drd may not rename it therefore."""
    row = cluster.one(_OWNED, [cluster.address.dbname])
    return None if row is None or row[1] else str(row[0])
