"""Run the commands of a component: with values for `${…}`, a small environment and a deadline."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from drd import process, secrets
from drd.errors import SourceError, SourceMissing, SourceUnreachable, ToolMissing
from drd.kinds.command.settings import PATH, CommandSettings
from drd.model.plan import SecretRef
from drd.model.values import filled
from drd.ports import Workplace
from drd.process import programs
from drd.process.named_files import named_files
from drd.process.programs import program_of

_LONGER = "if this command needs more time, raise `timeout` of component {}."
_MORE_TIME = {
    "dump": _LONGER,
    "restore": _LONGER,
    "query": "if this query needs more time, raise `timeout` of the check or step that sends it.",
    "ready": "if the service needs more time, raise `within` under `serve` of component {}.",
}
"""By key of the component: the remedy for a command that did not end by its deadline."""
_LINES, _SHOWN = 5, 400
"""The lines and characters of a command's last output that people read."""


@dataclass(frozen=True)
class Runner:
    """Runs commands of one component. `values` are the values of `${…}`. With `home`, which is a
    scratch directory, commands run behind the fence of a drill if the workplace has one.
    """

    component: str
    settings: CommandSettings
    values: Mapping[str, str]
    place: Workplace
    where: Literal["source", "sandbox", "target"]
    cwd: Path = Path("/")
    home: Path | None = None
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def knowing(self, more: Mapping[str, str]) -> Runner:
        """Return a runner with additional values."""
        return replace(self, values={**self.values, **more})

    def command(
        self, key: str, words: Sequence[str], *, deadline_s: float | None = None, **more: str
    ) -> process.Command:
        """Return the command under a `key` of the plan."""
        values = {**self.values, **more}
        env = {name: self.filled(text, values) for name, text in self.settings.env.items()}
        return process.Command(
            [self.filled(word, values) for word in words],
            env={
                **self._home(),
                **env,
                **self.secret,
                "DRD_COMPONENT": self.component,
                "DRD_WHERE": self.where,
            },
            files=self.secret_files,
            cwd=self.cwd,
            deadline_s=deadline_s,
            drop_capabilities=True,
            fence=self._fence(key, words),
            name=f"{key} command of {self.component}",
            leash="on-stop",
            more_time=_MORE_TIME.get(key, "").format(self.component),
        )

    def by_hand_hint(self, words: Sequence[str]) -> str:
        """Return the remedy for a command that failed, as it can be typed. The directory of a
        sandbox is gone by then, so its values are not in it."""
        known = {} if self.where == "sandbox" else self.values
        typed = [filled(word, lambda name: known.get(name, f"${{{name}}}")) for word in words]
        return f"run this command by hand to see what is wrong: {shlex.join(typed)}"

    def filled(self, text: str, values: Mapping[str, str] | None = None) -> str:
        """Return the text with each `${…}` replaced. Raises SourceError for an unknown one."""
        known = self.values if values is None else values

        def value(name: str) -> str:
            if name not in known:
                at = "component" if self.where == "source" else "target for component"
                raise SourceUnreachable(
                    f"a command of component {self.component} uses ${{{name}}}, but the "
                    f"{self.where} has no `{name}`",
                    hint=f"add `{name}` to the {at} {self.component}.",
                )
            return known[name]

        return filled(text, value)

    def _home(self) -> dict[str, str]:
        return {"HOME": str(self.home), "TMPDIR": str(self.home)} if self.home else {}

    def _fence(self, key: str, words: Sequence[str]) -> process.Fence | None:
        if self.home is None:
            return None
        writes = (self.home, Path(self.values[PATH]))
        texts = [*words, *self.settings.env.values()]
        named = named_files(texts, [os.path.realpath(w) for w in writes])
        return self.place.fence(f"{self.component} {key}", writes, reads=named)


def run_on(command: process.Command, dump: Path) -> process.Completed:
    """Run a command with a file as its standard input, which drd does not read."""
    with dump.open("rb") as file:
        child = process.start(command, stdin=file.fileno())
    return child.pump()


def said(done: process.Completed) -> str:
    """Say how a command ended, and its last words: `exited with 3: no such base`."""
    last = "\n".join(done.says[-_LINES:])  # masked as a whole, before it is cut
    shown = last if len(last) <= _SHOWN else f"… {last[-_SHOWN:]}"
    return f"{process.ended(done.exit_code)}: {shown or 'no output'}"


def values_of(refs: Mapping[str, SecretRef]) -> dict[str, str]:
    """Resolve secrets."""
    return {name: secrets.resolve(ref) for name, ref in refs.items()}


def require_program(component: str, key: str, words: Sequence[str]) -> Path:
    """Return the program of a command. Raises SourceMissing if it does not exist, SourceError if
    other users could replace it."""
    where = f"`{key}` of component {component}"
    return programs.require_program(words, where, missing=SourceMissing, unsafe=SourceError)


def find_program(program: str) -> Path:
    """Return the path of a program. Raises ToolMissing."""
    file = program_of(program)
    if file is None:
        raise ToolMissing(
            f"program {program} is not installed on this host",
            hint="install this program, or correct its name.",
        )
    return file
