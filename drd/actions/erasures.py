"""The step `erasures`: people who were erased since the restore point are erased again, and a check
proves it.

Ids travel on stdin and in a table of the restored database, never in argv or records."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from drd.actions.command import TIMEOUT_S, in_backticks, missing, missing_rollback, run_command
from drd.actions.settings import StepSettings, Words
from drd.errors import DrdError, StepFailed
from drd.fields import AbsolutePath, Placed, Settings
from drd.model.run import CheckResult, CheckVerdict
from drd.model.runbook import Step
from drd.model.text import counted
from drd.model.units import format_time, from_rfc3339, to_rfc3339
from drd.model.values import filled
from drd.ports import Finding
from drd.ports.action import ActionContext, ActionKind, StepByHand

CHECK = "erased people stay erased"

_NONE_LEFT = "the restored data contains none of the erased people"

TABLE = "drd_erased"
"""Exists in a restored database during the step: one column, `id`, of text, as a key."""

_LARGEST = 64 << 20
_AT_ONCE = 500


class Register(Settings):
    """Where erasures are recorded: in a place that the plan does not restore. Give exactly one of
    the keys."""

    file: AbsolutePath | None = Field(
        None,
        description="A text file with one line for each erasure, a time (RFC 3339) and an id: "
        "`2026-11-25T00:31:00Z 4711`.",
    )
    command: Words | None = Field(
        None,
        description="A command that prints the ids of the people who were erased since "
        "`${data_time}`, one id per line; drd does not use a shell.",
    )


class Replay(Settings):
    """How the erasures are repeated. Give exactly one of the keys."""

    sql: str | None = Field(
        None,
        min_length=1,
        description="SQL that erases the people of `register`, executed in one transaction. "
        "The SQL finds their ids in the table `drd_erased (id text)`: `DELETE "
        "FROM people WHERE id::text IN (SELECT id FROM drd_erased)`.",
    )
    command: Words | None = Field(
        None,
        description="A command that erases the people of `register`. The command gets their "
        "ids on its standard input, one id per line, and the component's "
        "address in its environment; drd does not use a shell.",
    )


class StillThere(Settings):
    """How drd checks that no erased person exists. Give exactly one of the keys."""

    sql: str | None = Field(
        None,
        min_length=1,
        description="A query that counts the people of the table `drd_erased` who still "
        "exist. The check passes if the result is 0.",
    )
    command: Words | None = Field(
        None,
        description="A command that gets the same input as the command of `replay`. The "
        "command must exit with 0 if the data does not contain any of these "
        "people, otherwise with another code.",
    )


class ErasuresSettings(StepSettings):
    """drd repeats the erasures of people that were made after the restore point, and checks the
    result. This is a step of the runbook, which drills rehearse. If the runbook has no step
    `erasures`, it runs after the restore of the component and the checks that follow it."""

    unsaid: ClassVar = {"database": (None,)}

    component: str = Field(description="The component from which drd erases people.")
    database: str | None = Field(
        None,
        min_length=1,
        description="The database from which drd erases people, if the component has several "
        "databases (`postgres-cluster`, `mariadb-server`). Default: the database in its `dsn`.",
    )
    register_: Register = Field(
        alias="register",
        description="Where drd finds the ids of the erased people: a file or a command.",
    )
    replay: Replay = Field(
        description="How drd erases the people of `register` from the restored data: SQL or a "
        "command."
    )
    check: StillThere = Field(
        description="How drd checks that the restored data contains no erased person: SQL or a "
        "command."
    )

    def all_commands(self) -> Iterator[Placed]:
        parts = {
            "register": self.register_.command,
            "replay": self.replay.command,
            "check": self.check.command,
        }
        yield from (((key, "command"), words) for key, words in parts.items() if words)

    def host_needs(self) -> Iterator[str]:
        if self.register_.file:
            yield f"the list of erased people {self.register_.file}"


class Erasures:
    """Idempotent: erasing again changes nothing."""

    def preflight(self, step: Step) -> list[Finding]:
        settings = step.settings
        assert isinstance(settings, ErasuresSettings)
        findings: list[Finding] = []
        file = settings.register_.file
        if file is not None and not os.access(file, os.R_OK):
            hint = f"restore {file} first: without this list, the data of erased people comes back."
            detail = f"cannot read the list of erased people {file}"
            findings.append(Finding("register", "error", "", detail, hint))
        for words in (settings.register_.command, settings.replay.command, settings.check.command):
            # No earlier step can help: without it nobody can be erased again.
            findings += [replace(f, severity="error") for f in missing(words or ())]
        return [*findings, *missing_rollback(step)]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, ErasuresSettings)
        began = from_rfc3339(context.value("data_time")) - context.older
        since = format_time(began, seconds=True)
        ids = list(dict.fromkeys(_registered(settings, context, began)))
        told = f"drd repeated {counted(len(ids), 'erasure')} since {since}"
        work = _RunningReplay(settings, context, ids)
        in_table = settings.replay.sql is not None or settings.check.sql is not None
        try:
            if in_table:
                work.sql(work.table_of(ids) + (settings.replay.sql or "" if ids else ""))
            if settings.replay.command is not None and ids:
                work.command(settings.replay.command)
        except DrdError as error:
            raise StepFailed(
                f"drd could not erase again {counted(len(ids), 'person', 'people')} who "
                f"{'was' if len(ids) == 1 else 'were'} erased since {since}, so the restored data "
                f"can contain them: {error.message}",
                hint=error.hint,
                result={"found": len(ids)},
            ) from error
        back = work.back()
        verdict = CheckVerdict.PASSED if back == "" else CheckVerdict.FAILED
        observed = f"{told}; {back or _NONE_LEFT}"
        row = CheckResult(
            CHECK,
            settings.component,
            verdict,
            observed,
            _NONE_LEFT,
            looked_at_data=bool(ids),
        )
        result = {"found": len(ids), "says": told, "checks": [row.to_json()]}
        if back:
            raise StepFailed(
                observed,
                hint="correct `replay` or `check` under `erasures` in the plan: `replay` must "
                "erase every id that it gets.",
                result=result,
            )
        if in_table:
            work.sql(f"drop table {TABLE}")
        return result


class _RunningReplay:
    """The ids on their way into one component."""

    def __init__(
        self, settings: ErasuresSettings, context: ActionContext, ids: Iterable[str]
    ) -> None:
        self._settings = settings
        self._context = context
        self._inspector = context.inspectors(settings.component)
        if settings.database is not None:
            self._inspector = self._inspector.database(settings.database)
        self._lines = "".join(f"{one}\n" for one in ids).encode()
        self._timeout_s = context.step.timeout_s or TIMEOUT_S

    def table_of(self, ids: list[str]) -> str:
        return _table_of(ids, self._inspector.key_text)

    def sql(self, statements: str) -> None:
        self._inspector.execute(statements, timeout_s=self._timeout_s)

    def command(self, words: list[str]) -> None:
        run_command(
            [filled(w, self._context.value) for w in words],
            self._context,
            written=words,
            timeout_s=self._timeout_s,
            env=self._inspector.environment,
            stdin=self._lines,
        )

    def back(self) -> str:
        """Name the erased people who exist again; empty if there are none."""
        check = self._settings.check
        try:
            if check.sql is not None:
                left = self._inspector.scalar(check.sql, timeout_s=self._timeout_s)
                return "" if left == 0 else f"{left} of the erased people are in the restored data"
            self.command(check.command or [])
        except DrdError as error:
            return f"drd could not check whether erased people exist again: {error.message}"
        return ""


def _registered(
    settings: ErasuresSettings, context: ActionContext, since: datetime
) -> Iterator[str]:
    """The ids of people who were erased since then. Raises StepFailed when that is not known."""
    register = settings.register_
    try:
        if register.command is not None:
            asked = to_rfc3339(since)

            def value(name: str) -> str:
                return asked if name == "data_time" else context.value(name)

            # The register is production's and contains no restored data: it needs no fence.
            done = run_command(
                [filled(w, value) for w in register.command],
                context,
                timeout_s=context.step.timeout_s or TIMEOUT_S,
                limit=_LARGEST,
                fenced=False,
                env={"DRD_DATA_TIME": asked},
            )
            if len(done.stdout) >= _LARGEST:
                raise StepFailed(
                    f"the command of `erasures` printed more than {_LARGEST >> 20} MiB of ids",
                    hint="change the command in the plan: it should print only the ids "
                    "since `${data_time}`.",
                )
            lines: Iterable[str] = done.stdout.splitlines()
            yield from (_sound(line.strip()) for line in lines if line.strip())
        else:
            yield from _of_file(Path(str(register.file)), since)
    except StepFailed as error:
        raise StepFailed(
            f"cannot read the list of erased people: {error.message}",
            hint=error.hint
            or "make the list readable (`register` in the plan): without this list, the data of "
            "erased people comes back.",
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
            hint = "write a time and an id on each line, like 2026-11-25T00:31:00Z 4711."
            raise StepFailed(f"{file}:{number}: {at!r} is not a time", hint=hint) from error
        if not one.strip():
            raise StepFailed(
                f"{file}:{number}: the id is missing",
                hint="write a time and an id on each line, like 2026-11-25T00:31:00Z 4711.",
            )
        if erased >= since:
            yield _sound(one.strip())


def _sound(one: str) -> str:
    """Return an id that is safe in a statement whatever the database makes of backslashes."""
    if "\\" in one or not one.isprintable():
        raise StepFailed(
            "an id in the list of erased people contains a backslash or a control "
            "character, which drd does not accept",
            hint="correct this id in the list of erased people.",
        )
    return one


def _table_of(ids: list[str], key: str) -> str:
    """Statements that make the table and fill it."""
    made = f"drop table if exists {TABLE};\ncreate table {TABLE} (id {key} primary key);\n"
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        rows = ", ".join("('" + one.replace("'", "''") + "')" for one in some)
        made += f"insert into {TABLE} values {rows};\n"  # noqa: S608 - quoted above
    return made


def _in_words(erasures: ErasuresSettings) -> str:
    register, replay = erasures.register_, erasures.replay
    register_text = register.file or in_backticks(register.command)
    sql = " ".join((replay.sql or "").split())
    how = in_backticks(replay.command) if replay.command else sql
    component = erasures.component
    return (
        f"in {component}, repeat the erasures that are in {register_text} since the data time: "
        f"{how}"
    )


def _by_hand(erasures: ErasuresSettings, hand: StepByHand) -> Iterator[str]:
    """The ids since the data time in a file, and in the table that the statements name."""
    ids, component = f"{hand.step.name}.ids", erasures.component
    known = hand.component(component)
    if known is None:
        return
    register, replay, check = erasures.register_, erasures.replay, erasures.check
    there, env = "", None
    if erasures.database is not None:
        there = f"{known.database}={quote(erasures.database)} "
        env = {known.database: erasures.database}
    yield 'SINCE=$(date -d "$(jq -er .data_time manifest.json)" +%s)'
    # A copy of another tool may be older than its time.
    yield "SINCE=$((SINCE - $(jq .older manifest.json | sed s/null/0/)))"
    if register.file is not None:
        yield "while read -r AT ID || [[ $AT ]]; do"
        yield "    [[ $AT ]] && [[ $AT != '#'* ]] || continue"
        yield '    AT=$(date -d "$AT" +%s); (( AT < SINCE )) || echo "$ID"'
        yield f"done <{quote(register.file)} | sort -u >{ids}"
    else:
        yield '(export DRD_DATA_TIME; DRD_DATA_TIME=$(date -u -d "@$SINCE" +%Y-%m-%dT%H:%M:%SZ)'
        yield f"{hand.command(register.command or [])}) | sort -u >{ids}"
    in_table = replay.sql is not None or check.sql is not None
    if in_table:
        yield "{ echo 'begin; drop table if exists drd_erased;'"
        yield f"  echo 'create table drd_erased (id {known.key_text} primary key);'"
        values = "insert into drd_erased values ('&');"
        yield f"""  sed "s/'/''/g; s/.*/{values}/" {ids}"""
        statements = (replay.sql or "").strip().rstrip(";") + "; commit;"
        yield f"  echo {quote(statements)}; }} | {there}{known.feed}"
    if replay.command is not None:
        yield f"{hand.command(replay.command, env, component)} <{ids}"
    if check.sql is not None:
        yield f"[[ $({there}{known.ask} {quote(check.sql)}) == 0 ]]"
    elif check.command is not None:
        yield f"{hand.command(check.command, env, component)} <{ids}"
    if in_table:
        yield f"{there}{known.change} 'drop table drd_erased'"
    yield f'echo "{component}: $(wc -l <{ids}) erasures carried out again, no erased person exists"'


SPEC = ActionKind(
    "erasures",
    str,
    Erasures(),
    summary="Repeat the erasures that were made since the restore point.",
    about="The component that `erasures` of the plan names.",
    gives=("found",),
    frees_ports=False,
    in_words=_in_words,
    by_hand=_by_hand,
)
