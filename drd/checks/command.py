"""The check `command`: a command of the plan's own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import quote
from typing import Literal

from pydantic import Field

from drd import process
from drd.checks.settings import CheckSettings
from drd.checks.words import not_run, result, shorten
from drd.errors import DeadlineExceeded, DrdError
from drd.fields import Duration, Placed
from drd.model.plan import CheckSpec
from drd.model.run import CheckResult, CheckVerdict
from drd.model.units import format_duration, to_rfc3339
from drd.ports import CheckContext
from drd.ports.by_hand import ByHand, Passage
from drd.ports.check import CheckKind

_EXPECTED = "exit 0"


class CommandCheck(CheckSettings):
    """A command of your own; exit 0 is passed. It runs as the user that drd runs as."""

    kind: Literal["command"]
    component: str | None = Field(
        None,
        description="The component to check; the command gets the component's address in "
        "its environment. Without a component, the check does not count as a "
        "check of data.",
    )
    run: list[str] = Field(
        min_length=1,
        description="The program and its arguments, as a list; drd does not use a shell.",
    )
    timeout: Duration = Field(
        60.0, description="Time limit; a command that takes longer has failed."
    )

    def all_commands(self) -> Iterator[Placed]:
        yield ("run",), self.run


class CommandExit:
    """Exit 0 is passed; another exit code and a timeout are failed; a command that cannot be
    started is not_run.

    It runs as drd's user, without the additional rights that a unit gives to drd: restored files
    have their owners and modes, so the command may be unable to read files that drd can read. In a
    drill it runs behind a fence. Its environment has the component's address, DRD_PLAN, DRD_POINT
    and DRD_DATA_TIME, and no secret.
    """

    def run(self, spec: CheckSpec, context: CheckContext) -> list[CheckResult]:
        settings = spec.settings
        assert isinstance(settings, CommandCheck)
        reads_data = settings.component is not None
        if settings.component is not None and settings.component not in context.inspectors:
            why = f"{settings.component} was not restored"
            return [not_run(spec, why, _EXPECTED, looked_at_data=reads_data)]
        command = _command(spec, settings, context)
        if not _startable(command):
            why = f"program {settings.run[0]} is not installed on this host"
            return [not_run(spec, why, _EXPECTED, looked_at_data=reads_data)]
        try:
            done = process.run(command, limit=1 << 16)
        except DeadlineExceeded:
            text = f"did not finish within {format_duration(settings.timeout)}"
            return [result(spec, CheckVerdict.FAILED, text, _EXPECTED, looked_at_data=reads_data)]
        except (DrdError, OSError) as error:
            return [not_run(spec, f"cannot start: {error}", _EXPECTED, looked_at_data=reads_data)]
        if done.killed:
            return [
                not_run(spec, f"the command {done.failure}", _EXPECTED, looked_at_data=reads_data)
            ]
        verdict = CheckVerdict.FAILED if done.exit_code else CheckVerdict.PASSED
        return [result(spec, verdict, _text(done), _EXPECTED, looked_at_data=reads_data)]


def _command(spec: CheckSpec, settings: CommandCheck, context: CheckContext) -> process.Command:
    address: Mapping[str, str] = {}
    at = context.data_time(settings.component) or context.point.data_time
    if settings.component is not None:
        address = context.inspectors[settings.component].environment
    return process.Command(
        tuple(settings.run),
        env={
            **address,
            "DRD_PLAN": context.plan.name,
            "DRD_POINT": context.point.id,
            "DRD_DATA_TIME": to_rfc3339(at),
        },
        cwd=context.directory,
        deadline_s=settings.timeout,
        drop_capabilities=True,
        fence=context.fence(spec.name, settings.run),
    )


def _startable(command: process.Command) -> bool:
    """Checked beforehand, because the starter of children reports a missing program only by its
    exit code."""
    program = command.argv[0]
    if "/" in program:
        # A relative path starts at the directory of the command.
        return os.access(Path(command.cwd or ".") / program, os.X_OK)
    return shutil.which(program) is not None


def _text(done: process.Completed) -> str:
    if done.exit_code == 0:
        return "exit 0"
    how = f"exit {done.exit_code}" if done.exit_code >= 0 else process.ended(done.exit_code)
    return shorten(f"{how}: {done.says[-1]}") if done.says else how


def _by_hand(settings: CommandCheck, _: ByHand | None) -> Passage:
    text = (
        "must exit with 0. This command needs the address of the restored data in DRD_PATH, or in "
        "PGHOST, PGDATABASE and so on"
    )
    return Passage(text, " ".join(quote(word) for word in settings.run), adapt=True)


SPEC = CheckKind(
    "command", CommandCheck, CommandExit(), reads_as_root=True, runs_programs=True, by_hand=_by_hand
)
