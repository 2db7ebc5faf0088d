"""The named target of a recovery: a database on an existing server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drd import log
from drd.errors import DrdError, TargetError
from drd.kinds.file_system import fresh
from drd.kinds.mariadb import users
from drd.kinds.mariadb.address import Address, address_of, write_options
from drd.kinds.mariadb.connection import (
    Connection,
    LoginRefused,
    ServerError,
    connect,
    own_sessions,
    version_text,
    words,
)
from drd.kinds.mariadb.flavour import MYSQL, Flavour
from drd.kinds.mariadb.grants import all_on
from drd.kinds.mariadb.inspect import MariadbInspector
from drd.kinds.mariadb.publication import Publication
from drd.kinds.mariadb.quoting import account, db_pattern, ident
from drd.kinds.mariadb.restore import RestoreOrder, Restorer, as_target_error, other_product
from drd.kinds.mariadb.roles import parts_of
from drd.kinds.mariadb.settings import MariadbSettings, MariadbTarget
from drd.kinds.mariadb.tools import Program, client, series, series_text
from drd.kinds.servers import room
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted, escaped, some
from drd.ports import (
    Finding,
    Inspector,
    NamedDestination,
    OnProgress,
    Restored,
    RestoredPlace,
    RestoreOptions,
    Task,
    Usage,
    Workplace,
)
from drd.process import container_of

_OVERWRITE = "overwrite"
# Says in the workplace that the operator agreed, for whoever continues a killed recovery.

BEGUN = "begun"
# Says there that the server may hold a working database of this run.

LOGIN = "my.cnf"
"""The option file that the variable MYSQL_HOME leads to."""

_SESSIONS = """
SELECT USER, SUBSTRING_INDEX(HOST, ':', 1), COUNT(*) FROM information_schema.PROCESSLIST
 WHERE DB = %s AND ID NOT IN %s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"""
_EFFECT = (
    "these sessions see the restored tables from their next statement on. An open transaction "
    "makes drd wait for up to 60 s"
)
_MOVES_TABLES = ("CREATE", "ALTER", "DROP", "INSERT")
"""The rights without which the server renames no table into a database, or out of it."""

_POWERFUL = """
SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES
 WHERE GRANTEE = %s AND PRIVILEGE_TYPE IN
   ('SUPER', 'FILE', 'CREATE USER', 'SET USER', 'SYSTEM_USER', 'SET_ANY_DEFINER', 'SET_USER_ID')"""


class MariadbTargetDatabase(NamedDestination):
    """The database that a target's dsn names, on its server; it is created if it is missing."""

    def __init__(
        self,
        component: str,
        settings: MariadbTarget | MariadbSettings,
        place: Workplace,
        options: RestoreOptions,
        database: str | None = None,
    ) -> None:
        """`database` replaces the database in the dsn."""
        self._component = component
        self._settings = settings
        self._place = place
        self._options = options
        self._database = database
        self._given: Address | None = None
        self._admin: Connection | None = None
        self._inspector: MariadbInspector | None = None
        self._asking = threading.Lock()

    def _address(self) -> Address:
        if self._given is None:
            given = address_of(self._settings.dsn, container_of(self._settings))
            self._require_other(given.database)
            self._given = given.to_database(self._database or given.database)
        return self._given

    def _require_other(self, own: str) -> None:
        """Raise TargetError if the name for a copy is that of the target's own database."""
        if self._database == own:
            raise TargetError(
                f"--into {self._database} is the database of the target itself",
                hint="give another name.",
            )

    def _reach(self) -> Connection:
        """Connect on first use, without a database: the database of the target may be missing."""
        if self._admin is None:
            self._admin = connect(self._address(), database=False)
        return self._admin

    def _names(self) -> Publication:
        return Publication(
            self._reach(), self._address().database, self._component, self._place.run
        )

    def preflight(self, snapshot: ComponentSnapshot, *, overwrite: bool) -> list[Finding]:
        findings = self.check_access(snapshot)
        if self._admin is not None:
            agreed = self._place.directory / _OVERWRITE
            agreed.unlink(missing_ok=True)
            names = self._names()
            with as_target_error(f"cannot read database {self._address().database}"):
                if overwrite:
                    agreed.touch(mode=0o600)
                    if not names.done and not names.half_done:
                        names.require_no_links()
                    return findings
                if not names.done and not names.half_done:
                    names.require_room(overwrite=False)
        return findings

    def check_access(self, snapshot: ComponentSnapshot) -> list[Finding]:
        name = self._component
        try:
            admin = self._reach()
        except DrdError as error:
            login = isinstance(error, LoginRefused) and self._is_of_whoever_runs
            return [Finding("target", "error", name, error.message, error.hint, login=login)]
        product = admin.flavour
        return [
            Finding("target", "ok", name, f"{product.name} {version_text(admin)} answers"),
            _versions(admin, name, snapshot),
            self._client(product),
            self.room(snapshot),
            *(replace(f, login=self._is_of_whoever_runs) for f in self._rights(admin)),
            *self._about_code(admin, snapshot),
        ]

    @property
    def _is_of_whoever_runs(self) -> bool:
        return self._given is not None and self._given.is_of_whoever_runs

    def room(self, snapshot: ComponentSnapshot) -> Finding:
        """Check whether there is room for the fetched dump, and for what drd makes of it."""
        return room(self._component, self._place, snapshot.bytes)

    def _about_code(self, admin: Connection, snapshot: ComponentSnapshot) -> list[Finding]:
        """Return findings about the code (views, procedures, events …) that the recovery
        creates."""
        return [*self._others_code(admin, snapshot.facts["definers"]), *self._events(snapshot)]

    def _client(self, flavour: Flavour) -> Finding:
        if flavour is MYSQL:
            return self._version("mysql", flavour)
        return self._version("mariadb", flavour)

    def _version(self, code: str, flavour: Flavour) -> Finding:
        name = self._component
        try:
            return Finding(code, "ok", name, f"version {self._program(flavour).version}")
        except DrdError as error:
            return Finding(code, "error", name, error.message, error.hint)

    def _program(self, flavour: Flavour) -> Program:
        return client(self._settings.bin_dir, container_of(self._settings), flavour)

    def _rights(self, admin: Connection) -> list[Finding]:
        """Try what a recovery does first: make and drop a database and a login."""
        mark, name = f"{self._place.mark}_try"[: admin.flavour.longest_user], self._component
        try:
            who = account(mark, "localhost")
            admin.execute(f"CREATE DATABASE IF NOT EXISTS {ident(mark)}")
            try:
                admin.execute(f"CREATE USER IF NOT EXISTS {who}")
                try:
                    admin.execute(f"GRANT SELECT ON {db_pattern(mark)}.* TO {who}")
                finally:
                    admin.execute(f"DROP USER IF EXISTS {who}")
            finally:
                admin.execute(f"DROP DATABASE IF EXISTS {ident(mark)}")
            database = self._address().database
            held = users.held(admin, database)
        except ServerError as error:
            text = f"the login may not restore a database on this server: {words(error)}"
            return [Finding("target-rights", "error", name, text, self._to_restore(admin))]
        lacking = [] if "ALL PRIVILEGES" in held else [r for r in _MOVES_TABLES if r not in held]
        if lacking:
            text = f"the login does not have {', '.join(lacking)} on database {escaped(database)}"
            hint = self._to_replace(admin, database)
            return [Finding("target-rights", "error", name, text, hint)]
        text = f"the login may make databases and users, and restore database {escaped(database)}"
        return [Finding("target-rights", "ok", name, text)]

    def _to_restore(self, admin: Connection) -> str:  # noqa: ARG002 - the script has everything
        return "run the script that `drd doctor PLAN --grants` prints."

    def _to_replace(self, admin: Connection, database: str) -> str:
        """Return what gives the login the rights on the database itself. In the script, they are
        comments if the plan has a target for the component, and this is a recovery in place."""
        who = account(*parts_of(str(admin.value("SELECT CURRENT_USER()"))))
        return f"as an administrator of the server: {all_on(database, who)}"

    def _others_code(self, admin: Connection, definers: Iterable[str]) -> list[Finding]:
        """Report code that will run with the rights of powerful users of this server."""
        powerful = []
        for definer in definers:
            user, host = parts_of(str(definer))
            try:
                powers = admin.value(_POWERFUL, [f"'{user}'@'{host}'"])
            except ServerError:
                powers = 0
            if powers:
                powerful.append(escaped(str(definer)))
        if not powerful:
            return []
        text = (
            "the database has code (views, procedures, functions, triggers or events) that runs "
            f"with the rights of {some(powerful)}. Such users may change the whole server"
        )
        hint = "check that only people you trust could change the source database."
        return [Finding("code-of-others", "warning", self._component, text, hint)]

    def _events(self, snapshot: ComponentSnapshot) -> list[Finding]:
        names = [escaped(str(name)) for name in snapshot.facts.get("events", ())]
        if not names:
            return []
        text = (
            f"{counted(len(names), 'event')} of the database ({some(names)}) can run on this "
            "server as soon as the recovery has created the events, also in a copy beside the "
            "database"
        )
        hint = (
            "if the events must not run there: run SET GLOBAL event_scheduler = OFF on the "
            "target's server before the recovery, and ALTER EVENT NAME DISABLE for each event "
            "after it."
        )
        return [Finding("events", "warning", self._component, text, hint)]

    def writes(self, snapshot: ComponentSnapshot) -> tuple[str, ...]:  # noqa: ARG002 - one database
        try:
            return (f"database {self._address().uri}",)
        except DrdError:
            return ()  # `check_access` says why it cannot be read

    def lands_apart(self, snapshot: ComponentSnapshot) -> bool:
        return not self.room(snapshot).failed

    @property
    def _landing(self) -> Path:
        return self._place.directory / "landing"

    def landing(self) -> Path:
        return fresh(self._landing, parents=True)

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        (self._place.directory / BEGUN).touch(mode=0o600)
        order = RestoreOrder(
            self._component,
            self._place,
            self._program(self._reach().flavour),
            own=False,
            no_owner=self._options.no_owner,
            overwrite=(self._place.directory / _OVERWRITE).exists(),
            keep=self._options.keep,
        )
        try:
            restorer = Restorer(self._reach(), self._address().database, order)
            return restorer.restore(snapshot, private, self._landing, on_progress)
        finally:
            shutil.rmtree(self._landing, ignore_errors=True)

    def in_use(self, snapshot: ComponentSnapshot) -> list[Usage]:  # noqa: ARG002 - one database
        name = self._address().database
        with as_target_error(f"cannot list the sessions of {self._component}"):
            admin = self._reach()
            rows = admin.rows(_SESSIONS, [name, own_sessions(admin)])
        if not rows:
            return []
        by = tuple(
            f"{counted(int(n), 'session')} of {escaped(str(u))} from {escaped(str(h))}"
            for u, h, n in rows
        )
        return [Usage(what=f'database "{escaped(name)}"', by=by, effect=_EFFECT)]

    def now_at(self, snapshot: ComponentSnapshot) -> RestoredPlace:
        parts = self._address().parts
        values = {"host": parts.host, "socket": parts.socket, "database": parts.database}
        values["user"] = parts.user
        if parts.host:
            values["port"] = str(parts.port)
        kept = {name: value for name, value in values.items() if value}
        return RestoredPlace(places=self.writes(snapshot), address=parts.uri(), values=kept)

    def left_to_do(self, snapshot: ComponentSnapshot) -> tuple[Task, ...]:  # noqa: ARG002
        return ()

    def inspector(self) -> Inspector:
        with self._asking:
            if self._inspector is None:
                self._inspector = self._new_inspector()
            return self._inspector

    def _new_inspector(self) -> MariadbInspector:
        return MariadbInspector(self._address(), self._login())

    def _login(self) -> dict[str, str]:
        """Return the variables that a command needs to log in."""
        address = self._address()
        if not address.parts.password:
            return {}
        flavour = self._reach().flavour
        write_options(address, self._place.directory / LOGIN, flavour=flavour)
        return {"MYSQL_HOME": str(self._place.directory)}

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
            self._inspector = None
        begun = self._place.directory / BEGUN
        if begun.exists():
            try:
                self._names().clean_up()
                begun.unlink(missing_ok=True)
            except (ServerError, DrdError) as error:
                said = words(error) if isinstance(error, ServerError) else error.message
                log.get().warning("target.not_cleaned", component=self._component, error=said)
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        (self._place.directory / LOGIN).unlink(missing_ok=True)


def _versions(admin: Connection, component: str, snapshot: ComponentSnapshot) -> Finding:
    if error := other_product(admin, snapshot.facts):
        return Finding("version", "error", component, error.message, error.hint)
    here, source = version_text(admin), str(snapshot.facts["server_version"])
    product = admin.flavour.name
    if series(here) < series(source):
        text = f"the target's {product} {here} is older than the {product} {source} of the source"
        hint = f"restore into {product} {series_text(source)} or newer."
        return Finding("version", "error", component, text, hint)
    text = f"the target has {product} {here}, the source had {product} {source}"
    return Finding("version", "ok", component, text)
