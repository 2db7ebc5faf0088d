"""The properties of a database itself: owner, grants, settings, encoding, locale and provider,
limit, comment, extensions. pg_restore into another name loses them silently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from drd.kinds.postgres import extensions
from drd.kinds.postgres.connection import Connection
from drd.kinds.postgres.manifest import EXTENSION_SCHEMAS
from drd.kinds.postgres.quoting import grantee, ident, literal, set_clause
from drd.kinds.postgres.server_text import as_stored

Properties = Mapping[str, Any]

LOCALE = ("encoding", "provider", "collate", "ctype", "locale", "icu_rules")
"""The properties that CREATE DATABASE needs and that cannot be changed later."""

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
_MARK = re.compile(r"\n?\[drd:[^\]\n]*\]$")

_PROPERTIES = """
SELECT d.datname AS name, pg_catalog.pg_get_userbyid(d.datdba) AS owner,
       pg_catalog.pg_encoding_to_char(d.encoding) AS encoding,
       d.datcollate::text AS collate, d.datctype::text AS ctype,
       {provider} AS provider, {locale} AS locale, {rules} AS icu_rules,
       d.datconnlimit AS connection_limit, d.datistemplate AS is_template, t.spcname AS tablespace,
       coalesce(pg_catalog.shobj_description(d.oid, 'pg_database'), '') AS comment,
       ARRAY(SELECT pg_catalog.jsonb_build_array(
                        CASE a.grantee
                          WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
                        a.privilege_type, a.is_grantable, pg_catalog.pg_get_userbyid(a.grantor))
               FROM pg_catalog.aclexplode(
                        coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a) AS acl,
       ARRAY(SELECT pg_catalog.jsonb_build_array(
                        CASE s.setrole
                          WHEN 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole) END, c)
               FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c
              WHERE s.setdatabase = d.oid) AS settings,
       EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = 'public') AS has_public,
       (SELECT coalesce(pg_catalog.jsonb_object_agg(e.extname, e.extversion), '{{}}')
          FROM pg_catalog.pg_extension e) AS extensions,
       (SELECT coalesce(pg_catalog.jsonb_object_agg(e.extname, pg_catalog.jsonb_build_array(
                        n.nspname, pg_catalog.pg_get_userbyid(n.nspowner))), '{{}}')
          FROM pg_catalog.pg_extension e
          JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace) AS {schemas}
  FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datname = pg_catalog.current_database()"""


def read(connection: Connection) -> dict[str, Any]:
    """Read the properties of the connection's database, as JSON. `acl` has [grantee, privilege,
    grantable, grantor] with explicit defaults, in the server's order, which a dump shows;
    `settings` has [role, name=value]. PUBLIC and "every role" are the empty name.
    """
    version = connection.info.server_version
    locale = "d.datlocale" if version >= 170000 else "d.daticulocale"
    query = _PROPERTIES.format(
        provider="d.datlocprovider" if version >= 150000 else "'c'",
        locale=locale if version >= 150000 else "NULL",
        rules="d.daticurules" if version >= 160000 else "NULL",
        schemas=EXTENSION_SCHEMAS,
    )
    with as_stored(connection):
        cursor = connection.execute(query.encode())
        row = cursor.fetchone()
    assert row is not None
    assert cursor.description is not None
    properties = dict(zip((column.name for column in cursor.description), row, strict=True))
    properties["provider"] = _PROVIDERS.get(_text(properties["provider"]), "libc")
    properties["settings"] = sorted(properties["settings"], key=lambda entry: entry[0])
    properties["comment"] = without_mark(properties["comment"])
    return properties


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def marked(comment: str, run: str) -> str:
    """Return the comment with a run's mark at its end: this run published this database."""
    return f"{comment}\n[drd:{run}]" if comment else f"[drd:{run}]"


def without_mark(comment: str) -> str:
    return _MARK.sub("", comment)


def create_sql(name: str, saved: Properties, *, version: int, tablespace: str | None) -> str:
    """Return CREATE DATABASE with the saved properties, for a server of this version number; the
    owner is set later.
    """
    words = [
        f"CREATE DATABASE {ident(name)} TEMPLATE template0 ENCODING {literal(saved['encoding'])}",
        f"LC_COLLATE {literal(saved['collate'])} LC_CTYPE {literal(saved['ctype'])}",
    ]
    if version >= 150000:
        words.append(f"LOCALE_PROVIDER {saved['provider']}")
    if saved["provider"] == "icu":
        words.append(f"ICU_LOCALE {literal(saved['locale'])}")
        if saved["icu_rules"]:
            words.append(f"ICU_RULES {literal(saved['icu_rules'])}")
    elif saved["provider"] == "builtin":
        words.append(f"BUILTIN_LOCALE {literal(saved['locale'])}")
    if tablespace:
        words.append(f"TABLESPACE {ident(tablespace)}")
    return " ".join(words)


def template_leftovers_sql(saved: Properties) -> list[str]:
    """Return the SQL that removes from a new database what every new one contains and the saved one
    had dropped: a dump does not include this.
    """
    made = [] if saved["has_public"] else ["DROP SCHEMA public"]
    return made + ([] if "plpgsql" in saved["extensions"] else ["DROP EXTENSION plpgsql"])


def finish_sql(
    name: str, saved: Properties, *, with_owner: bool
) -> Iterator[tuple[str, list[str]]]:
    """Return, in order, the statements that set the saved properties of the created database, each
    with its subject. Without owners, grants and the roles' settings are left out as well.
    """
    database = f"DATABASE {ident(name)}"
    if with_owner:
        yield "the owner of the database", [f"ALTER {database} OWNER TO {ident(saved['owner'])}"]
        yield "the grants of the database", list(_acl_sql(database, saved))
    for role, setting in saved["settings"]:
        if role and not with_owner:
            continue
        subject = f"ALTER ROLE {ident(role)} IN {database}" if role else f"ALTER {database}"
        what = f"setting {setting.partition('=')[0]}"
        yield what, [f"{subject} {set_clause(setting)}"]
    if saved["is_template"]:
        yield "the template flag of the database", [f"ALTER {database} IS_TEMPLATE true"]
    if saved["connection_limit"] != -1:
        limit = saved["connection_limit"]
        yield "the connection limit of the database", [f"ALTER {database} CONNECTION LIMIT {limit}"]


def _acl_sql(database: str, saved: Properties) -> Iterator[str]:
    """Return the grants from none to the saved ones, in the server's order: a grant that was passed
    on follows the one that permitted it. Empty if they are those of every new database.
    """
    owner = saved["owner"]
    usual = [["", p, False, owner] for p in ("CONNECT", "TEMPORARY")]
    usual += [[owner, p, False, owner] for p in ("CONNECT", "CREATE", "TEMPORARY")]
    if sorted(saved["acl"]) == usual:
        return
    yield f"REVOKE ALL ON {database} FROM PUBLIC, {ident(owner)}"
    for to, privilege, grantable, grantor in saved["acl"]:
        option = " WITH GRANT OPTION" if grantable else ""
        grant = f"GRANT {privilege} ON {database} TO {grantee(to)}{option}"
        if grantor == owner:
            yield grant
        else:
            yield f"SET ROLE {ident(grantor)}"
            yield grant
            yield "RESET ROLE"


def comment_sql(name: str, comment: str) -> str:
    return f"COMMENT ON DATABASE {ident(name)} IS {literal(comment) if comment else 'NULL'}"


def script(saved: Properties, *, version: int) -> str:
    """Return the SQL that makes the empty database again, for a recovery by hand."""
    name = saved["name"]
    lines = [create_sql(name, saved, version=version, tablespace=None)]
    for _, statements in finish_sql(name, saved, with_owner=True):
        lines += statements
    if saved["comment"]:
        lines.append(comment_sql(name, saved["comment"]))
    return "".join(f"{line};\n" for line in lines)


_PLAIN = {
    "owner": "owner",
    "encoding": "encoding",
    "provider": "locale provider",
    "collate": "collation",
    "ctype": "character type",
    "locale": "locale",
    "icu_rules": "ICU rules",
    "connection_limit": "connection limit",
    "comment": "comment",
    "is_template": "template flag",
    "has_public": "existence of schema public",
}
_OF_OWNERS = frozenset({"owner"})
_YES_NO = {
    "is_template": (
        "the database is not a template, but was one at backup",
        "the database is a template, but was not one at backup",
    ),
    "has_public": (
        "schema public does not exist, but did at backup",
        "schema public exists, but did not at backup",
    ),
}
"""What to say if a property is now false, and if it is now true."""


def differences(saved: Properties, now: Properties, *, with_owner: bool) -> list[str]:
    """Return sentences about properties that differ from the saved ones. The tablespace is left out
    (it belongs to the server), as is the version of a collation.
    """
    sentences = [
        _YES_NO[key][bool(now[key])]
        if key in _YES_NO
        else f"{label} is {now[key]!r}, but {saved[key]!r} at backup"
        for key, label in _PLAIN.items()
        if (with_owner or key not in _OF_OWNERS) and (now[key] or None) != (saved[key] or None)
    ]
    if with_owner:
        sentences += _lists("grant", saved["acl"], now["acl"], _grant_text)
    here = [s for s in saved["settings"] if with_owner or not s[0]]
    there = [s for s in now["settings"] if with_owner or not s[0]]
    sentences += _lists("setting", here, there, _setting_text)
    return sentences + extensions.differences(saved, now)


def _lists(what: str, saved: list[Any], now: list[Any], text: Any) -> list[str]:
    missing = [f"{what} {text(entry)} is missing" for entry in saved if entry not in now]
    return missing + [
        f"{what} {text(entry)} did not exist at backup" for entry in now if entry not in saved
    ]


def _grant_text(entry: list[Any]) -> str:
    to, privilege, grantable, _ = entry
    return f"of {privilege} to {to or 'PUBLIC'}{' with grant option' if grantable else ''}"


def _setting_text(entry: list[str]) -> str:
    role, setting = entry
    return f"{setting} of {role}" if role else setting
