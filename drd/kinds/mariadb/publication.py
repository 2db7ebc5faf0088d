"""The databases of a run, and the step that gives a restored database its final name.

The server cannot rename a database. So one statement renames all tables, from the final name to a
kept database and from the working database to the final name: all of them or none. Code (views,
procedures, functions, triggers, events) cannot be renamed: it is recorded in a table before it is
dropped, and created again in its new database. This table is renamed with the others: the record of
the former database has the name `pending` before it, and `record` after it. So a run that was
killed knows what is left to do. The published database has the run's mark at the end of its comment
until the run has finished; in MySQL, where databases have no comments, an empty database is the
mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from drd.errors import DrdError, TargetError, TargetNotEmpty
from drd.kinds.mariadb import inbound_links, objects, users
from drd.kinds.mariadb.connection import Connection, ServerError, is_locked_out, words
from drd.kinds.mariadb.described import create_sql, has_table
from drd.kinds.mariadb.fingerprint import properties, tables_of
from drd.kinds.mariadb.quoting import ident, literal
from drd.kinds.mariadb.sequence_defaults import SequenceDefault
from drd.model.text import counted, escaped
from drd.ports import mark_of

_NAME_LIMIT = 64
_MARK = re.compile(r"\n?\[drd:[^\]\n]*\]$")
_COUNTS = """
SELECT (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s),
       (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s),
       (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s)"""


def without_mark(comment: str) -> str:
    return _MARK.sub("", comment)


class Publication:
    """One component's database on one server, for one run. All methods raise ServerError."""

    def __init__(self, admin: Connection, final: str, component: str, run: str) -> None:
        self._admin = admin
        self._run = run
        mark = mark_of(run)
        self.final = final
        self.working = f"{mark}_{component}"[:_NAME_LIMIT]
        self.aside = f"{mark}_before_{component}"[:_NAME_LIMIT]
        self.after = f"{mark}_after_{component}"[:_NAME_LIMIT]
        self._marker = f"{mark}_done_{component}"[:_NAME_LIMIT]
        self._record = f"{mark}_record"[:_NAME_LIMIT]
        self._pending = f"{mark}_pending"[:_NAME_LIMIT]

    # What is there

    def has(self, database: str) -> bool:
        return bool(properties(self._admin, database))

    @property
    def done(self) -> bool:
        """Whether this run has already given a database its final name."""
        if not self._admin.flavour.has_comments:
            return self.has(self._marker)
        comment = properties(self._admin, self.final).get("comment", "")
        return str(comment).endswith(f"[drd:{self._run}]")

    @property
    def half_done(self) -> bool:
        """Whether the tables have their final name already, and the code is still missing."""
        return self._has_record(self.final)

    def content(self, database: str) -> str:
        """Describe the content of a database; an empty text if it is empty or does not exist."""
        row = self._admin.one(_COUNTS, [database] * 3) or (0, 0, 0)
        tables, routines, events = (int(n) for n in row)
        parts = [
            (tables, counted(tables, "table or view", "tables and views")),
            (routines, counted(routines, "procedure or function", "procedures and functions")),
            (events, counted(events, "event")),
        ]
        return ", ".join(text for count, text in parts if count)

    def require_room(self, *, overwrite: bool) -> str:
        """Describe the content of the final database. Raises TargetNotEmpty if it is not empty and
        may not be replaced."""
        content = self.content(self.final)
        if content and not overwrite:
            raise TargetNotEmpty(
                f'target database "{escaped(self.final)}" is not empty ({content})',
                hint="give an empty --target, or --overwrite if these tables may be replaced.",
            )
        return content

    def require_no_links(self) -> None:
        """Raise TargetError if foreign keys of other databases refer to tables of the final one."""
        own = (self.working, self.aside, self.after)
        inbound_links.require_none(self._admin, self.final, own)

    # What a restore does

    def make_working(self, saved: dict[str, Any]) -> None:
        """Make an empty working database. If an earlier attempt left one, it is dropped."""
        self.drop(self.working)
        self._admin.execute(create_sql(self.working, saved).rstrip(";\n"))

    def drop(self, database: str) -> None:
        self._admin.execute(f"DROP DATABASE IF EXISTS {ident(database)}")

    def prepare(
        self,
        code: Sequence[objects.CodeObject],
        saved: dict[str, Any],
        former: str,
        defaults: Sequence[SequenceDefault] = (),
    ) -> None:
        """Record the code and the properties of the database in the filled working database, and
        the defaults that its columns get when the sequences have their final names."""
        self._write_record(self.working, code, saved, former, defaults=defaults)

    def publish(
        self, *, overwrite: bool, keep: bool, before_code: Callable[[], object] = lambda: None
    ) -> list[str]:
        """Give the working database its final name, and set a former database aside. `before_code`
        is called after the tables got their names, and before the code is created. Returns
        sentences about code with another collation, and about what drd could not drop."""
        if not self.half_done:
            content = self.require_room(overwrite=overwrite)
            exists = self.has(self.final)
            self._begin(self.working, self.aside if content else "", exists=exists)
        before_code()
        notes = self._finish(self.working, mark=True)
        return notes + self.drop_former(keep=keep)

    def drop_former(self, *, keep: bool) -> list[str]:
        if keep:
            return []
        try:
            self.drop(self.aside)
        except ServerError as error:
            return [
                f"drd could not drop the former database, which is now {self.aside}: {words(error)}"
            ]
        return []

    def give_back(self) -> None:
        """Give the former database its name back, after an exchange that could not be finished."""
        if not self.half_done:
            return
        if self._has_record(self.aside):
            # What is under the final name is dropped with the working database.
            self._begin(self.aside, self.working, exists=True)
            self._finish(self.aside, mark=False)
        else:
            self._admin.execute(f"DROP TABLE {ident(self.final)}.{ident(self._record)}")
            objects.drop_all(self._admin, self.final)
            tables = tables_of(self._admin, self.final)
            for table in tables.with_rows:
                with suppress(ServerError):
                    self._admin.execute("SET SESSION foreign_key_checks = 0")
                    self._admin.execute(f"DROP TABLE {ident(self.final)}.{ident(table.name)}")
            for name, kind in tables.others.items():
                if kind == "sequence":
                    self._admin.execute(f"DROP SEQUENCE {ident(self.final)}.{ident(name)}")
        self.drop(self.working)

    def _begin(self, incoming: str, outgoing: str, *, exists: bool) -> None:
        """Record and drop the code of the final database, and rename all tables in one step. If
        this fails, the final database gets its code back."""
        if not exists:
            saved = self._read_record(incoming)["saved"]
            self._admin.execute(create_sql(self.final, saved).rstrip(";\n"))
        if outgoing:
            self.require_no_links()
            if not self.has(outgoing):
                saved = properties(self._admin, self.final)
                self._admin.execute(create_sql(outgoing, saved).rstrip(";\n"))
            if not self.half_done and not self._holds(outgoing, self._pending):
                self._record_final(outgoing)
        pairs = self._pairs(outgoing, incoming)
        try:
            with self._locked(self._names(self.final)):
                objects.drop_triggers(self._admin, self.final)
            objects.drop_all(self._admin, self.final)
            self._rename(pairs)
        except (ServerError, DrdError):
            if outgoing:
                self._put_back(outgoing)
            raise

    def _record_final(self, outgoing: str) -> None:
        code = objects.read(self._admin, self.final)
        if hidden := objects.hidden(code):
            raise TargetError(
                f"the login may not see the definition of {hidden[0]}, so drd cannot set "
                f"database {self.final} aside",
                hint="run the script that `drd doctor PLAN --grants` prints.",
            )
        now_there = properties(self._admin, self.final)
        now_there["comment"] = without_mark(now_there["comment"])
        rights = users.rights_on_routines(self._admin, self.final)
        self._write_record(outgoing, code, now_there, self.final, rights, name=self._pending)

    def _put_back(self, outgoing: str) -> None:
        """Create the code again that was dropped for an exchange which then did not happen. Drop
        the empty database that was made for the former tables."""
        if self._holds(outgoing, self._pending):
            record = self._read_record(outgoing, self._pending)
            there = {(kind, name) for kind, name, _ in objects.listed(self._admin, self.final)}
            missing = [o for o in record["code"] if (o["kind"], o["name"]) not in there]
            self._set_collation(record["saved"])  # a killed run perhaps left another one
            self._make_code({**record, "code": missing})
        if self.has(outgoing) and not self._has_record(outgoing) and not self._names(outgoing):
            self.drop(outgoing)

    @contextmanager
    def _locked(self, names: Iterable[str]) -> Iterator[None]:
        """In the body no other session uses these tables of the final database. Raises TargetError
        if another session does not release them in time; then nothing was changed."""
        each = ", ".join(f"{ident(self.final)}.{ident(name)} WRITE" for name in names)
        try:
            if each:
                self._admin.execute(f"LOCK TABLES {each}")
        except ServerError as error:
            if not is_locked_out(error):
                raise
            raise TargetError(
                f"another session uses the tables of database {escaped(self.final)}: the "
                "transaction of this session did not end while drd waited. drd did not change the "
                "database",
                hint="stop the application, or find the session with SHOW FULL PROCESSLIST and end "
                "it, then try again.",
            ) from error
        try:
            yield
        finally:
            with suppress(ServerError):
                self._admin.execute("UNLOCK TABLES")

    def _pairs(self, outgoing: str, incoming: str) -> list[tuple[tuple[str, str], tuple[str, str]]]:
        """Return what to rename: pairs of (database, name), before and after."""
        final, record = self.final, self._record
        pairs = []
        if outgoing:
            pairs += [((final, name), (outgoing, name)) for name in self._names(final)]
            if self.half_done:
                pairs.append(((final, record), (outgoing, record)))
            else:
                pairs.append(((outgoing, self._pending), (outgoing, record)))
        names = [*self._names(incoming), record]
        return pairs + [((incoming, name), (final, name)) for name in names]

    def _rename(self, pairs: Sequence[tuple[tuple[str, str], tuple[str, str]]]) -> None:
        moves = [" TO ".join(f"{ident(a)}.{ident(n)}" for a, n in pair) for pair in pairs]
        self._admin.execute(f"RENAME TABLE {', '.join(moves)}")

    def _names(self, database: str) -> list[str]:
        """Return the tables and sequences of a database, without drd's record."""
        tables = tables_of(self._admin, database)
        sequences = [name for name, kind in tables.others.items() if kind == "sequence"]
        names = [*(t.name for t in tables.with_rows), *sequences]
        return [name for name in names if name not in (self._record, self._pending)]

    def _finish(self, incoming: str, *, mark: bool) -> list[str]:
        """Create the code of the final database, whose tables have their names, and drop the empty
        database that they came from. Returns sentences about code with another collation."""
        record = self._read_record(self.final)
        # First, since code keeps the collation that its database has when it is created.
        self._set_collation(record["saved"])
        notes = self._make_code(record)
        self._comment(record["saved"], mark=mark)
        self._admin.execute(f"DROP TABLE {ident(self.final)}.{ident(self._record)}")
        self._drop_empty(incoming)
        return notes

    def _set_collation(self, saved: dict[str, Any]) -> None:
        if saved:
            change = f"CHARACTER SET {saved['charset']} COLLATE {saved['collation']}"
            self._admin.execute(f"ALTER DATABASE {ident(self.final)} {change}")

    def _comment(self, saved: dict[str, Any], *, mark: bool) -> None:
        """Give the final database its comment, with or without the run's mark."""
        if self._admin.flavour.has_comments:
            comment = saved.get("comment", "")
            marked = f"{comment}\n[drd:{self._run}]".lstrip("\n") if mark else comment
            self._admin.execute(f"ALTER DATABASE {ident(self.final)} COMMENT {literal(marked)}")
        elif mark:
            self._admin.execute(f"CREATE DATABASE IF NOT EXISTS {ident(self._marker)}")
        else:
            self.drop(self._marker)

    def _make_code(self, record: dict[str, Any]) -> list[str]:
        for default in map(SequenceDefault._make, record.get("defaults", ())):
            place = f"{ident(self.final)}.{ident(default.table)}"
            self._admin.execute(default.statement(place, record["former"], self.final))
        refused, notes = objects.create(self._admin, self.final, record["code"], record["former"])
        if refused:
            raise TargetError(
                f"the server did not accept {counted(len(refused), 'object')} of the database. "
                f"The first one: {refused[0]}",
                hint="to create code of other users, the login needs the right SET USER (in MySQL "
                "SET_ANY_DEFINER): if this right is missing, run the script that `drd doctor PLAN "
                "--grants` prints. Otherwise correct the cause, then restore again.",
            )
        users.give_rights_on_routines(self._admin, self.final, record["rights"])
        return notes

    def _drop_empty(self, database: str) -> None:
        if self._names(database):
            raise TargetError(
                f"database {database} still has tables, so drd does not drop it",
                hint="check these tables with a client of the server: drd has renamed all tables "
                "that it knew.",
            )
        self.drop(database)

    # The record

    def _has_record(self, database: str) -> bool:
        return self._holds(database, self._record)

    def _holds(self, database: str, record: str) -> bool:
        if not has_table(self._admin, database, record):
            return False
        place = f"{ident(database)}.{ident(record)}"
        return bool(self._admin.value(f"SELECT COUNT(*) FROM {place}"))  # noqa: S608 - quoted name

    def _write_record(
        self,
        database: str,
        code: Sequence[objects.CodeObject],
        saved: dict[str, Any],
        former: str,
        rights: Sequence[Any] = (),
        *,
        defaults: Sequence[SequenceDefault] = (),
        name: str = "",
    ) -> None:
        table = f"{ident(database)}.{ident(name or self._record)}"
        self._admin.execute(f"DROP TABLE IF EXISTS {table}")
        self._admin.execute(
            f"CREATE TABLE {table} (id INT PRIMARY KEY, record LONGTEXT CHARACTER SET utf8mb4)"
            " ENGINE=InnoDB"  # with a key: a server can refuse tables without one
        )
        record = {"code": list(code), "saved": dict(saved), "former": former}
        text = json.dumps({**record, "rights": list(rights), "defaults": list(defaults)})
        self._admin.execute(f"INSERT INTO {table} VALUES (1, %s)", [text])  # noqa: S608 - quoted name

    def _read_record(self, database: str, name: str = "") -> dict[str, Any]:
        table = f"{ident(database)}.{ident(name or self._record)}"
        recorded: dict[str, Any] = json.loads(self._admin.value(f"SELECT record FROM {table}"))  # noqa: S608 - quoted
        return recorded

    # Kept copies

    def _ways(self, *, back: bool) -> tuple[str, str]:
        return (self.aside, self.after) if back else (self.after, self.aside)

    def require_exchangeable(self, *, back: bool) -> None:
        """Raise TargetError if another database has the name for the present database. A kept copy
        has a record: without one, an exchange in the other direction was killed before it renamed
        anything, and `take` is the kept copy."""
        give, take = self._ways(back=back)
        taken = self._has_record(give) and self.has(take) and not self._holds(take, self._pending)
        if not self.half_done and taken and (self._names(take) or self._has_record(take)):
            raise TargetError(
                f"cannot set database {self.final} aside as {take}: database {take} exists "
                f"already, in addition to the kept copy {give}",
                hint=f"drd did not create database {take}: if nobody needs this database, drop it, "
                "then try again.",
            )

    def swap(self, *, back: bool) -> None:
        """Give the final name to the former database (`back`), or to the database that this run
        made."""
        give, take = self._ways(back=back)
        if not self.has(give):
            return
        if self._has_record(give):
            exists = self.has(self.final)
            self._begin(give, take if exists else "", exists=exists)
        elif self._holds(give, self._pending):
            self._put_back(give)  # a killed run had dropped the code, and renamed nothing
            return
        if self.half_done:
            self._finish(give, mark=False)
        else:
            self._drop_empty(give)

    def discard(self) -> None:
        for database in (self.aside, self.after):
            if self._holds(database, self._pending):
                self._put_back(database)  # a killed exchange had dropped the code
        for database in (self.aside, self.after, self._marker):
            self.drop(database)

    def clean_up(self) -> None:
        """Drop a working database that did not get its final name, and remove the mark from a
        published database."""
        if self.half_done:
            return  # the run is resumed, or the recovery is undone
        self._put_back(self.aside)
        self.drop(self.working)
        if self.done:
            now_there = properties(self._admin, self.final)
            self._comment({"comment": without_mark(now_there["comment"])}, mark=False)
