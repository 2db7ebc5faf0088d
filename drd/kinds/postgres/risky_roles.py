"""Find roles that a recovery would make in a server, and that would have rights beyond their own
database.

A restore point lists the roles with their rights and passwords; whoever has the repository's key
can forge them. Existing roles are never altered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from drd.kinds.postgres.cluster import Cluster, as_target_error
from drd.kinds.postgres.roles import Globals
from drd.kinds.postgres.server_text import shown
from drd.model.text import some
from drd.ports import Finding

_SHOWN = 10

_RIGHTS = {
    "superuser": "SUPERUSER",
    "createrole": "CREATEROLE",
    "replication": "REPLICATION",
    "bypassrls": "BYPASSRLS",
}

_EXISTING = "SELECT rolname::text FROM pg_catalog.pg_roles"

POWERFUL = """
SELECT rolname::text FROM pg_catalog.pg_roles
 WHERE rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls OR rolname ~ '^pg_'"""
"""A server's own roles whose members have more rights than others."""


def found(cluster: Cluster, component: str, saved: Globals) -> Finding | None:
    """Compare the saved roles with those of a server. Raises TargetError."""
    with as_target_error("cannot read the server's roles"):
        existing = cluster.admin().execute(_EXISTING.encode()).fetchall()
        powerful = cluster.admin().execute(POWERFUL.encode()).fetchall()
    return finding(component, saved, [row[0] for row in existing], [row[0] for row in powerful])


def finding(
    component: str, saved: Globals, existing: Collection[str], powerful: Collection[str]
) -> Finding | None:
    """Return a finding about missing roles that would get such rights; None if there are none.
    `powerful` are the roles that give rights to their members: some of the `existing` roles, and
    roles of the server itself.
    """
    missing = {r["name"]: r for r in saved["roles"] if r["name"] not in existing}
    told = [
        f"{shown(name)} ({', '.join(rights)})"
        for name, role in missing.items()
        if (rights := list(_rights(role, saved, powerful)))
    ]
    if not told:
        return None
    detail = (
        "the recovery would create roles with rights beyond this database: "
        f"{some(told, _SHOWN)}; with --no-owner, drd does not create roles"
    )
    hint = "create these roles yourself before the recovery: drd does not change existing roles."
    return Finding("roles", "warning", component, detail, hint)


def _rights(role: Mapping[str, Any], saved: Globals, powerful: Collection[str]) -> Iterator[str]:
    yield from (word for key, word in _RIGHTS.items() if role[key])
    entries: Sequence[Mapping[str, Any]] = saved["memberships"]
    groups = sorted({e["role"] for e in entries if e["member"] == role["name"]} & set(powerful))
    yield from (f"member of {shown(group)}" for group in groups)
    parameters = sorted(
        {p["parameter"] for p in saved["parameters"] if p["grantee"] == role["name"]}
    )
    yield from (f"may set {shown(name)}" for name in parameters)
