"""The plans in force: read at the start and at a reload, and only then.

A file that cannot be accepted changes nothing: the last accepted plan stays in force, and the error
is in the log and in `drd status`. Unchanged files are not read again, so that a reload stays short
with ten thousand plans.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import drd
from drd import log, registry
from drd.bootstrap import App
from drd.config.plan_file import load_plan
from drd.config.plan_path import PathWalker
from drd.config.plan_search import clash, plans_by_name
from drd.config.reading import read_bytes
from drd.daemon.credentials import require_credentials
from drd.daemon.plan_texts import PlanTexts
from drd.errors import ConfigError
from drd.flows.schedules import Agenda
from drd.flows.status.refused_plans import Refusal, note_all
from drd.model.schedule import Schedule
from drd.model.text import counted, some
from drd.ports import PlanRow

_log = log.get()

_AT_ONCE = 100
"""The number of plans accepted in one transaction: a third of a second during which nobody else
writes."""


@dataclass(frozen=True, slots=True)
class Reload:
    """The result of reading the plan files: names, and why some were refused."""

    accepted: tuple[str, ...]
    removed: tuple[str, ...]
    refused: Mapping[str, Refusal]

    def __str__(self) -> str:
        parts = [f"{counted(len(self.accepted), 'plan')} loaded"]
        if self.removed:
            parts.append(f"{len(self.removed)} removed: {some(self.removed, 5)}")
        if self.refused:
            parts.append(f"{len(self.refused)} refused: {some(self.refused, 5)}")
        return ", ".join(parts)


class PlanBook:
    """Keeps the agenda and the texts for runs in step with the plans directory."""

    def __init__(self, app: App, agenda: Agenda, texts: PlanTexts | None = None) -> None:
        self._app = app
        self._agenda = agenda
        self.texts = texts or PlanTexts()

    def load(
        self, *, running: bool, so_far: Callable[[int, int], bool] = lambda _done, _all: True
    ) -> Reload:
        """Read the plans that changed. With `running`, refuse a plan that needs a credential which
        the service did not get at its start. `so_far` is called regularly with the number of plans
        read and the number of all plans, and returns whether to continue."""
        files = plans_by_name(self._app.settings.plans_dir)
        self.texts.begin_load()
        rows = {r.name: r for r in self._app.catalogue.queue.plan_rows()}
        refused: dict[str, Refusal] = {}
        names = list(files)
        with PathWalker() as ways:
            for start in range(0, len(names), _AT_ONCE):
                batch = {name: files[name] for name in names[start : start + _AT_ONCE]}
                refused |= self._load(batch, rows, ways, running=running)
                if not so_far(start + len(batch), len(names)):
                    break
        noted = {
            n: (files[n][0], why)
            for n, why in refused.items()
            if n not in rows or why.needs_restart
        }
        note_all(self._app.catalogue.queue, noted, self._app.clock.now())
        removed = tuple(n for n in self._agenda.names() if n not in files)
        for name in removed:
            self._agenda.drop_plan(name)
            self.texts.drop(name)
            _log.warning(
                "plan.gone",
                plan=name,
                remedy="the file of the plan is gone. If this was a mistake, restore the file",
            )
        return Reload(tuple(self._agenda.names()), removed, refused)

    def _load(
        self,
        files: Mapping[str, Sequence[Path]],
        rows: Mapping[str, PlanRow],
        ways: PathWalker,
        *,
        running: bool,
    ) -> dict[str, Refusal]:
        """Accept some plans in one transaction; returns why others were refused."""
        accepted: dict[str, Schedule] = {}
        refused: dict[str, Refusal] = {}
        stored = self._app.catalogue.queue.accepted_texts([n for n in files if n in rows])
        with self._app.catalogue.together():
            for name, paths in files.items():
                try:
                    if len(paths) > 1:
                        raise ConfigError([clash(name, paths)])
                    row = rows.get(name)
                    text = stored.get(name)
                    schedule = self._take(name, paths[0], row, text, ways, running=running)
                except ConfigError as error:
                    refused[name] = Refusal(error.line, error.needs_restart)
                    self._refuse(name, error, rows.get(name))
                    self._hold_stored(name, paths[0], stored.get(name))
                else:
                    if schedule is not None:
                        accepted[schedule.plan] = schedule
        for row in self._app.catalogue.queue.plan_rows(sorted(accepted)) if accepted else ():
            self._agenda.set_plan(row, accepted[row.name], self._app.clock.now())
            _log.info("plan.accepted", plan=row.name, file=row.file, digest=row.digest[:12])
        return refused

    def _take(
        self,
        name: str,
        path: Path,
        row: PlanRow | None,
        stored: str | None,
        ways: PathWalker,
        *,
        running: bool,
    ) -> Schedule | None:
        """Accept the plan in this file; returns its schedule, None when this very file was accepted
        before."""
        if row is not None and self._is_known(row, path) and self._is_stored(name, path, stored):
            assert row.schedule is not None
            if self._agenda.schedule(name) is None:
                schedule = Schedule.from_json(row.schedule)
                self._agenda.set_plan(row, schedule, self._app.clock.now())
            return None
        loaded = load_plan(path, self._app.settings.known_roles, ways)
        if running:
            require_credentials(loaded.plan, str(path))
        handed = self.texts(name)
        self._app.plans.refuse_exposed(loaded, handed.text if handed is not None else stored)
        for warning in loaded.warnings:
            _log.info("plan.advice", plan=name, advice=str(warning))
        schedule = self._app.plans.accept(loaded)
        stamp = (loaded.mtime_ns, loaded.size)
        self.texts.take(loaded.plan.name, loaded.plan.file, loaded.text, stamp)
        return schedule

    def _is_stored(self, name: str, path: Path, stored: str | None) -> bool:
        """Return whether the stored text is the file's, which is in force then. If we have read the
        file and it did not change since, our text counts."""
        there = path.stat()
        stamp = (there.st_mtime_ns, there.st_size)
        handed = self.texts(name) if self.texts.is_stamped(name, stamp) else None
        text = handed.text if handed is not None else _text(path)
        if text == stored:
            if handed is None:
                self.texts.take(name, os.path.abspath(path), text, stamp)  # noqa: PTH100
            return True
        self.texts.replaced(name)
        _log.error(
            "plan.stored_text_differs",
            plan=name,
            remedy="no action is necessary: drd has read the plan from its file again",
        )
        return False

    def _hold_stored(self, name: str, path: Path, stored: str | None) -> None:
        """After a start with a broken file, use the text that was accepted last: only the service's
        user could have stored it."""
        if self.texts(name) is None and stored is not None:
            self.texts.take(name, os.path.abspath(path), stored, None)  # noqa: PTH100

    def _is_known(self, row: PlanRow, path: Path) -> bool:
        """Return whether this very drd accepted this very file, and it has not changed."""
        if row.schedule is None or row.schedule.get("drd") != drd.__version__ or row.broken:
            return False
        if row.schedule.get("kit") != self._app.plans.kit_interval_s:
            return False  # drd.yaml's settings for kits have changed since
        packages = row.schedule.get("packages", {})
        if packages and not packages.items() <= dict(registry.extensions()).items():
            return False  # a package has another version since, or cannot be used
        if any(one.name in packages for one in registry.unavailable()):
            return False  # another package adds some of the same members
        there = path.stat()
        known = (row.file, row.file_mtime_ns, row.file_size)
        return known == (os.path.abspath(path), there.st_mtime_ns, there.st_size)  # noqa: PTH100

    def _refuse(self, name: str, error: ConfigError, row: PlanRow | None) -> None:
        """Refuse the file and keep the previous plan: after a start, take it from the catalogue."""
        now = self._app.clock.now()
        self._app.catalogue.plans.mark_broken(name, error.line, now)
        stays = row is not None and row.schedule is not None
        hints = " ".join(dict.fromkeys(p.hint for p in error.problems if p.hint))
        _log.error("plan.refused", plan=name, error=error.message, hint=hints, before_stays=stays)
        if row is not None and row.schedule is not None and self._agenda.schedule(name) is None:
            self._agenda.set_plan(row, Schedule.from_json(row.schedule), now)


def _text(path: Path) -> str:
    """Return the text of a file; for one that is not UTF-8, a text that no row holds. Raises
    ConfigError."""
    return read_bytes(path, what="plan")[0].decode("utf-8", "replace")
