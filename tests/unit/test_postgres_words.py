"""Names, settings and connection strings of PostgreSQL, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import pq

from drd.errors import SourceError
from drd.kinds.postgres import database, dsn, extensions, foreign_code, roles
from drd.kinds.postgres.address import Address, address_of
from drd.kinds.postgres.connection import write_password_file
from drd.kinds.postgres.dsn import holds_password
from drd.kinds.postgres.fingerprint import split_name
from drd.kinds.postgres.load import passes
from drd.kinds.postgres.quoting import catalog_first, grantee, ident, set_clause
from drd.kinds.postgres.restore import first_error
from drd.kinds.postgres.sandbox import extension_hint
from drd.model.plan import SecretRef
from drd.process import Completed


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:pw@db/orders",
        "POSTGRES://app:pw@db/orders",
        "postgresql://app:p?w#x@db/orders",
        "postgresql:///orders?host=/run&password=pw",
        "postgresql://app@db/orders?sslpassword=x",
        "host=db password=pw",
        "host=db  password = 'p w'",
        r"host=db application_name='it\'s' password=pw",
        "password",
    ],
)
def test_a_password_is_seen_in_either_form(dsn: str) -> None:
    assert holds_password(dsn)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app@db/orders",
        "postgresql://app:@db/orders",
        "postgresql://[::1]:5432/orders?sslmode=require",
        "postgresql:///orders?host=/run/postgresql&port=5433",
        "host=db user=app dbname='a password=x'",
        "host=db user=password passfile=/etc/pgpass",
        "host=db password=''",
    ],
)
def test_an_address_with_only_something_like_a_password_has_none(dsn: str) -> None:
    assert not holds_password(dsn)


def test_an_address_never_shows_its_password() -> None:
    address = address_of(
        SecretRef("text", "postgresql://me:s3cret%20x@db:5433/a%20'b?sslmode=require")
    )
    assert address.password == "s3cret x"
    shown = address.conninfo + address.uri + str(address.environment())
    assert "s3cret" not in shown
    assert address.uri == "postgresql://me@/a%20%27b?host=db&port=5433"
    assert address.environment()["PGSSLMODE"] == "require"


def test_an_address_takes_along_what_the_tools_would_not_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "/somewhere")
    monkeypatch.setenv("PGPORT", "7777")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    address = address_of(SecretRef("text", "dbname=x port=5"))
    assert (address.params["host"], address.params["port"]) == ("/somewhere", "5")
    assert "client_encoding" not in address.params


def test_no_connection_string_is_refused_without_being_repeated() -> None:
    with pytest.raises(SourceError) as caught:
        address_of(SecretRef("text", "postgresql://x:hidden@h/?nonsense=1"))
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["--help", "it's", 'a "b"', "x=y z", "заказы", "back\\slash"])
def test_any_database_name_survives_the_conninfo(name: str) -> None:
    conninfo = Address({"host": "h"}).to_database(name).conninfo
    assert address_of(SecretRef("text", conninfo)).dbname == name


def test_a_password_file_escapes_what_the_format_reserves(tmp_path: Path) -> None:
    env = write_password_file(Address({}, "a:b\\c d"), tmp_path)
    file = tmp_path / "pgpass"
    assert env == {"PGPASSFILE": str(file)}
    assert file.read_text() == "*:*:*:*:a\\:b\\\\c d\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert write_password_file(Address({}), tmp_path) == {}
    assert not file.exists()


@pytest.mark.parametrize(
    ("setting", "clause"),
    [
        ("work_mem=7MB", "SET \"work_mem\" TO '7MB'"),
        ("app.tenant=it's, me", "SET \"app.tenant\" TO 'it''s, me'"),
        ("search_path=", "SET \"search_path\" TO ''"),
        ('search_path=""', "SET \"search_path\" TO ''"),
        (
            'search_path="$user", shop,"odd ""s"", x"',
            "SET \"search_path\" TO '$user', 'shop', 'odd \"s\", x'",
        ),
        ("DateStyle=German, DMY", "SET \"DateStyle\" TO 'German, DMY'"),
    ],
)
def test_a_setting_becomes_the_statement_that_makes_it(setting: str, clause: str) -> None:
    assert set_clause(setting) == clause


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ('"$user", public', None),
        ("", None),
        ("pg_catalog, shop", None),
        ("shop, public", None),
        ('shop, "PG_CATALOG"', None),
        ("evil, pg_catalog, public", ("evil", "public")),
        ('evil, PG_Catalog , "odd "" , x"', ("evil", 'odd " , x')),
        ('"$user","pg_catalog"', ("$user",)),
    ],
)
def test_nothing_stands_before_pg_catalog(path: str, first: tuple[str, ...] | None) -> None:
    assert catalog_first(path) == first


def test_names_are_quoted_whatever_they_are() -> None:
    assert ident('a"b') == '"a""b"'
    assert grantee("") == "PUBLIC"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("public.orders", ("public", "orders")),
        ('public."odd ""name"""', ("public", 'odd "name"')),
        ('"a.b"."c.d"', ("a.b", "c.d")),
    ],
)
def test_a_name_is_split_as_the_database_quoted_it(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts


def membership(role: str, member: str, grantor: str, *, admin: bool = False) -> dict[str, object]:
    return {
        "role": role, "member": member, "grantor": grantor, "admin": admin,
        "inherit": True, "set": False,
    }  # fmt: skip


def test_memberships_follow_the_right_to_grant_them() -> None:
    chain = [
        membership("g", "c", "b"),
        membership("g", "b", "a", admin=True),
        membership("g", "a", "postgres", admin=True),
        membership("g", "lost", "gone"),
    ]
    ordered = roles.in_order(chain, "postgres")
    assert [m["member"] for m in ordered] == ["a", "b", "c", "lost"]


def role(name: str, **more: object) -> dict[str, object]:
    flags = dict.fromkeys(
        ("superuser", "inherit", "createrole", "createdb", "login", "replication", "bypassrls"),
        False,
    )
    return {
        "name": name, **flags, "connection_limit": -1, "valid_until": None, "password": None,
        "comment": "", "settings": [], **more,
    }  # fmt: skip


def cluster(
    *made: dict[str, object], memberships: object = (), **more: object
) -> dict[str, object]:
    return {
        "version": 170000, "passwords": True, "bootstrap": "postgres", "roles": list(made),
        "memberships": memberships, "parameters": [], "everyone": [], "tablespaces": [], **more,
    }  # fmt: skip


@pytest.mark.parametrize("password", ["a%0Ab", "a%0D"])
def test_a_password_that_no_password_file_can_hold_is_refused(password: str) -> None:
    with pytest.raises(SourceError, match="contains a line end") as caught:
        address_of(SecretRef("text", f"postgresql://u:{password}@h/d"))
    assert "another password" in caught.value.hint


def test_only_missing_roles_are_made() -> None:
    saved = cluster(
        role("old"),
        role("new", login=True, password="SCRAM-SHA-256$x"),
        memberships=[
            membership("old", "new", "postgres"),
            membership("old", "elder", "postgres"),
        ],
    )
    there = ["old", "elder"]
    made = [s.sql for s in roles.statements(saved, existing=there, version=170000, whole=False)]
    create, grant = made
    assert create.startswith('CREATE ROLE "new" WITH NOSUPERUSER NOINHERIT NOCREATEROLE NOCREATEDB')
    assert create.endswith(" LOGIN NOREPLICATION NOBYPASSRLS PASSWORD 'SCRAM-SHA-256$x'")
    assert grant == 'GRANT "old" TO "new" WITH ADMIN FALSE, INHERIT TRUE, SET FALSE'
    older = [s.sql for s in roles.statements(saved, existing=there, version=150000, whole=False)]
    assert older[1] == 'GRANT "old" TO "new"'


def test_cluster_settings_are_made_in_sandboxes_only() -> None:
    parameter = {"parameter": "work_mem", "privilege": "SET", "grantable": False}
    parameters = [{**parameter, "grantee": ""}, {**parameter, "grantee": "app"}]
    saved = cluster(role("app"), parameters=parameters, everyone=["search_path=a, b"])
    whole = [s.sql for s in roles.statements(saved, existing=["app"], version=170000, whole=True)]
    to_all = "ALTER ROLE ALL SET \"search_path\" TO 'a', 'b'"
    assert whole == [
        'GRANT SET ON PARAMETER "work_mem" TO PUBLIC',
        'GRANT SET ON PARAMETER "work_mem" TO "app"',
        to_all,
    ]
    assert not list(roles.statements(saved, existing=["app"], version=170000, whole=False))
    told = roles.differences(saved, cluster(role("app")), existed=["app"])
    assert [t.rpartition(": ")[2] for t in told] == [f"{s};" for s in (to_all, *whole[:2])]
    assert roles.differences(saved, saved, existed=["app"]) == []


def test_a_password_that_could_not_be_read_makes_no_difference() -> None:
    saved = cluster(role("app", login=True), passwords=False)
    now = cluster(role("app", login=True, password="SCRAM-SHA-256$x"))
    assert roles.differences(saved, now, existed=["app"]) == []
    saved["passwords"] = True
    (sentence,) = roles.differences(saved, now, existed=["app"])
    assert (
        sentence
        == "role app existed already, and drd did not change it; at backup it had no password"
    )


def test_the_name_of_a_role_that_is_not_a_plain_word_is_quoted() -> None:
    saved = cluster(role("app"), role("the owner"))
    made = roles.statements(saved, existing=[], version=170000, whole=False)
    assert [s.subject for s in made] == ["role app", 'role "the owner"']


PROPERTIES = {
    "name": "x", "owner": "app", "encoding": "UTF8", "provider": "libc", "collate": "C",
    "ctype": "C", "locale": None, "icu_rules": None, "connection_limit": -1, "comment": "",
    "is_template": False, "has_public": True, "tablespace": "pg_default",
    "acl": [["", "CONNECT", False, "app"]], "settings": [["", "work_mem=1MB"]],
    "extensions": {"plpgsql": "1.0", "citext": "1.6"},
    "extension_schemas": {"plpgsql": ["pg_catalog", "pg"], "citext": ["ext", "app"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"owner": "postgres"}, "owner is 'postgres', but 'app' at backup"),
        ({"encoding": "LATIN1"}, "encoding is 'LATIN1', but 'UTF8' at backup"),
        ({"acl": []}, "grant of CONNECT to PUBLIC is missing"),
        ({"settings": []}, "setting work_mem=1MB is missing"),
        ({"comment": "y"}, "comment is 'y', but '' at backup"),
        ({"extensions": {"plpgsql": "1.0"}}, "extension citext is missing"),
        (
            {"extension_schemas": {"citext": ["public", "app"]}},
            "extension citext is in schema public, but in schema ext at backup",
        ),
        ({"has_public": False}, "schema public does not exist, but did at backup"),
    ],
)
def test_a_lost_property_is_a_difference(change: dict[str, object], sentence: str) -> None:
    now = {**PROPERTIES, **change}
    assert database.differences(PROPERTIES, now, with_owner=True) == [sentence]
    assert database.differences(PROPERTIES, dict(PROPERTIES), with_owner=True) == []


def test_omitted_owners_and_newer_extensions_are_not_a_difference() -> None:
    now = {
        **PROPERTIES,
        "owner": "me",
        "acl": [],
        "extensions": {"plpgsql": "1.0", "citext": "1.7"},
    }
    assert database.differences(PROPERTIES, now, with_owner=False) == []
    (note,) = extensions.notes(PROPERTIES, now)
    assert note == "extension citext has version 1.7, but 1.6 at backup"


def test_a_runs_mark_comes_off_a_comment_again() -> None:
    for comment in ("", "orders", "two\nlines"):
        assert database.without_mark(database.marked(comment, "r1")) == comment
    assert database.without_mark("see [drd:notes] inside") == "see [drd:notes] inside"


LISTING = [
    "; Archive created",
    "215; 1259 16389 TABLE public orders app",
    "3450; 0 0 COMMENT public TABLE orders app",
    "3301; 1259 16400 INDEX public orders_a app",
    "3460; 0 0 INDEX ATTACH public orders_1_a app",
    "3470; 2606 16500 FK CONSTRAINT public orders orders_fk app",
    "3471; 2606 16501 CONSTRAINT public FK CONSTRAINT orders_pk app",
    "3480; 3466 16600 EVENT TRIGGER - watch app",
]


def test_objects_that_can_deadlock_are_loaded_in_separate_passes() -> None:
    (first, jobs), (attached, one), (last, again) = passes(LISTING, 4)
    assert (jobs, one, again) == (4, 1, 4)
    assert first == [LISTING[1], LISTING[3], LISTING[6]]
    assert attached == [LISTING[4]]
    assert last == [LISTING[2], LISTING[5], LISTING[7]]


def test_a_dump_without_partitions_is_loaded_in_one_pass() -> None:
    assert passes([x for x in LISTING if "ATTACH" not in x], 4) == [(None, 4)]
    assert passes(LISTING, 1) == [(None, 1)]


def test_the_cause_of_a_pg_restore_failure_is_reported() -> None:
    said = (
        "pg_restore: warning: something\n"
        "pg_restore: error: could not execute query: ERROR:  permission denied\n"
        "DETAIL:  Only some may.\nCommand was: CREATE THING x;\n\n\n"
        "pg_restore: error: a worker process died unexpectedly\n"
    )
    assert first_error(Completed(1, "", said, 0.0)) == (
        "could not execute query: ERROR:  permission denied DETAIL:  Only some may. "
        "Command was: CREATE THING x;"
    )
    assert first_error(Completed(1, "", "killed\n", 0.0)) == "killed"


def test_a_service_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="names a service that libpq cannot use"):
        address_of(SecretRef("text", "service=nowhere"))


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "1 CHECK constraint or computed column of owner"),
        (3, "3 CHECK constraints or computed columns of owner"),
    ],
)
def test_expressions_of_others_are_counted_in_plain_words(count: int, told: str) -> None:
    known = {"functions": [], "expressions": [["owner", count]], "read": []}
    found = foreign_code.finding("db", "postgres", {foreign_code.OTHERS_CODE: known})
    assert found is not None
    assert found.text.endswith(f"would run as superuser postgres during the restore: {told}")


def test_missing_extensions_are_installed_by_the_package_that_has_them() -> None:
    missing = ["hstore", "jsonb_plperl", "old_snapshot", "plpython3u", "pg_cron"]
    assert extension_hint(missing, 16) == (
        "install these extensions for PostgreSQL 16, for example: apt-get install "
        "postgresql-contrib-16 postgresql-plperl-16 postgresql-plpython3-16 postgresql-16-pg-cron"
    )


def test_an_extension_that_postgres_has_dropped_is_in_no_package() -> None:
    ended = (
        "no package brings old_snapshot back, because PostgreSQL 17 does not have it any more: "
        "drop it in the source and back up again, or use a server of version 16 or older"
    )
    assert extension_hint(["old_snapshot"], 17) == ended
    both = extension_hint(["hstore", "old_snapshot"], 17)
    assert both.endswith(f"apt-get install postgresql-contrib-17; {ended}")


def test_every_keyword_of_libpq_is_known() -> None:
    """Else a plan with a right keyword that is similar to another one would be refused."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    assert known - dsn._KEYWORDS == set()
