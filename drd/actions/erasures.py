"""The step `erasures`: who was erased since the restore point is erased again, and nobody is back.

Ids travel on stdin and in a table of the restored database, never in words or records.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from drd.actions.command import TIMEOUT_S, carry_out, missing, missing_rollback
from drd.actions.settings import ErasuresSettings
from drd.errors import DrdError, StepFailed
from drd.model.run import CheckResult, CheckVerdict
from drd.model.runbook import Step
from drd.model.units import from_rfc3339
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import ActionContext

CHECK = "nobody who was erased is back"

TABLE = "drd_erased"
"""In a database that came back, while the step goes on: one column, `id`, of text."""

_LARGEST = 64 << 20
_AT_ONCE = 500


class Erasures:
    """Idempotent: what an earlier try has erased is erased once more, which changes nothing."""

    def preflight(self, step: Step) -> list[Finding]:
        settings = step.settings
        assert isinstance(settings, ErasuresSettings)
        found: list[Finding] = []
        file = settings.register_.file
        if file is not None and not os.access(file, os.R_OK):
            hint = "bring the register back first: without it, people who were erased come back."
            detail = f"the register of erasures {file} cannot be read"
            found.append(Finding("register", "error", "", detail, hint))
        for words in (settings.register_.command, settings.replay.command, settings.check.command):
            # No step before sees to it: without it nobody can be erased again.
            found += [replace(f, severity="error") for f in missing(words or ())]
        return [*found, *missing_rollback(step)]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, ErasuresSettings)
        since = context.value("data_time")
        ids = list(dict.fromkeys(_registered(settings, context, from_rfc3339(since))))
        told = f"{len(ids):,} erasures since {since} replayed"
        work = _Replay(settings, context, ids)
        in_table = settings.replay.sql is not None or settings.check.sql is not None
        try:
            if in_table:
                work.sql(_table_of(ids) + (settings.replay.sql or "" if ids else ""))
            if settings.replay.command is not None and ids:
                work.command(settings.replay.command)
        except DrdError as error:
            raise StepFailed(
                f"the erasures since {since} could not be carried out again: {error.message}",
                hint=error.hint,
                result={"found": len(ids)},
            ) from error
        back = work.back()
        verdict = CheckVerdict.PASSED if back == "" else CheckVerdict.FAILED
        observed = f"{told}; {back or 'nobody is back'}"
        row = CheckResult(
            CHECK, settings.component, verdict, observed, "nobody is back", looked_at_data=bool(ids)
        )
        result = {"found": len(ids), "says": told, "checks": [row.to_json()]}
        if back:
            raise StepFailed(observed, result=result)
        if in_table:
            work.sql(f"drop table {TABLE}")
        return result


class _Replay:
    """The ids on their way into one component."""

    def __init__(
        self, settings: ErasuresSettings, context: ActionContext, ids: Iterable[str]
    ) -> None:
        self._settings = settings
        self._context = context
        self._inspector = context.inspectors(settings.component)
        self._lines = "".join(f"{one}\n" for one in ids).encode()
        self._timeout_s = context.step.timeout_s or TIMEOUT_S

    def sql(self, statements: str) -> None:
        self._inspector.execute(statements, timeout_s=self._timeout_s)

    def command(self, words: list[str]) -> None:
        carry_out(
            [filled(w, self._context.value) for w in words],
            self._context,
            written=words,
            timeout_s=self._timeout_s,
            env=self._inspector.environment,
            stdin=self._lines,
        )

    def back(self) -> str:
        """Who is still there, in words; empty when nobody is."""
        check = self._settings.check
        try:
            if check.sql is not None:
                left = self._inspector.scalar(check.sql, timeout_s=self._timeout_s)
                return "" if left == 0 else f"{left} of them are back"
            self.command(check.command or [])
        except DrdError as error:
            return f"not known whether they are back: {error.message}"
        return ""


def _registered(
    settings: ErasuresSettings, context: ActionContext, since: datetime
) -> Iterator[str]:
    """The ids of those who were erased since then. Raises StepFailed when nobody can tell."""
    register = settings.register_
    try:
        if register.command is not None:
            words = [filled(w, context.value) for w in register.command]
            timeout_s = context.step.timeout_s or TIMEOUT_S
            # The register is production's and has nothing of what came back: no fence around it.
            done = carry_out(words, context, timeout_s=timeout_s, limit=_LARGEST, fenced=False)
            if len(done.stdout) >= _LARGEST:
                raise StepFailed(f"it names more than {_LARGEST >> 20} MiB of ids")
            lines: Iterable[str] = done.stdout.splitlines()
            yield from (_sound(line.strip()) for line in lines if line.strip())
        else:
            yield from _of_file(Path(str(register.file)), since)
    except StepFailed as error:
        raise StepFailed(
            f"the register of erasures cannot be read: {error.message}",
            hint=error.hint or "without it, people who were erased come back.",
        ) from error


def _of_file(file: Path, since: datetime) -> Iterator[str]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise StepFailed(f"{file}: {said}") from error
    for number, line in enumerate(text.splitlines(), 1):
        at, _, one = line.strip().partition(" ")
        if not at or at.startswith("#"):
            continue
        try:
            erased = from_rfc3339(at)
        except ValueError as error:
            hint = "each line is a time and an id, like 2026-11-25T00:31:00Z 4711."
            raise StepFailed(f"{file}:{number}: {at!r} is no time", hint=hint) from error
        if not one.strip():
            raise StepFailed(f"{file}:{number}: there is no id", hint="each line has one.")
        if erased >= since:
            yield _sound(one.strip())


def _sound(one: str) -> str:
    """An id that can stand in a statement whatever the database makes of backslashes."""
    if "\\" in one or not one.isprintable():
        raise StepFailed("an id holds a backslash or a control character")
    return one


def _table_of(ids: list[str]) -> str:
    """Statements that make the table and fill it."""
    made = f"drop table if exists {TABLE};\ncreate table {TABLE} (id text primary key);\n"
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        rows = ", ".join("('" + one.replace("'", "''") + "')" for one in some)
        made += f"insert into {TABLE} values {rows};\n"  # noqa: S608 - quoted above
    return made
