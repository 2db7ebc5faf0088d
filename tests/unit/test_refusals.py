"""The messages of servers about rows reach mail, the catalogue and evidence without values."""

from __future__ import annotations

import psycopg
import pytest
from pymysql.err import DataError, IntegrityError, ProgrammingError

from drd.kinds.mariadb.connection import words as mariadb_words
from drd.kinds.mariadb.load import refusal
from drd.kinds.postgres.archive import _troubles
from drd.kinds.postgres.connection import words
from drd.kinds.postgres.refusals import without_values
from drd.kinds.postgres.restore import first_error
from drd.process import Completed


def _pg_restore(said: str) -> str:
    return first_error(Completed(1, "", f"pg_restore: error: {said}\n", 0.1))


PG_RESTORE = {
    """COPY failed for table "t": ERROR:  invalid input syntax for type integer: "a "Ada" b"
CONTEXT:  COPY t, line 5, column age: "a "Ada" b\"""": """\
COPY failed for table "t": ERROR:  invalid input syntax for type integer: "…" \
CONTEXT:  COPY t, line 5, column age""",
    """COPY failed for table "t": ERROR:  missing data for column "b"
CONTEXT:  COPY t, line 7: "Ada
and Ada\"""": """\
COPY failed for table "t": ERROR:  missing data for column "b" CONTEXT:  COPY t, line 7""",
    """could not execute query: ERROR:  could not create unique index "t_pkey"
DETAIL:  Key (lower(name), a)=(Ada, 1) is duplicated.
Command was: ALTER TABLE ONLY public.t
    ADD CONSTRAINT t_pkey PRIMARY KEY (a);""": """\
could not execute query: ERROR:  could not create unique index "t_pkey" \
DETAIL:  Key (lower(name), a) is duplicated \
Command was: ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (a);""",
    """COPY failed for table "t": ERROR:  new row for relation "t" violates check constraint "c"
DETAIL:  Failing row contains (1, Ada).
CONTEXT:  COPY t, line 1: "1	Ada\"""": """\
COPY failed for table "t": ERROR:  new row for relation "t" violates check constraint "c" \
DETAIL:  Failing row contains … CONTEXT:  COPY t, line 1""",
    """could not execute query: ERROR:  syntax error at or near "Ada"
LINE 1: INSERT INTO t VALUES ('x', Ada);
                      ^
Command was: INSERT INTO t VALUES ('x', Ada);""": """\
could not execute query: ERROR:  syntax error at or near "…" \
Command was: INSERT INTO t VALUES (…""",
    """could not execute query: FEHLER:  Wert »Ada« für Typ integer falsch
DETAIL:  Schlüssel »(name)=(Ada)« ist doppelt vorhanden.
KONTEXT:  COPY t, Zeile 1: »Ada«
Command was: COMMENT ON TABLE t IS 'It''s Ada';""": """\
could not execute query: FEHLER:  Wert "…" für Typ integer falsch \
Command was: COMMENT ON TABLE t IS '…';""",
    """could not execute query: ERROR:  type "citext" does not exist
LINE 2:     name ext.citext
HINT:  Install it.""": """\
could not execute query: ERROR:  type "citext" does not exist HINT:  Install it.""",
}


@pytest.mark.parametrize("said", PG_RESTORE)
def test_pg_restore_tells_the_place_and_no_value(said: str) -> None:
    shown = PG_RESTORE[said]
    assert _pg_restore(said) == shown
    listed = f"pg_restore: from TOC entry 3; 0 1 TABLE public t app\npg_restore: error: {said}\n"
    [trouble] = _troubles(listed)
    assert trouble.said == shown.removeprefix("could not execute query: ")


@pytest.mark.parametrize(
    "said",
    [
        'on socket "/run/p/.s.PGSQL.5432" failed: FATAL:  database "x" does not exist',
        (
            'at "::1", port 5432 failed: FATAL:  password authentication failed for user "app"\n'
            'connection to server at "127.0.0.1", port 5432 failed: FATAL:  no pg_hba.conf entry '
            'for host "127.0.0.1", user "app", database "shop", no encryption'
        ),
        'on socket "/run/p" failed: FATAL:  Datenbank »x« existiert nicht',
    ],
)
def test_a_login_that_fails_for_pg_restore_keeps_its_cause(said: str) -> None:
    shown = f"connection to server {said}"
    assert _pg_restore(shown) == shown.replace("\n", " ")


def test_names_of_objects_stay_in_a_message_of_postgresql() -> None:
    for said in (
        'column "a" of relation "b" already exists',
        'insert or update on table "a" violates foreign key constraint "b"',
        'could not open extension control file "/usr/share/x.control": No such file or directory',
        'must be able to SET ROLE "app"',
        'invalid LC_COLLATE locale name: "de_DE.utf8"',
        'could not create locale "de_DE.utf8": No such file or directory',
        'extension "x" has no installation script nor update path for version "3.4"',
    ):
        assert without_values(said) == said


def test_a_query_with_a_wrong_value_fails_without_the_value() -> None:
    assert words(psycopg.errors.InvalidTextRepresentation('invalid for type integer: "Ada"')) == (
        'invalid for type integer: "…"'
    )
    assert words(
        psycopg.errors.InvalidTextRepresentation('invalid input value for enum locale: "Ada"')
    ) == ('invalid input value for enum locale: "…"')
    assert words(psycopg.errors.UndefinedColumn('column "a" does not exist')) == (
        'column "a" does not exist'
    )


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("1062 (23000) at line 5: Duplicate entry 'A'da' for key 'b' for key 'email'",
         "1062 (23000) at line 5: Duplicate entry '…' for key 'email'"),
        ("1062 (23000) at line 5: Duplicate entry 'A\nERROR 1 Ada' for key 'email'",
         "1062 (23000) at line 5: Duplicate entry '…'"),
        ("1366 (22007) at line 3: Incorrect integer value: 'Ada' for column `s`.`u`.`age` at row 1",
         "1366 (22007) at line 3: Incorrect integer value: '…' for column `s`.`u`.`age` at row 1"),
        ("1064 (42000) at line 3: the right syntax to use near ''Ada' at line 9' at line 1",
         "1064 (42000) at line 3: the right syntax to use near '…' at line 1"),
        ("1292 (22007): Truncated incorrect DOUBLE value: 'Ada'",
         "1292 (22007): Truncated incorrect DOUBLE value: '…'"),
        ("1526 (HY000) at line 4: Table has no partition for value 1815",
         "1526 (HY000) at line 4: Table has no partition for value …"),
        ("1146 (42S02) at line 4: Table 'shop.people' doesn't exist",
         "1146 (42S02) at line 4: Table 'shop.people' doesn't exist"),
    ],
)  # fmt: skip
def test_mariadb_names_the_key_and_no_value(said: str, shown: str) -> None:
    line = "-" * 14
    echo = f"{line}\nINSERT INTO people VALUES (1, 'Ada\nERROR 12')\n{line}\n\nERROR {said}\n"
    assert refusal(Completed(1, "", echo, 0.1)) == f"ERROR {shown}"


def test_an_error_of_a_session_of_mariadb_has_no_value() -> None:
    duplicate = IntegrityError(1062, "Duplicate entry 'Ada' for key 'email'")
    assert mariadb_words(duplicate) == "Duplicate entry '…' for key 'email'"
    wrong = DataError(1366, "Incorrect integer value: 'Ada' for column `a`.`b`.`c` at row 1")
    assert "Ada" not in mariadb_words(wrong)
    unknown = ProgrammingError(1146, "Table 'shop.people' doesn't exist")
    assert mariadb_words(unknown) == "Table 'shop.people' doesn't exist"
