"""What the service's user wrote into the catalogue does nothing in root's terminal.

Its rows are text that drd shows: a title, a cleared screen, a turned direction of writing, a line
of its own. Every reading verb shows such text as escapes; what drd paints itself stays.
"""

from __future__ import annotations

import os
import re
import sqlite3
import termios
from contextlib import closing

import pytest

from drd.cli import output
from tests import warm
from tests.e2e.site import Site, small_site

EVIL = "\x1b]0;pwn\x07\x1b[2J\x1b[8m\u202e\x9b1m\r\nDRD OK"
VERBS = [
    "status", "status --nagios", "schedule", "runs", "points shop", "ls shop", "alerts",
    "readiness shop", "doctor shop", "catalogue verify", "verify shop", "backup shop",
]  # fmt: skip
ON_A_TERMINAL = ["status", "schedule", "readiness shop"]
_PAINT = re.compile("\x1b\\[(?:0|1|2|3[0-9])m")
_PROGRESS = "\r\x1b[K"

NAMES = (
    "name",
    "plan",
    "id",
    "run",
    "run_id",
    "key",
    "value",
    "kind",
    "state",
    "seq",
    "url",
    "status",
)
"""With these changed as well, hardly a row is found any more."""


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = small_site(tmp_path_factory.mktemp("t"))
    site.drd("backup", "shop")
    return site


def fill(site: Site, *, names: bool) -> int:
    """Texts of the catalogue, with `names` all that there are; how many columns took it."""
    filled = 0
    with closing(sqlite3.connect(site.base / "state/drd.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = off")
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            if table == "alembic_version":
                continue
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                text = kind.upper().startswith(("VARCHAR", "TEXT", "CHAR"))
                if not text or (
                    not names and (column in NAMES or column.endswith(("_at", "_time")))
                ):
                    continue
                try:
                    done = connection.execute(
                        f"UPDATE {table} SET {column} = ? || rowid WHERE {column} NOT LIKE '{{%' "
                        f"AND {column} NOT LIKE '[%'",
                        (EVIL,),
                    )  # fmt: skip
                except sqlite3.Error:
                    continue  # a table without numbers of rows, or a check of the catalogue's own
                filled += bool(done.rowcount)
    return filled


def by_a_pipe(site: Site, words: list[str]) -> str:
    done = warm.run(words, env=site.env(), timeout=60)
    return (done.stdout + done.stderr).decode()


def on_a_terminal(site: Site, words: list[str]) -> str:
    leader, follower = os.openpty()
    modes = termios.tcgetattr(follower)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(follower, termios.TCSANOW, modes)
    child = warm.start(words, env={**site.env(), "COLUMNS": "300"}, log=follower)
    os.close(follower)
    data = b""
    try:
        while chunk := os.read(leader, 1 << 16):
            data += chunk
    except OSError:
        pass  # nobody has it open any more
    child.wait(60)
    os.close(leader)
    return _PAINT.sub("", data.decode()).replace(_PROGRESS, "")


def doing(text: str) -> list[str]:
    """The characters that do something."""
    return sorted({c for c in text if not c.isprintable() and c != "\n"})


@pytest.mark.parametrize("names", [False, True], ids=["rows", "names"])
def test_rows_do_nothing_in_a_terminal(backed_up: Site, *, names: bool) -> None:
    assert fill(backed_up, names=names) > 10
    shown = ""
    for verb in VERBS:
        told = by_a_pipe(backed_up, verb.split())
        assert doing(told) == [], verb
        assert verb != "schedule" or "\nDRD OK" not in told
        shown += told
    for verb in ON_A_TERMINAL:
        assert doing(on_a_terminal(backed_up, verb.split())) == [], verb
    assert "\\x1b" in shown or "DRD OK" in shown


def test_colours_of_drd_are_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.say(f"{output.paint('FAILED', 'bad', True)}  größer wide: 漢\n\x1b[2Jand\u202e")
    assert capsys.readouterr().out == (
        "\x1b[31mFAILED\x1b[0m  größer wide: 漢\n\\x1b[2Jand\\u202e\n"
    )
