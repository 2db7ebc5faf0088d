"""The names of a run's databases, and the step that gives a restored one its final name.

A kept copy accepts no connections, so that no application uses it by mistake. A working database is
named after the run and the component. The published one has the run's mark at the end of its
comment until the run has finished, so a run that was killed in between recognises it.
"""

from __future__ import annotations

import psycopg

from drd.errors import SourceError, TargetError, TargetNotEmpty
from drd.kinds.postgres import database
from drd.kinds.postgres.cluster import Cluster
from drd.kinds.postgres.connection import words
from drd.kinds.postgres.quoting import ident

_NAME_LIMIT = 63

_COMMENT = """
SELECT pg_catalog.shobj_description(oid, 'pg_database')
  FROM pg_catalog.pg_database WHERE datname = %s"""


class DatabasePublication:
    """One component's database in one cluster, for one run. All methods raise psycopg.Error."""

    def __init__(self, cluster: Cluster, component: str, run: str) -> None:
        self._cluster = cluster
        self._run = run
        self.working = f"{cluster.mark}_{component}"[:_NAME_LIMIT]
        self.aside = f"{cluster.mark}_before_{component}"[:_NAME_LIMIT]
        self.after = f"{cluster.mark}_after_{component}"[:_NAME_LIMIT]

    @property
    def final(self) -> str:
        return self._cluster.address.dbname

    @property
    def done(self) -> bool:
        """Whether this run has already given a database its final name."""
        return self._comment().endswith(database.marked("", self._run))

    def _comment(self) -> str:
        row = self._cluster.one(_COMMENT, [self.final])
        return str(row[0] or "") if row else ""

    def make_working(self, create: str) -> None:
        """Make an empty working database; one that an earlier attempt left is dropped."""
        self._drop_working()
        self._cluster.execute(create)
        mark = database.marked("", self._run)
        self._cluster.execute(database.comment_sql(self.working, mark))

    def _drop_working(self) -> None:
        # A dump's subscriptions come back unconnected: no slot anywhere is theirs yet.
        self._cluster.drop_own(self.working, subscriptions=True)

    def require_room(self, *, overwrite: bool) -> str | None:
        """Describe the content of the database under the final name; empty if it has none, None if
        it does not exist. Raises TargetNotEmpty if it has content and may not be replaced.
        """
        try:
            content = self._cluster.content(self.final)
        except SourceError:
            if not overwrite:
                raise
            content = "drd could not check the content"
        if content and not overwrite:
            raise TargetNotEmpty(
                f'target database "{self.final}" is not empty ({content})',
                hint="give an empty --target, or --overwrite if these tables may be replaced.",
            )
        return content

    def publish(self, comment: str, *, overwrite: bool, keep: bool) -> list[str]:
        """Give the working database its final name, and take the name from a former database in the
        same transaction. The former database is dropped afterwards, unless it has content and is to
        be kept; return sentences about what was kept.
        """
        statements = [
            f"ALTER DATABASE {ident(self.working)} RENAME TO {ident(self.final)}",
            database.comment_sql(self.final, database.marked(comment, self._run)),
        ]
        content = self.require_room(overwrite=overwrite)
        if content is not None:
            statements[:0] = _named(self.final, self.aside, closed=bool(content) and keep)
        self._cluster.replace(statements, databases=(self.working, self.final))
        return self.drop_former(overwrite=overwrite, keep=keep)

    def drop_former(self, *, overwrite: bool, keep: bool) -> list[str]:
        """Drop the former database, unless it is kept, or somebody filled it after drd found it
        empty.
        """
        try:
            if keep and self._cluster.closed(self.aside):
                return []
            if keep or not overwrite:
                content = self._cluster.content(self.aside)
                if content:
                    return [
                        (
                            "the former database received new data during the recovery "
                            f"({content}), so drd keeps this database as {self.aside}"
                        )
                    ]
            self._cluster.drop_own(self.aside)
        except psycopg.Error as error:
            return [
                f"drd could not drop the former database, which is now {self.aside}: {words(error)}"
            ]
        return []

    def _ways(self, *, back: bool) -> tuple[str, str]:
        return (self.aside, self.after) if back else (self.after, self.aside)

    def require_exchangeable(self, *, back: bool) -> None:
        """Raise TargetError if a rename would find its new name taken."""
        give, take = self._ways(back=back)
        if all(self._cluster.has(name) for name in (give, self.final, take)):
            raise TargetError(
                f"cannot rename database {self.final} to {take}: database {take} exists already, "
                f"in addition to the kept copy {give}",
                hint=f"drd did not make database {take}: rename or drop it, then try again.",
            )

    def swap(self, *, back: bool) -> None:
        """Give the final name to the former database (`back`), or to the database that this run
        made."""
        give, take = self._ways(back=back)
        if not self._cluster.has(give):
            return
        statements = _named(give, self.final, closed=False)
        if self._cluster.has(self.final):
            statements[:0] = _named(self.final, take, closed=True)
        self._cluster.replace(statements, databases=(give, self.final))

    def discard(self) -> None:
        self._cluster.drop_own(self.aside)
        self._cluster.drop_own(self.after)

    def clean_up(self) -> None:
        """Drop a working database without its final name, and remove the mark from a
        published one.
        """
        self._drop_working()
        if self.done:
            comment = database.without_mark(self._comment())
            self._cluster.execute(database.comment_sql(self.final, comment))


def _named(old: str, new: str, *, closed: bool) -> list[str]:
    allowed = "false" if closed else "true"
    return [
        f"ALTER DATABASE {ident(old)} RENAME TO {ident(new)}",
        f"ALTER DATABASE {ident(new)} ALLOW_CONNECTIONS {allowed}",
    ]
