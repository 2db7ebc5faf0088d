"""The place of the measurements: a PostgreSQL server, repositories, drd's configuration."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import measure
from tests.servers import PostgresServer

PASSWORD = "bench"
DATABASE = "shop"
_TABLES = 4
_LOCKS = 1_024
"""max_locks_per_transaction for many tables: pg_dump locks all of them at once."""
_AT_ONCE = 500
_ROWS_PER_MB = 4_040  # measured with pg_dump -Fc -Z0 of what _FILL makes

_FILL = """
create table {table} (
    id bigint primary key, customer int not null, status text not null, body jsonb not null,
    note text not null, created_at timestamptz not null);
insert into {table}
select g, g % 50021 * 7919 % 50000, (array['new', 'paid', 'shipped'])[1 + g % 3],
       jsonb_build_object('sku', md5(g::text), 'trace', md5('t{table}' || g), 'lines', g % 9),
       md5('n' || g) || ' leave it with the neighbour ' || md5('m{table}' || g),
       now() - ({rows} - g) * interval '1 second'
  from generate_series(1, {rows}) g;
create index on {table} (customer);
"""

_FILL_MANY = """
do $$ begin for i in {first}..{last} loop
  execute format('create table part%s (id int primary key, n int not null)', i);
  execute format('insert into part%s select g, g %% 7 from generate_series(1, 5) g', i);
end loop; end $$
"""

_PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  {component}
repositories:
  primary: {{url: "{url}", password: {{file: {home}/password}}}}
{more}"""

CHECKS = {
    "all rows of the first table": ("select count(*) from part1", "> 0"),
    "a sum over the second": ("select sum(customer) from part2", "> 0"),
    "newest row": ("select max(id) from part3", "> 0"),
}


class Workshop:
    """Everything below `home`, on the server `postgres`; one database at a time."""

    def __init__(self, home: Path, postgres: PostgresServer) -> None:
        self.home = home
        self.postgres = postgres
        (home / "plans").mkdir()
        (home / "work").mkdir(mode=0o755)
        self.tables: list[str] = []
        self.checks: Mapping[str, tuple[str, str]] = CHECKS
        measure.write_secret(home / "password", PASSWORD + "\n")
        (home / "drd.yaml").write_text(
            "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: work\ncache_dir: cache\n"
        )
        self._count = 0

    @property
    def environment(self) -> Mapping[str, str]:
        ours = measure.environment()
        tools = f"{Path(sys.executable).parent}:{self.postgres.bin_dir}:{ours['PATH']}"
        return {**ours, "PATH": tools, "DRD_CONFIG": str(self.home / "drd.yaml")}

    def restic(self, repository: Path) -> Mapping[str, str]:
        """Return restic's variables, with the same cache as drd's restic."""
        return {
            **self.environment,
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD_FILE": str(self.home / "password"),
            "RESTIC_CACHE_DIR": str(self.home / "restic-cache"),
        }

    @property
    def conninfo(self) -> str:
        server = self.postgres
        return (
            f"host={server.socket_dir} port={server.port} user={server.superuser} dbname={DATABASE}"
        )

    def fill(self, size_bytes: int) -> None:
        """Make a new database whose uncompressed dump has about that size."""
        self._new_database([f"part{n}" for n in range(1, _TABLES + 1)], CHECKS)
        rows = max(100, int(size_bytes / 1e6 * _ROWS_PER_MB) // _TABLES)
        for table in self.tables:
            self.postgres.execute(_FILL.format(table=table, rows=rows), DATABASE)
        self.postgres.execute("vacuum analyze", DATABASE)

    def fill_one(self, size_bytes: int) -> None:
        """Make a new database of about that size, whose data is in a single table."""
        self._new_database(["part1"], {"a sum": ("select sum(customer) from part1", "> 0")})
        rows = max(100, int(size_bytes / 1e6 * _ROWS_PER_MB))
        self.postgres.execute(_FILL.format(table="part1", rows=rows), DATABASE)
        self.postgres.execute("vacuum analyze", DATABASE)

    def fill_many(self, count: int) -> None:
        """Make a new database of so many tables with five rows."""
        self.postgres.execute(f"alter system set max_locks_per_transaction = {_LOCKS}")
        self.postgres.stop()
        self.postgres.start()
        names = [f"part{n}" for n in range(1, count + 1)]
        self._new_database(names, {"a sum": ("select sum(n) from part7", "> 0")})
        for first in range(1, count + 1, _AT_ONCE):
            last = min(count, first + _AT_ONCE - 1)
            self.postgres.execute(_FILL_MANY.format(first=first, last=last), DATABASE)
        self.postgres.execute("analyze", DATABASE)

    def _new_database(self, tables: list[str], checks: Mapping[str, tuple[str, str]]) -> None:
        self.tables, self.checks = tables, checks
        self.postgres.execute(f"drop database if exists {DATABASE} with (force)")
        self.postgres.execute(f"create database {DATABASE}")

    def counts(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        found: dict[str, int] = {}
        for first in range(0, len(self.tables), _AT_ONCE):
            some = self.tables[first : first + _AT_ONCE]
            query = " union all ".join(f"select '{t}', count(*) from {t}" for t in some)
            found |= {str(t): int(n) for t, n in self.postgres.execute(query, DATABASE)}
        return found

    def change(self, *, scattered: bool) -> int:
        """Rewrite 1 % of the rows, the newest or all over the tables; return the bytes of those
        rows' text.
        """
        where = "id % 100 = 7" if scattered else "id > (select max(id) * 99 / 100 from {table})"
        changed = 0
        for table in self.tables:
            rows = where.format(table=table)
            self.postgres.execute(
                f"update {table} set note = md5(note || id) || note where {rows}", DATABASE
            )
            query = f"select sum(length(t::text)) from {table} t where {rows}"
            changed += int(self.postgres.execute(query, DATABASE)[0][0])
        return changed

    def new_repository(self) -> Path:
        """A fresh, initialised local repository."""
        self._count += 1
        place = self.home / f"repository{self._count}"
        measure.run(["restic", "init", "-q"], self.restic(place))
        return place

    def new_plan(self, repository: Path, *, target: str | None = None) -> str:
        """Write a plan for this repository, without a history; return its name. `target` is a
        database of the same server, which its target `standby` names.
        """
        more = self.check_lines
        if target is not None:
            dsn = self.conninfo.replace(f"dbname={DATABASE}", f"dbname={target}")
            more += f'targets: {{standby: {{shop: {{dsn: "{dsn}"}}}}}}\n'
        component = f'shop: {{kind: postgres, dsn: "{self.conninfo}", fingerprint: counts}}'
        return self.write_plan(f"shop{self._count}", repository, component, more)

    @property
    def check_lines(self) -> str:
        """The checks of a plan whose component is `shop`."""
        checks = "".join(
            f'  - {{name: {title}, kind: sql, component: shop, query: "{query}", '
            f'expect: "{expect}"}}\n'
            for title, (query, expect) in self.checks.items()
        )
        return f"checks:\n{checks}  - {{name: row counts, kind: rows, component: shop}}\n"

    def write_plan(self, name: str, repository: Path, component: str, more: str = "") -> str:
        """Write a plan of one component, and return its name. `more` are lines of other keys."""
        text = _PLAN.format(
            name=name, url=repository, home=self.home, component=component, more=more
        )
        (self.home / f"plans/{name}.yaml").write_text(text)
        return name

    def client(self, program: str, *words: str) -> list[str]:
        """The words of a program of PostgreSQL that connects to the server."""
        server = self.postgres
        where = ["-h", str(server.socket_dir), "-p", str(server.port), "-U", server.superuser]
        return [str(server.bin_dir / program), *where, *words]

    def drd(self, *words: str, memory: bool = False) -> measure.Run:
        return measure.run(["drd", *words, "--json"], self.environment, memory=memory)

    def drd_without_prefetch(self, *words: str) -> measure.Run:
        program = [sys.executable, "-m", "bench.without_prefetch"]
        return measure.run([*program, *words, "--json"], self.environment)

    def bash(
        self, script: str, environment: Mapping[str, str], arguments: Sequence[str] = ()
    ) -> measure.Run:
        words = ["bash", "-euo", "pipefail", "-c", script, "bench", *arguments]
        return measure.run(words, environment)

    def remove(self, repository: Path) -> None:
        """Remove a repository of gigabytes at once."""
        shutil.rmtree(repository)
