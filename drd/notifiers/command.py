"""Messages to a command of the administrator's own."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from drd import process
from drd.errors import DeadlineExceeded, DrdError, NotifyError
from drd.fields import Duration, Placed
from drd.model.message import Message
from drd.model.text import readable
from drd.model.units import format_duration
from drd.notifiers.settings import Carrier
from drd.notifiers.webhook import payload
from drd.ports.notify import ChannelKind


class ExecSettings(Carrier):
    """Messages to a command of yours: JSON on its standard input, and in its environment."""

    kind: Literal["exec"]
    command: list[str] = Field(
        min_length=1,
        description="The program and its arguments, as a list; drd does not use a shell. "
        "The command does not get secrets.",
    )
    timeout: Duration = Field(
        30.0,
        description="Time limit of one try. drd ends a command that takes longer, and tries again "
        "later, as after every failed delivery.",
    )

    def all_commands(self) -> Iterator[Placed]:
        yield ("command",), self.command


class Exec:
    """Exit 0 means that the message was delivered. The command gets the JSON of a webhook on its
    standard input, and most of it in its environment. It gets neither secrets nor drd's right to
    read root's files."""

    def __init__(self, settings: ExecSettings) -> None:
        self.settings = settings

    def deliver(self, message: Message) -> str:
        words = self.settings.command
        program = words[0]
        if not _startable(program):
            raise NotifyError(
                f"program {program} is not installed on this host",
                hint="install this program, or write the whole path of an executable file.",
                permanent=True,
            )
        command = process.Command(
            tuple(words),
            env=_environment(message),
            drop_capabilities=True,
            deadline_s=self.settings.timeout,
        )
        body = json.dumps(payload(message, datetime.now(UTC)), ensure_ascii=True).encode()
        try:
            done = process.run(command, stdin=body, limit=1 << 14)
        except DeadlineExceeded as error:
            took = format_duration(self.settings.timeout)
            raise NotifyError(
                f"{command.title} did not end within {took}",
                hint="find out what the command waits for, or raise `timeout`.",
            ) from error
        except (DrdError, OSError) as error:
            why = getattr(error, "strerror", None) or error
            raise NotifyError(f"cannot start {command.title}: {why}") from error
        if done.exit_code != 0:
            raise NotifyError(_fault(command.title, done))
        return f"{command.title} exited with 0"


def _environment(message: Message) -> dict[str, str]:
    values = {
        "DRD_EVENT": message.event,
        "DRD_PLAN": message.plan,
        "DRD_SEVERITY": message.severity,
        "DRD_TITLE": message.title,
        "DRD_MESSAGE_ID": message.id,
        "DRD_ALERT": message.alert or "",
        # Not DRD_RUN: that mark identifies a run's own children, which are ended.
        "DRD_RUN_ID": message.run or "",
    }
    return {k: readable(v).replace("\0", "") for k, v in values.items()}


def _startable(program: str) -> bool:
    """Checked beforehand, because the starter of children reports a missing program only by its
    exit code."""
    if "/" in program:
        return os.access(program, os.X_OK)
    return shutil.which(program) is not None


def _fault(title: str, done: process.Completed) -> str:
    said = f": {done.says[-1][:200]}" if done.says else ""
    return f"{title} {process.ended(done.exit_code)}{said}"


SPEC = ChannelKind("exec", ExecSettings, lambda spec, _: Exec(spec.settings), address=("command",))
