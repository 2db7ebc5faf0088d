"""Simulate a year of a catalogue: measure what the daemon's upkeep costs, and whether the catalogue
grows.

Plans are backed up every 15 minutes, and retention forgets their points after a day. The catalogue
begins with the oldest possible rows; each day new runs are added, and old ones removed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.crowd import Crowd, backup_rows
from bench.table import Row, mb

_PLANS = 2
_PER_DAY = 96
_YEAR = 365
_FORGOTTEN_AFTER = timedelta(days=1)

_ALLOWED_PIECE_S = 1.0
_ALLOWED_GROWTH = 1.05


def rows(home: Path) -> list[Row]:
    from drd.daemon.monitor import KEPT

    crowd = Crowd(home / "year", _PLANS)
    crowd.look_after()
    year = _Year(crowd)
    begin = datetime.now(UTC) - timedelta(days=_YEAR)
    for day in range(KEPT.days + 1, 0, -1):
        year.comes_in(begin - timedelta(days=day))
    year.upkeep(begin - KEPT)
    year.forget_measures()
    bytes_before = year.bytes
    recording_s = 0.0
    for day in range(_YEAR):
        now = begin + timedelta(days=day)
        recording_s += year.comes_in(now)
        year.upkeep(now - KEPT)
    runs = _PLANS * _PER_DAY * _YEAR
    upkeep_s, growth = sum(year.pieces_s), year.bytes / bytes_before
    size, a_run = year.bytes, year.bytes / year.runs
    year.close()
    return [
        Row(f"a year's upkeep of the catalogue, {runs:,} runs", f"{upkeep_s:.1f} CPU s",
            f"{recording_s:.1f} s: as rows in bulk", upkeep_s / recording_s, "", None),
        Row(f"  longest of {len(year.pieces_s):,} pieces", f"{max(year.waits_s) * 1000:.0f} ms", "",
            None, f"< {_ALLOWED_PIECE_S:.0f} s", 0 < max(year.waits_s) < _ALLOWED_PIECE_S),
        Row("  its size after the year, against before", mb(size), mb(bytes_before), growth,
            f"<= {_ALLOWED_GROWTH}x", growth <= _ALLOWED_GROWTH),
        Row("  of that a run", f"{a_run / 1000:.2f} kB", "", None, "", None),
    ]  # fmt: skip


class _Year:
    """A catalogue in which days pass."""

    def __init__(self, crowd: Crowd) -> None:
        from drd.catalogue.engine import Database
        from drd.catalogue.sql_catalogue import open_catalogue
        from drd.config.plan_file import load_plan

        self._catalogue, self._database = (
            open_catalogue(crowd.url, create=False),
            Database(crowd.url),
        )
        self._plans = [load_plan(crowd.home / f"plans/{n}.yaml").plan for n in crowd.names()]
        self._number = 0
        self.forget_measures()

    def forget_measures(self) -> None:
        self.pieces_s: list[float] = []
        """CPU of each piece of the upkeep."""
        self.waits_s: list[float] = []
        """How long each kept other writers waiting."""

    def comes_in(self, day: datetime) -> float:
        """Add the runs of a day as rows; return the CPU seconds."""
        from drd.catalogue.tables import metadata

        began = time.process_time()
        found: dict[str, list[dict[str, Any]]] = {}
        for table, row in self._rows(day):
            found.setdefault(table, []).append(row)
        with self._database.write() as connection:
            for table, some in found.items():
                connection.execute(metadata.tables[table].insert(), some)
        return time.process_time() - began

    def _rows(self, day: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
        for plan in self._plans:
            for number in range(_PER_DAY):
                self._number += 1
                began = day + timedelta(minutes=15 * number)
                run = f"{self._number:08x}"
                yield from backup_rows(run, plan, began, forgotten_at=began + _FORGOTTEN_AFTER)

    def upkeep(self, before: datetime) -> None:
        """Do what the daemon does once a day: piece by piece, until nothing old is left."""
        while True:
            cpu, wall = time.process_time(), time.perf_counter()
            removed = self._catalogue.queue.remove_old(before)
            self.pieces_s.append(time.process_time() - cpu)
            self.waits_s.append(time.perf_counter() - wall)
            if not removed:
                return

    @property
    def bytes(self) -> int:
        """The size of the file, with everything in it."""
        with self._database.read() as connection:
            pages, size = (
                connection.exec_driver_sql(f"pragma {asked}").scalar_one()
                for asked in ("page_count", "page_size")
            )
        return int(pages * size)

    @property
    def runs(self) -> int:
        from sqlalchemy import func, select

        from drd.catalogue.tables import runs

        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(runs)).scalar_one())

    def close(self) -> None:
        self._catalogue.close()
        self._database.close()
