"""Write a commented starting plan for a stanza of pgBackRest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from drd.config.problems import as_name
from drd.config.starter import Starter
from drd.config.writing import inline
from drd.model.plan import OWN_COMPONENT
from drd.ports.dumps import FirstChecks

MOST_COMPONENTS = 3
"""So many databases become components: a drill restores the server once for each."""


@dataclass(frozen=True, slots=True)
class FoundStanza:
    """What drd found in a stanza. `config` is the reference of its configuration, or `options` are
    the options that pgBackRest needs. `place` has the keywords of a connection to its server;
    `keeps` is the retention rule in its configuration. `checks` are the checks of each database;
    databases in `empty` need no checks."""

    name: str
    databases: Sequence[str]
    empty: Sequence[str]
    checks: Mapping[str, FirstChecks]
    config: Mapping[str, str]
    options: Mapping[str, str]
    place: Mapping[str, str]
    keeps: Mapping[str, object]


@dataclass(slots=True)
class _Writer:
    name: str
    found: FoundStanza
    components: list[tuple[str, str, str]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        stanza = self.found
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield f"# pgBackRest makes the backups of this plan, in its stanza {stanza.name}."
        yield (
            "# drd lists, drills and recovers these copies, and never writes there "
            "(docs/adopted.md)."
        )
        yield f"plan: {inline(self.name)}"
        yield ""
        yield "# How much data may be lost: a little more than archive_timeout of the server."
        yield (
            "# Without archive_timeout, a server with few changes does not archive for a long time."
        )
        yield "objectives: {rpo: 1h, rto: 1h}"
        yield ""
        yield "# Each component restores the whole server: keep only the databases that matter."
        yield "components:"
        yield from self._components()
        yield ""
        yield "repositories:"
        yield "  theirs:"
        yield "    made_by: pgbackrest"
        yield f"    url: {inline(f'pgbackrest:{stanza.name}')}"
        yield "    pgbackrest:"
        if stanza.config:
            yield f"      config: {inline(dict(stanza.config))}"
        if stanza.options:
            yield f"      options: {inline(dict(stanza.options))}"
        yield ""
        if stanza.keeps:
            yield (
                "# What pgBackRest keeps at least. If a backup disappears earlier, drd "
                "raises an alert."
            )
            yield f"retention: {inline(dict(stanza.keeps))}"
        else:
            yield (
                "# What pgBackRest keeps at least. If a backup disappears earlier, drd "
                "raises an alert."
            )
            yield "# CHANGE THIS to the rules of pgBackRest, and remove the first #."
            yield "#retention: {last: 2}"
        yield ""
        yield "# These checks prove little. Replace them by queries whose answers you know."
        yield "checks:"
        for name, _, database in self.components:
            for check in self.found.checks[database].checks:
                yield f"  - {inline(_named(check, name))}"
        yield from self._suggested()
        yield ""
        yield "drill: {every: 7d}"

    def _suggested(self) -> Iterator[str]:
        """Yield checks that need somebody who knows the data, as comments."""
        known = [(n, self.found.checks[d].suggested) for n, _, d in self.components]
        checks = [_named(check, name) for name, check in known if check is not None]
        if checks:
            yield "# Use these checks if the data changes in every hour:"
        else:
            first = self.components[0][0]
            checks = [{**check, "component": first} for check in _LADDER]
        yield from (f"#  - {inline(check)}" for check in checks)

    def _components(self) -> Iterator[str]:
        taken = {OWN_COMPONENT, "manifest"}
        where = "&".join(f"{key}={value}" for key, value in self.found.place.items())
        if left := self.found.databases[MOST_COMPONENTS:]:
            yield f"  # Not in this plan: {inline(list(left))}"
        if self.found.empty:
            empty = inline(list(self.found.empty))
            yield f"  # Not in this plan, because no table has rows: {empty}"
        for database in self.found.databases[:MOST_COMPONENTS]:
            name = base = as_name(database)[:36] or "database"
            number = 1
            while name in taken:
                number += 1
                name = f"{base}-{number}"
            taken.add(name)
            yield f"  {name}:"
            yield "    kind: postgres"
            yield "    # The database in the backups. A drill does not connect to it."
            dsn = f"postgresql:///{quote(database, safe='')}"
            yield f"    dsn: {inline(f'{dsn}?{where}' if where else dsn)}"
            self.components.append((name, "postgres", database))


_LADDER: tuple[Mapping[str, Any], ...] = (
    {
        "name": "there are orders",
        "kind": "sql",
        "query": "select count(*) from orders",
        "expect": "> 0",
    },
    {
        "name": "the newest order is recent",
        "kind": "sql",
        "query": "select max(created_at) from orders",
        "expect": "within rpo",
    },
)


def _named(check: Mapping[str, Any], component: str) -> dict[str, Any]:
    """Return a check of one component: several may have tables of the same name."""
    name, kind = f"{component}: {check['name']}", check["kind"]
    rest = {key: value for key, value in check.items() if key not in ("name", "kind")}
    return {"name": name, "kind": kind, "component": component, **rest}


def stanza_starter(
    name: str, found: FoundStanza, credentials: Sequence[tuple[str, str]]
) -> Starter:
    """Return a plan that passes `drd plan check`."""
    writer = _Writer(name, found)
    text = "\n".join(writer.lines()) + "\n"
    return Starter(text, tuple(credentials), "", writer.components)
