"""Playbooks: how people contain an incident, by the steps of the runbook's engine."""

from __future__ import annotations

from dataclasses import dataclass

from drd.model.incidents.due import Due
from drd.model.malformed import Malformed
from drd.model.plan import SecretRef
from drd.model.playbook_names import PREFIX
from drd.model.runbook import Step

_NO_VALUE = (
    "write file:PATH, env:NAME or credential:NAME: the secret itself must not be in a command"
)
_SOURCES = ("file", "env", "credential")


@dataclass(frozen=True, slots=True)
class Input:
    """A value that a person gives to a run. Without it, drd uses `default`; None: the value must be
    given. If `secret`, the value is a reference to a secret, never the secret."""

    name: str
    what: str
    secret: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True)
class PlaybookTask:
    """A part of a playbook that one role is responsible for. `steps` are the names of its steps."""

    name: str
    text: str
    role: str
    due: Due | None
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExecutedPlaybook:
    """A playbook that a run executes: its name in rows of runs, and its digest."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Playbook:
    """`use_when` says in which situation the playbook helps. `digest` is the digest of its resolved
    text, `text` the digest of the bytes of the file. `own`: the playbook belongs to this
    installation, not to drd."""

    name: str
    title: str
    about: str
    use_when: str
    inputs: tuple[Input, ...]
    tasks: tuple[PlaybookTask, ...]
    runbook: tuple[Step, ...]
    digest: str
    file: str
    own: bool
    text: str = ""

    @property
    def executed(self) -> ExecutedPlaybook:
        """The name and the digest for rows of runs and for records."""
        return ExecutedPlaybook(f"{PREFIX}{self.name}", self.digest)

    def input(self, name: str) -> Input | None:
        return next((one for one in self.inputs if one.name == name), None)


def reference(text: str) -> SecretRef:
    """Read the reference to a secret that a person typed: `file:/etc/drd/token`. Raises
    Malformed."""
    source, colon, value = text.partition(":")
    if source not in _SOURCES or not colon or not value:
        raise Malformed("this is not a reference to a secret", _NO_VALUE)
    if source == "file" and not value.startswith("/"):
        raise Malformed(
            "the path of the file is not absolute", "write the whole path: file:/DIRECTORY/FILE"
        )
    if source == "credential" and ("/" in value or value in (".", "..")):
        raise Malformed("credential must be the name of a file", "write a whole path as file:PATH")
    return SecretRef(source, value)  # type: ignore[arg-type]
