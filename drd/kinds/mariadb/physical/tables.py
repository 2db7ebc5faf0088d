"""The target of a recovery of tables of one database of a copied server: copies beside the tables
of a live database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drd.errors import TargetError
from drd.kinds.databases import Dumped, mode_of
from drd.kinds.file_system import remove
from drd.kinds.mariadb.address import Address
from drd.kinds.mariadb.connection import Connection
from drd.kinds.mariadb.copies import Copies, Copy, triggers_left_out
from drd.kinds.mariadb.described import Read, size
from drd.kinds.mariadb.fingerprint import describe
from drd.kinds.mariadb.flavour import MARIADB
from drd.kinds.mariadb.inspect import MariadbInspector
from drd.kinds.mariadb.naming import copy_names, name_of
from drd.kinds.mariadb.physical import contents
from drd.kinds.mariadb.physical.one_database import Copied, OfServer
from drd.kinds.mariadb.restore import RestoreOrder, as_target_error, dump_file, load_tables
from drd.kinds.mariadb.sequence_defaults import has_sequences, take_out
from drd.kinds.mariadb.settings import MariadbTarget
from drd.kinds.mariadb.target import BEGUN
from drd.kinds.publish import read_journal, write_journal
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint, Fingerprint
from drd.model.text import escaped
from drd.ports import (
    Finding,
    OnProgress,
    Progress,
    Restored,
    RestoreOptions,
    Usage,
    Workplace,
)

_COPIES = "copies.json"
# Says in the workplace that the copies of tables have their names.


class TablesOfServer(OfServer):
    """The target that restores tables of one database of a copied server, as copies beside the
    tables of the live database."""

    def __init__(
        self,
        component: str,
        settings: MariadbTarget,
        place: Workplace,
        copied: Copied,
        options: RestoreOptions,
    ) -> None:
        assert options.part is not None
        super().__init__(component, settings, place, copied, options)
        self._part = options.part
        database, names = copy_names(options.part)
        tables = map(name_of, options.part.tables)
        self._copies = [Copy(t, database, n) for t, n in zip(tables, names, strict=True)]

    @property
    def _only(self) -> Sequence[str]:
        return [copy.table for copy in self._copies]

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:  # noqa: ARG002 - nothing is overwritten
        findings = self.check_access(snapshot)
        if self._admin is not None:
            with as_target_error(f"cannot read database {self._address().database}"):
                if not self._is_placed():
                    self._names_of_copies().require_free()
        return findings

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:
        where = next(iter(super().writes(snapshot)), "")
        return tuple(f"table {c.place} in {where}" for c in self._copies) if where else ()

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002
        return []  # the copies are new, and what is there stays

    def _names_of_copies(self) -> Copies:
        return Copies(self._reach(), self._names().working, self._place.mark, self._copies)

    def _is_placed(self) -> bool:
        journal = read_journal(self._place.directory / _COPIES)
        return bool(journal) or self._names_of_copies().placed

    def restore(
        self,
        snapshot: ComponentSnapshot,
        private: Mapping[str, Any],  # noqa: ARG002 - the server itself has everything
        *,
        on_progress: OnProgress,
    ) -> Restored:
        (self._place.directory / BEGUN).touch(mode=0o600)
        try:
            with as_target_error(f"cannot restore {', '.join(self._part.names)}"):
                copies = self._names_of_copies()
                if self._is_placed():
                    return Restored(("this run has already restored these tables",))
                copies.require_free()
                dumped, read = self._dumped(snapshot, on_progress)
                notes = self._put_in_place(copies, dumped, read, on_progress)
            return self.in_words(dumped, Restored(tuple(notes)))
        finally:
            remove(self._landing)

    def _put_in_place(
        self, copies: Copies, dumped: Dumped, read: Read, on_progress: OnProgress
    ) -> list[str]:
        admin, names = self._reach(), self._names()
        order = RestoreOrder(
            self._component,
            self._place,
            self._program(MARIADB),
            own=False,
            no_owner=True,
            overwrite=False,
        )

        def tick() -> None:
            done = size(admin, names.working)
            on_progress(Progress(self._component, "restore", done, None))

        dump = dump_file(self._landing, dumped.snapshot)
        taken = take_out(dump) if has_sequences(dumped.snapshot) else []
        names.make_working(dict(read.properties))
        load_tables(admin, order, dump, names.working, tick)
        notes = [*copies.detach(), *copies.without(taken)]
        notes += copies.put_in_place(read.properties)
        write_journal(self._place.directory / _COPIES, {"placed": True})
        return notes

    def _notes(self, connection: Connection, read: Read) -> list[str]:
        """Return notes about triggers that drd leaves out. Raises TargetError if the copied server
        has no such table, or has it without rows of its own, like a view."""
        content = contents.found_in(read.tables, read.name)
        there = {table.name for table in read.tables.with_rows}
        for table in self._only:
            if table not in there:
                raise TargetError(
                    f"database {escaped(read.name)} had no table {escaped(table)} at the time to "
                    "which drd restored it",
                    hint="check the name, or choose another restore point: drd points PLAN",
                )
            if table in content.without:
                raise TargetError(
                    f"{escaped(table)} is {content.without[table]}: drd cannot restore its rows",
                    hint="name only other tables.",
                )
        return triggers_left_out(connection, read.name, self._only)

    def _new_inspector(self) -> MariadbInspector:
        names = {c.name: table for c, table in zip(self._copies, self._part.tables, strict=True)}
        return _CopiesInspector(self._address(), self._login(), names)


class _CopiesInspector(MariadbInspector):
    """Inspects only the copies of tables. `names` has, by the name of a copy, the name of its table
    in the restore point."""

    def __init__(
        self, address: Address, environment: Mapping[str, str], names: Mapping[str, str]
    ) -> None:
        super().__init__(address, environment)
        self._names = names

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:
        assert isinstance(like, DatabaseFingerprint)
        mode = mode_of(like)
        with self._lock:
            connection = self._connection()
            described = describe(
                connection, self._address.database, mode=mode, budget_s=budget_s, only=self._names
            )
        return DatabaseFingerprint(
            mode,
            {self._names[name]: state for name, state in described.tables.items()},
            {self._names[name]: why for name, why in described.not_reached.items()},
        )
