"""A sandbox: the restored server runs in the workplace, and reaches nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TypeVar

from drd.kinds.held import Held
from drd.kinds.postgres.connection import connect
from drd.kinds.postgres.physical import contents
from drd.kinds.postgres.physical.chain import base, copy_words, room
from drd.kinds.postgres.physical.combine import Landed
from drd.kinds.postgres.physical.inspect import ClusterInspector
from drd.kinds.postgres.physical.landed import programs_of, proven
from drd.kinds.postgres.physical.wal.replay import Roll, arranged
from drd.kinds.postgres.restore import sandbox_findings
from drd.kinds.postgres.restored_server import RestoredServer
from drd.kinds.postgres.server_text import shown
from drd.kinds.postgres.tools import PostgresPrograms
from drd.kinds.postgres.whole_server import not_loaded, notes_about
from drd.kinds.server_sandbox import FilesSandbox
from drd.model.snapshot import ComponentSnapshot, DatabaseFingerprint
from drd.ports import Finding, Restored, Workplace
from drd.ports.logs import LogReplay

_Server = TypeVar("_Server", bound=RestoredServer)

_BY_HAND = "follow the printed runbook of the kit (docs/recovery-without-drd.md)"
_VERIFY = "drd verify PLAN"
_SHOWN = 20


def restored(
    snapshot: ComponentSnapshot, server: RestoredServer, roll: Roll | None = None
) -> Restored:
    """Return what the restore of a server that now runs did, and what differs from its source: if
    more than the backup was replayed, that is not known."""
    rolled = roll.proven(server) if roll is not None else None
    notes: list[str] = []
    facts = snapshot.facts
    if facts["libraries"]:
        notes.append(not_loaded([shown(name) for name in facts["libraries"][:_SHOWN]]))
    with closing(connect(server.address("template1"))) as connection:
        databases = contents.names(connection)
        saved = snapshot.fingerprint
        differences: list[str] = []
        if roll is None and isinstance(saved, DatabaseFingerprint) and saved.properties:
            now = contents.properties(server.address, connection)
            differences = contents.differences(saved.properties, now)
    for name in databases:
        about = notes_about(server.address(name), server.programs.major)
        notes += [f"database {shown(name)}: {note}" for note in about]
    return Restored(
        tuple(notes),
        tuple(map(shown, differences)),
        facts={
            "server_version": server.programs.version,
            "server_settings": server.settings,
            **base(facts),
        },
        reached=rolled.words if rolled is not None else reached_words(snapshot, server),
        data_time=rolled.data_time if rolled is not None else None,
        overtaken=rolled is not None,
    )


def proven_for(
    made: type[_Server],
    snapshot: ComponentSnapshot,
    programs: PostgresPrograms,
    place: Workplace,
    on_tick: Callable[[], None],
    *,
    room: Path,
    log: LogReplay | None,
) -> tuple[_Server, Landed, Roll | None]:
    """Prove the fetched files in `room`, and the log that drd will replay on them, if there is one.
    Return the server that will take over the files, the proven files, and the proven log. Raises
    RepositoryDamaged, and TargetError if the replay should stop at a place that the log does not
    contain."""
    landed = proven(room, snapshot, programs, place)
    roll = arranged(landed, snapshot, log, programs, place) if log is not None else None
    return server_of(made, snapshot, programs, place, on_tick, roll=roll), landed, roll


def server_of(
    made: type[_Server],
    snapshot: ComponentSnapshot,
    programs: PostgresPrograms,
    place: Workplace,
    on_tick: Callable[[], None],
    *,
    roll: Roll | None = None,
) -> _Server:
    """Return the server for the files of a restore point. It does not run yet."""
    return made(
        place,
        programs,
        timeline=roll.end.line if roll is not None else int(snapshot.facts["timeline"]),
        stop_at=roll.stop_at if roll is not None else None,
        superuser=snapshot.facts["bootstrap_role"],
        on_tick=on_tick,
        by_hand=_BY_HAND,
        verify=_VERIFY,
    )


def reached_words(snapshot: ComponentSnapshot, server: RestoredServer) -> str:
    """Say where the replay of the backup alone ended."""
    facts = snapshot.facts
    text = (
        f"the end of the base backup, {facts['end_lsn']} on timeline {facts['timeline']} "
        f"({copy_words(facts)})"
    )
    if not server.last_transaction:
        return f"{text}; the WAL of the backup contains no transaction"
    return f"{text}; last transaction at {server.last_transaction} UTC"


class ClusterSandbox(FilesSandbox[RestoredServer]):
    """A sandbox that restores a whole server, and runs it with programs of the source's series."""

    def preflight(
        self,
        snapshot: ComponentSnapshot,
        *,
        overwrite: bool,  # noqa: ARG002 - nothing of anybody's is here
    ) -> list[Finding]:
        return sandbox_findings(
            self._component,
            lambda: programs_of(snapshot, self._bin_dir),
            self._place,
            room(snapshot.facts),
        )

    def _require_programs(self) -> None:
        programs_of(self._snapshot, self._bin_dir)

    def _start(self, snapshot: ComponentSnapshot, on_tick: Callable[[], None]) -> Restored:
        programs = programs_of(snapshot, self._bin_dir)
        server, landed, roll = proven_for(
            RestoredServer,
            snapshot,
            programs,
            self._place,
            on_tick,
            room=self._landing,
            log=self._log,
        )
        self._server = server
        server.take_over(landed.data, landed.spaces)
        return restored(snapshot, server, roll)

    def inspector(self) -> ClusterInspector:
        server = self._server
        assert server is not None
        default = self._snapshot.facts["database"]
        address = server.address(default)
        return ClusterInspector(
            Held(lambda: nullcontext(server.address)), address.uri, default, address.environment()
        )
