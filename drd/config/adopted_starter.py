"""Write a commented starting plan for the copies that another tool makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from drd.config.problems import as_name
from drd.config.starter import Starter, bucket_keys
from drd.config.writing import inline
from drd.model.first_checks import has_data
from drd.model.location import is_s3
from drd.model.plan import OWN_COMPONENT


@dataclass(frozen=True, slots=True)
class FoundCopies:
    """What a repository of restic holds. `others` has a file of each path that has other files than
    dumps. `password` is the file that opens the repository."""

    url: str
    password: str
    host: str
    dumps: Sequence[str]
    sqlite: Sequence[str]
    others: dict[str, str]


@dataclass(slots=True)
class _Writer:
    name: str
    found: FoundCopies
    taken: set[str] = field(default_factory=lambda: {OWN_COMPONENT, "manifest"})
    credentials: list[tuple[str, str]] = field(default_factory=list)
    components: list[tuple[str, str, str]] = field(default_factory=list)
    checks: list[dict[str, object]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        found = self.found
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield f"# Another tool makes the copies of this plan: restic, into {found.url}."
        yield "# drd lists, drills and recovers them, and writes nothing there (docs/adopted.md)."
        yield f"plan: {inline(self.name)}"
        yield ""
        yield "# How much data may be lost: a little more than the time between two copies."
        yield "objectives: {rpo: 26h, rto: 1h}"
        yield ""
        yield "components:"
        yield from self._components()
        yield ""
        yield "repositories:"
        yield "  theirs:"
        yield "    made_by: restic"
        yield f"    url: {inline(found.url)}"
        yield f"    password: {{file: {inline(found.password)}}}"
        if is_s3(self.found.url):
            yield from bucket_keys(self.name, self.credentials)
        yield f"    only: {{host: {inline(found.host)}}}"
        yield ""
        yield "# What the other tool keeps. A copy that is gone before that raises an alert."
        yield "# CHANGE THIS to the rules of the other tool, and remove the first #."
        yield "#retention: {daily: 7, weekly: 4}"
        yield ""
        yield "# From a first look to proof: replace these by queries whose answers you know."
        yield "checks:"
        yield from (f"  - {inline(check)}" for check in self.checks)
        yield from self.comments
        yield ""
        yield "drill: {every: 7d}"

    def _components(self) -> Iterator[str]:
        for path in self.found.dumps:
            name = self._free(PurePosixPath(path).stem, "database")
            database = inline(f"postgresql:///{as_name(PurePosixPath(path).stem) or 'postgres'}")
            yield f"  {name}:"
            yield "    kind: postgres"
            yield "    # The database of the dump. A drill does not connect to it."
            yield f"    dsn: {database}"
            yield f"    copied_as: {inline(path)}"
            self.components.append((name, "postgres", path))
            query = "select count(*) from pg_stat_user_tables"
            self._sql(name, "tables", query)
        for path in self.found.sqlite:
            name = self._free(PurePosixPath(path).stem, "database")
            yield f"  {name}:"
            yield "    kind: sqlite"
            yield "    # If this is a dump: write here where the service has the file, and the path"
            yield f"    # of the dump as copied_as: {inline(path)}"
            yield f"    path: {inline(path)}"
            self.components.append((name, "sqlite", path))
            self._sql(name, "tables", "select count(*) from sqlite_master where type = 'table'")
        for path, sample in self.found.others.items():
            name = self._free(PurePosixPath(path).name, "files")
            yield f"  {name}:"
            yield "    kind: files"
            yield f"    paths: [{inline(path)}]"
            self.components.append((name, "files", path))
            run = ["sh", "-c", has_data(sample)]
            self.checks.append(
                {
                    "name": f"{name}: a file is there",
                    "kind": "command",
                    "component": name,
                    "run": run,
                }
            )

    def _sql(self, name: str, what: str, query: str) -> None:
        self.checks.append(
            {
                "name": f"{name}: there are {what}",
                "kind": "sql",
                "component": name,
                "query": query,
                "expect": "> 0",
            }
        )
        if not self.comments:
            self.comments = [
                "#  - name: the newest order is recent",
                "#    kind: sql",
                f"#    component: {inline(name)}",
                "#    query: select max(created_at) from orders",
                "#    expect: within rpo",
            ]

    def _free(self, wish: str, fallback: str) -> str:
        base = as_name(wish)[:36] or fallback
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name)
        return name


def adopted_starter(name: str, found: FoundCopies) -> Starter:
    """Return a plan that passes `drd plan check`."""
    writer = _Writer(name, found)
    text = "\n".join(writer.lines()) + "\n"
    return Starter(text, tuple(writer.credentials), "", writer.components)
