"""A sandbox: a server of drd's own in the workplace, and the restore into it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drd import process
from drd.errors import DrdError, SandboxUnavailable
from drd.kinds.file_system import fresh
from drd.kinds.mariadb.connection import Connection, connect
from drd.kinds.mariadb.flavour import of_facts
from drd.kinds.mariadb.inspect import MariadbInspector
from drd.kinds.mariadb.restore import RestoreOrder, Restorer
from drd.kinds.mariadb.server import ThrowAwayServer, sandbox_programs
from drd.kinds.mariadb.tools import client
from drd.kinds.servers import no_space, room
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Destination, Finding, Inspector, OnProgress, Restored, Workplace

_FILES = 300 << 20
"""The size in bytes of the files of an empty server, with its logs."""


class MariadbSandbox(Destination):
    """A sandbox for one database. Its server has the source's series or a newer one."""

    def __init__(
        self, component: str, bin_dir: str | None, snapshot: ComponentSnapshot, place: Workplace
    ) -> None:
        self._flavour = of_facts(snapshot.facts)
        self._component = component
        self._bin_dir = bin_dir
        self._snapshot = snapshot
        self._place = place
        self._server: ThrowAwayServer | None = None
        self._admin: Connection | None = None
        self._inspector: MariadbInspector | None = None

    def preflight(
        self,
        snapshot: ComponentSnapshot,
        *,
        overwrite: bool,  # noqa: ARG002 - nothing of anybody's is here
    ) -> list[Finding]:
        name = self._component
        try:
            version = sandbox_programs(self._version, self._bin_dir, self._flavour).version
        except SandboxUnavailable as error:
            return [Finding("sandbox", "error", name, error.message, error.hint)]
        needed = snapshot.bytes + int(snapshot.facts["database_bytes"]) + _FILES
        return [
            Finding("sandbox", "ok", name, f"{self._flavour.name} {version}"),
            room(name, self._place, needed),
        ]

    @property
    def _version(self) -> str:
        return str(self._snapshot.facts["server_version"])

    @property
    def _database(self) -> str:
        return str(self._snapshot.facts["database"])

    def prepare(self) -> None:
        if self._server is None:
            programs = sandbox_programs(self._version, self._bin_dir, self._flavour)
            self._server = ThrowAwayServer(self._place, programs, self._bin_dir, self._flavour)
        self._server.start()
        if self._admin is None:
            self._admin = connect(self._server.address("mysql"))

    def landing(self) -> Path:
        return fresh(self._place.directory / "landing", parents=True)

    def restore(
        self, snapshot: ComponentSnapshot, private: Mapping[str, Any], *, on_progress: OnProgress
    ) -> Restored:
        self.prepare()
        assert self._admin is not None
        assert self._server is not None
        landing = self._place.directory / "landing"
        order = RestoreOrder(
            self._component,
            self._place,
            client(self._bin_dir, None, self._flavour),
            own=True,
            no_owner=False,
            overwrite=True,
        )
        try:
            done = Restorer(self._admin, self._database, order).restore(
                snapshot, private, landing, on_progress
            )
        except DrdError as error:
            # What failed for lack of room says nothing about the backup.
            if self._server.ran_out_of_space:
                raise no_space(self._place.directory) from error
            if not self._server.running:
                raise SandboxUnavailable(
                    f"the sandbox's {self._flavour.name} server of {self._component} ended: "
                    f"{self._server.last_words()}",
                    hint=process.MEMORY_HINT,
                    permanent=False,
                ) from error
            raise
        finally:
            shutil.rmtree(landing, ignore_errors=True)
        notes = done.notes
        here = self._server.program.version
        if here != self._version:
            name = self._flavour.name
            notes += (f"restored into {name} {here}; the source had {name} {self._version}",)
        facts = {
            **done.facts,
            "server_version": here,
            "server_settings": dict(self._server.settings),
        }
        return Restored(notes, done.differences, done.not_restored, facts)

    def inspector(self) -> Inspector:
        assert self._server is not None
        if self._inspector is None:
            self._inspector = MariadbInspector(self._server.address(self._database))
        return self._inspector

    def close(self) -> None:
        if self._inspector is not None:
            self._inspector.close()
        if self._admin is not None:
            self._admin.close()
        if self._server is not None:
            self._server.stop()
        shutil.rmtree(self._place.directory / "landing", ignore_errors=True)
