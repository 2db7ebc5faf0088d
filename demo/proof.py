"""Prove, by other tools than drd, that the restored data equals the data before the disaster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from demo.narration import DemoFailed, Shell, good, say
from demo.place import Place, address
from tests.servers import PostgresServer

# pg_dump writes a random key into these two lines, so that no two of its outputs are equal.
_WITHOUT_KEYS = r"grep -vE '^\\(un)?restrict '"

_TABLE_DIGESTS = """\
select string_agg(format('select %L, count(*), md5(coalesce(string_agg(t::text, chr(10)
       order by t::text), %L)) from %s t', oid::regclass, '', oid::regclass), ' union all ')
       || ' order by 1'
  from pg_class where relkind in ('r', 'm') and relnamespace = 'public'::regnamespace
\\gexec
"""

_ROLES = """\
select rolname, rolcanlogin, rolconnlimit, md5(rolpassword) from pg_authid
 where rolname like 'orders%' order by 1
"""


class Proof:
    """Two snapshots of the service, before and after, by pg_dump, psql, sqlite3's dump, diff and
    find. `before` has a name and a digest for each thing.
    """

    def __init__(self, shell: Shell, place: Place) -> None:
        self._shell = shell
        self._place = place
        self.before: dict[str, str] = {}

    def remember(self, server: PostgresServer) -> None:
        """Record the state of the running service, and copy its configuration."""
        self.before = self._look(server, self._place.sessions, self._place.configuration)
        self._shell.output(
            f"cp -a {quote(str(self._place.configuration))} {quote(str(self._place.before))}/etc"
        )

    def compare(self, server: PostgresServer) -> None:
        """Compare the restored service; print what is equal. Raises DemoFailed if anything
        differs.
        """
        restored = self._place.restored_configuration
        after = self._look(server, self._place.standby / "sessions.db", restored)
        different = self._shell.output(
            f"diff -r --no-dereference {quote(str(self._place.before))}/etc {quote(str(restored))}"
            " && echo equal || echo DIFFERENT"
        )
        for name, digest in self.before.items():
            same = after[name] == digest
            say(f"{name:<44} {digest[:16]}  {good('equal') if same else 'DIFFERENT'}")
        say(f"{'diff -r of the configuration':<44} {'':<16}  {good(different)}")
        wrong = [name for name, digest in self.before.items() if after[name] != digest]
        if wrong or different != "equal":
            raise DemoFailed(f"what came back differs: {wrong or different}")

    def _look(self, server: PostgresServer, sessions: Path, tree: Path) -> dict[str, str]:
        dsn = quote(address(server))
        bin_dir = quote(str(server.bin_dir))
        psql = f"{bin_dir}/psql -XqAt -v ON_ERROR_STOP=1 -d {dsn}"
        return {
            "pg_dump of the database, sha256": self._digest(
                f"{bin_dir}/pg_dump --create -d {dsn} | {_WITHOUT_KEYS}"
            ),
            "psql: rows and md5 of every table": self._digest(psql, _TABLE_DIGESTS),
            "psql: roles and their passwords": self._digest(psql, _ROLES),
            "sqlite3 .dump of the sessions": self._digest(_sqlite_dump(sessions)),
            "find: names, types, modes, owners, links": self._digest(
                f"cd {quote(str(tree))} && find . -printf '%P %y %m %U %G %l\\0' | sort -z"
            ),
        }

    def _digest(self, command: str, stdin: str = "") -> str:
        text = f" <<'END'\n{stdin}END\n" if stdin else "\n"
        return self._shell.output(f"digest() {{ {command}{text}}}\ndigest | sha256sum").split()[0]


def _sqlite_dump(file: Path) -> str:
    """Return the same text as the sqlite3 shell's `.dump`, which need not be installed."""
    code = "import sqlite3, sys; [print(x) for x in sqlite3.connect(sys.argv[1]).iterdump()]"
    return _words(["python3", "-c", code, str(file)])


def _words(words: Sequence[str]) -> str:
    return " ".join(quote(word) for word in words)
