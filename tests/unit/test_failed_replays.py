"""Why a server of drd's could not replay the log of PostgreSQL, from what it logged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from drd.errors import TargetError
from drd.kinds.postgres.restored_server import RestoredServer
from drd.kinds.postgres.tools import PostgresPrograms
from drd.ports import Workplace
from drd.ports.destinations import DumpUnusable
from drd.process import Child

ASKED = "2026-11-30 19:20:41 UTC [7] FATAL:  the database system is not accepting connections\n"
MINIMAL = (
    '2026-11-30 19:20:42 UTC [5] FATAL:  WAL was generated with "wal_level=minimal", cannot '
    "continue recovering\n"
)
BROKEN = "2026-11-30 19:20:42 UTC [5] PANIC:  invalid magic number 0000\n"


def failing(logged: str, tmp_path: Any) -> RestoredServer:
    place = cast(Workplace, SimpleNamespace(directory=tmp_path, run_as=None, sandbox=None))
    programs = cast(PostgresPrograms, SimpleNamespace(version="17.6", major=17))
    server = RestoredServer(place, programs, timeline=1)
    server._log = cast(Any, SimpleNamespace(text=lambda: logged))
    return server


def test_cause_is_not_that_drd_asked_too_early(tmp_path: Any) -> None:
    server = failing(BROKEN + ASKED, tmp_path)
    with pytest.raises(DumpUnusable, match="cannot recover the backup: invalid magic number"):
        server._fail(cast(Child, SimpleNamespace(exit_code=1)))


def test_log_that_was_minimal_is_no_damage(tmp_path: Any) -> None:
    server = failing(MINIMAL + ASKED, tmp_path)
    with pytest.raises(TargetError, match="wal_level=minimal") as raised:
        server._fail(cast(Child, SimpleNamespace(exit_code=1)))
    assert "choose a time before that part" in (raised.value.hint or "")
