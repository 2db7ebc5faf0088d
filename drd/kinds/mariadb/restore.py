"""Restore a database, for a sandbox and for a target.

All data is loaded into a working database that carries the run's mark. One statement at the end
gives its tables their final name; an incomplete database never has this name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drd.errors import DrdError, RepositoryDamaged, SandboxUnavailable, TargetError
from drd.kinds.mariadb import objects, users
from drd.kinds.mariadb.connection import Connection, ServerError, version_text, words
from drd.kinds.mariadb.described import size as size_of
from drd.kinds.mariadb.fingerprint import properties
from drd.kinds.mariadb.flavour import of_facts
from drd.kinds.mariadb.load import is_whole, load, loader, refusal
from drd.kinds.mariadb.manifest import filename
from drd.kinds.mariadb.publication import Publication, without_mark
from drd.kinds.mariadb.sequence_defaults import has_sequences, take_out
from drd.kinds.mariadb.server import says_no_space
from drd.kinds.mariadb.tools import Program
from drd.kinds.servers import no_space
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted, escaped, some
from drd.ports import OnProgress, Progress, Restored, Workplace
from drd.ports.destinations import DumpUnusable
from drd.process import MEMORY_HINT, Completed, ended

_SAID = 400
_CANNOT_MAKE = ("errno: 140", "errno: 168")
"""Parts of the error about a table that the server cannot make, though its form is right."""
_OTHER_POINT = "choose another restore point: drd points PLAN"


@contextmanager
def as_target_error(what: str) -> Iterator[None]:
    """Convert errors of the server in the body to TargetError."""
    try:
        yield
    except ServerError as error:
        raise TargetError(
            f"{what}: {words(error)}",
            hint="correct the cause, then try again. For missing rights: run the script that `drd "
            "doctor PLAN --grants` prints.",
        ) from error


def other_product(connection: Connection, facts: Mapping[str, Any]) -> TargetError | None:
    """Return the error for a server of another product than that of the restore point; None if the
    product is the same."""
    here, source = connection.flavour, of_facts(facts)
    if here is source:
        return None
    return TargetError(
        f"the target's server is {here.name} {version_text(connection)}, but the restore point is "
        f"of {source.name} {facts['server_version']}: {here.name} does not read all that "
        f"{source.name} writes (types, collations, code, hashes of passwords)",
        hint=f"restore into a server of {source.name}. To change the product, restore into "
        f"{source.name} first, then move the data as the documentation of the other product says.",
    )


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """What to restore, and how. `own`: into a server that drd made; `overwrite`: the content of the
    final database may be replaced; `keep`: drd keeps the replaced content under another name."""

    component: str
    place: Workplace
    client: Program
    own: bool
    no_owner: bool
    overwrite: bool
    keep: bool = False


class Restorer:
    """Restores one database into one server."""

    def __init__(self, admin: Connection, final: str, order: RestoreOrder) -> None:
        self._admin = admin
        self._order = order
        self.names = Publication(admin, final, order.component, order.place.run)

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        landing: Path,
        on_progress: OnProgress,
    ) -> Restored:
        """Restore the whole database. Raises TargetError with the message of the server."""
        order, names, facts = self._order, self.names, snapshot.facts
        if error := other_product(self._admin, facts):
            raise error
        if "objects" not in private or "users" not in private:
            raise DumpUnusable(
                f"the restore point does not describe the database of {order.component}",
                hint="use another restore point, or load the dump by hand.",
            )
        notes: list[str] = []
        with as_target_error(f"cannot restore {order.component}"):
            if names.done:
                notes.append(f"this run has restored {names.final} already")
                notes += names.drop_former(keep=order.keep)
            else:
                notes += self._publish(snapshot, private, landing, on_progress)
            notes += self._rights(private)
            return self._restored(facts, private, notes)

    def _publish(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],
        landing: Path,
        on_progress: OnProgress,
    ) -> list[str]:
        order, names = self._order, self.names
        if not names.half_done:
            names.require_room(overwrite=order.overwrite)
            dump = dump_file(landing, snapshot)
            self._require_whole(snapshot, dump)
            defaults = take_out(dump) if has_sequences(snapshot) else []
            self._fill(snapshot, dump, on_progress)
            former = str(snapshot.facts["database"])
            names.prepare(self._code(private), saved_of(snapshot.facts), former, defaults)
        notes = self._users(snapshot, private)
        try:
            return notes + names.publish(
                overwrite=order.overwrite,
                keep=order.keep,
                # A view over a view can be made only if the definer of the inner one may read.
                before_code=lambda: self._rights(private),
            )
        except (ServerError, TargetError):
            with suppress(ServerError, DrdError):
                names.give_back()
            raise

    def _code(self, private: Mapping[str, Any]) -> list[Any]:
        """Return the code to create; with --no-owner it names no users of the source."""
        code = list(private["objects"])
        return objects.without_definer(code) if self._order.no_owner else code

    def _users(self, snapshot: ComponentSnapshot, private: Mapping[str, Any]) -> list[str]:
        """Create the missing users. Returns sentences about what drd could not do."""
        if self._order.no_owner:
            return []
        notes = users.create_missing(self._admin, private["users"], own=self._order.own)
        definers = snapshot.facts["definers"]
        return notes + users.missing_definers(
            self._admin, definers, self.names.final, own=self._order.own
        )

    def _rights(self, private: Mapping[str, Any]) -> list[str]:
        if self._order.no_owner:
            return []
        return users.grant_rights(self._admin, private["users"], self.names.final)

    def _require_whole(self, snapshot: ComponentSnapshot, dump: Path) -> None:
        if dump.stat().st_size != snapshot.bytes or not is_whole(dump):
            raise RepositoryDamaged(
                f"the dump of {self._order.component} is cut off or damaged: it does not have the "
                "size that drd recorded, or its last line does not say that the dump is complete",
                hint=f"the target is unchanged; {_OTHER_POINT}",
            )

    def _fill(self, snapshot: ComponentSnapshot, dump: Path, on_progress: OnProgress) -> None:
        """Load the dump into an empty working database."""
        names, order = self.names, self._order
        names.make_working(saved_of(snapshot.facts))
        load_tables(self._admin, order, dump, names.working, self._ticker(snapshot, on_progress))

    def _ticker(self, snapshot: ComponentSnapshot, on_progress: OnProgress) -> Callable[[], None]:
        """Report progress by the size of the working database."""
        total = snapshot.facts.get("database_bytes")

        def tick() -> None:
            with suppress(ServerError):
                size = size_of(self._admin, self.names.working)
                on_progress(Progress(self._order.component, "restore", size, total))

        return tick

    def _restored(
        self, facts: Mapping[str, Any], private: Mapping[str, Any], notes: list[str]
    ) -> Restored:
        left: tuple[str, ...] = tuple(users.not_granted(private["users"]))
        if self._order.no_owner:
            left = tuple(
                f"user {escaped(u['user'])}@{escaped(u['host'])}".rstrip("@")
                for u in private["users"]
            )
        left += tuple(
            f"{what}, which was broken at the backup already"
            for what in objects.broken(private["objects"])
        )
        notes += _about_events(private["objects"], own=self._order.own)
        former, here = str(facts["database"]), self.names.final
        now = objects.read(self._admin, here)
        if self._order.no_owner:
            now = objects.without_definer(now)
        differing = objects.differences(self._code(private), now, former, here)
        if not self._order.no_owner:
            differing += users.differences(self._admin, private["users"], here)
        now_there = properties(self._admin, here)
        for key, label in (("charset", "character set"), ("collation", "collation")):
            if now_there.get(key) != facts[key]:
                differing.append(
                    f"the {label} of the database is {now_there.get(key)!r}, but {facts[key]!r} at "
                    "backup"
                )
        if without_mark(now_there.get("comment", "")) != facts["comment"]:
            differing.append("the comment of the database differs from the comment at backup")
        more = {self._admin.flavour.client: self._order.client.version}
        return Restored(tuple(notes), tuple(differing), left, more)


def load_tables(
    admin: Connection,
    order: RestoreOrder,
    dump: Path,
    working: str,
    on_tick: Callable[[], None],
) -> None:
    """Load a dump into the empty database `working`. Raises TargetError, and DumpUnusable for a
    dump that makes more than tables."""
    login = f"{order.place.mark}_{order.component}"
    with loader(admin, login, working) as address:
        done = load(
            order.client, dump, address, order.place, admin.flavour, own=order.own, on_tick=on_tick
        )
    _require_success(order, done, admin.flavour.client)
    if foreign := objects.listed(admin, working):
        kind, name, _ = foreign[0]
        raise DumpUnusable(
            f"the dump of {order.component} has created {kind} {escaped(name)}, but a dump "
            "that drd makes contains tables only",
            hint=f"somebody else has written this dump; {_OTHER_POINT}",
        )


def _require_success(order: RestoreOrder, done: Completed, program: str) -> None:
    if done.exit_code == 0:
        return
    if done.killed:
        text = f"the program {program}, which loads {order.component}, {ended(done.exit_code)}"
        raise (SandboxUnavailable if order.own else TargetError)(
            text, hint=MEMORY_HINT, permanent=False
        )
    said = refusal(done)
    if says_no_space(said) and order.own:
        raise no_space(order.place.directory)
    if says_no_space(said):
        raise TargetError(
            "the disk of the target's server is full, so the server did not accept the whole dump "
            f"of {order.component}: {escaped(said)[:_SAID]}",
            hint="the target is unchanged. Free space on the disk of its server: until `drd "
            "done`, this disk needs room for the old data and for the restored data. Then start "
            "the recovery again.",
        )
    if any(number in said for number in _CANNOT_MAKE):
        raise TargetError(
            f"the server did not accept the dump of {order.component}: {escaped(said)[:_SAID]}",
            hint="the target is unchanged. Perhaps the server lacks the keys of an encrypted "
            "table, or the directory that the table names: `drd doctor PLAN` names such tables of "
            "the source (finding `outside`).",
        )
    raise TargetError(
        f"the server did not accept the dump of {order.component}: {escaped(said)[:_SAID]}",
        hint="the target is unchanged. Correct the cause, then restore again. A dump that drd "
        "makes only creates and fills tables of one database: the login for the load has no "
        "other rights.",
    )


def _about_events(code: Iterable[Mapping[str, Any]], *, own: bool) -> list[str]:
    """Return sentences about events whose time is over, and about events that run from now on."""
    events = [o for o in code if o["kind"] == "event"]
    over = [escaped(o["name"]) for o in events if objects.is_over(o)]
    live = [escaped(name) for name in objects.enabled_events(events)]
    notes = []
    if over:
        notes.append(f"the scheduled time of {counted(len(over), 'event')} is over: {some(over)}")
    if live and not own:
        notes.append(
            f"{counted(len(live), 'event')} of the database can run on this server from now on: "
            f"{some(live)}. To stop one: ALTER EVENT NAME DISABLE"
        )
    return notes


def saved_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties with which drd creates the database."""
    return {key: facts[key] for key in ("charset", "collation", "comment")}


def dump_file(landing: Path, snapshot: ComponentSnapshot) -> Path:
    """Return the one file in the restored directory. Raises RepositoryDamaged if it is missing."""
    name = filename(snapshot.component)
    dump = next((p for p in landing.rglob(name) if p.is_file() and not p.is_symlink()), None)
    if dump is None:
        raise RepositoryDamaged(
            f"the snapshot of {snapshot.component} does not contain {name}", hint=_OTHER_POINT
        )
    return dump
