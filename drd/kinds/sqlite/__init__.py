"""SQLite: one database file."""

from os.path import normpath

from drd.kinds.sqlite.settings import SqliteSettings, SqliteTarget
from drd.ports.kinds import Ability, Compared, Holds, KeyUse, KindSpec, Starting


def _paths(settings: SqliteSettings | SqliteTarget) -> tuple[str, ...]:
    return (settings.path,)


def _fingerprints(settings: SqliteSettings) -> bool:
    return settings.fingerprint.mode != "off"


def _is_source(component: SqliteSettings, target: SqliteTarget) -> bool:
    return normpath(component.path) == normpath(target.path)


SPEC = KindSpec(
    name="sqlite",
    settings=SqliteSettings,
    target=SqliteTarget,
    adapter="drd.kinds.sqlite.kind:SqliteKind",
    holds=Holds.TABLES,
    can=frozenset(Ability) - {Ability.DATABASES, Ability.LOG, Ability.INSTANT},
    freezes=True,
    comparison="rows",
    compared=Compared(("tables", "rows", "names of views", "schema as a whole", "settings")),
    paths=_paths,
    fingerprints=_fingerprints,
    is_source=_is_source,
    keys={"path": KeyUse.READS, "fingerprint": KeyUse.HARMLESS},
    target_keys={"path": KeyUse.WRITES},
    queries_only_read=True,
    by_hand="drd.kinds.sqlite.by_hand:by_hand",
    programs={"sqlite3": ("sqlite3",)},
    starting=Starting("drd.kinds.sqlite.discovery:wishes", find="drd.kinds.sqlite.discovery:found"),
    adopts="drd.kinds.sqlite.adopted:adopts",
    recognises="drd.kinds.sqlite.dump_file:recognise",
    begins=b"SQLite format 3\0",
    first_checks="drd.kinds.sqlite.dump_file:first_checks",
)
