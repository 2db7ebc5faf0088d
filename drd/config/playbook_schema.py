"""The schema of playbooks: one playbook in one YAML file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from drd.actions.command import CommandSettings
from drd.actions.http import HttpSettings
from drd.actions.settings import Rehearsed, StepSettings, Text
from drd.actions.sql import LiveSqlSettings
from drd.actions.start import StartSettings
from drd.actions.stop import StopSettings
from drd.config.steps import ApproveSettings, Manual, Notify, Wait, WhenKeys
from drd.fields import AbsolutePath, Contradiction, Duration, Name, Settings
from drd.model.malformed import Malformed
from drd.model.playbook import Due, reference
from drd.registry import ACTIONS

_READS = ("GET", "HEAD")
_LONG, _TEXT = 2000, 300


def _due(text: str) -> str:
    Due.parse(text)
    return text


def _takes(text: str) -> str:
    if text in ("body", "output", "status", "rows", "value") or text.startswith("/"):
        return text
    raise Malformed(
        f'"{text}" is not a place in an answer',
        "write body, output, status, rows or value for the whole, or a path in JSON like /id",
    )


AnswerPlace = Annotated[str, AfterValidator(_takes)]


class InputSettings(Settings):
    """What a person gives to a run: `--set NAME=VALUE`; on a terminal drd asks for it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = Field(
        description="The name; steps use the value as `${NAME}`."
    )
    what: str = Field(
        min_length=1, max_length=_TEXT, description="What it is, for the person who is asked."
    )
    secret: bool = Field(
        False,
        description="Whether it is a secret. A person gives only a reference to it "
        "(`file:/etc/drd/token`); drd reads it when a step uses it. Only headers and bodies of "
        "requests and the environment of commands can use it.",
    )
    default: str | None = Field(None, description="The value, or reference, if none is given.")

    def contradictions(self) -> Iterator[Contradiction]:
        if self.secret and self.default is not None:
            try:
                reference(self.default)
            except ValueError as error:
                yield Contradiction.of(error, ("default",))


class BackupSettings(StepSettings):
    """A restore point of a plan: a run of its own."""

    plan: str | None = Field(None, description="The plan (default: the one of `--plan`).")

    def all_texts(self) -> Iterator[Text]:
        yield ("plan",), self.plan or ""


class RecoverSettings(StepSettings):
    """A recovery of a plan: a run of its own, with its own approvals and its own undo."""

    plan: str | None = Field(None, description="The plan (default: the one of `--plan`).")
    target: str | None = Field(
        None, description="The target of the plan (default: the original places)."
    )
    point: str | None = Field(None, description="The restore point (default: the newest).")
    before: str | None = Field(None, description="The newest point with data from before this.")
    clean: bool = Field(
        False,
        description="The newest point with data from before the first sign of the incident; the "
        "run needs `--incident`.",
    )
    overwrite: bool = Field(False, description="Replace what is in the target.")

    def contradictions(self) -> Iterator[Contradiction]:
        given = [key for key in ("point", "before", "clean") if getattr(self, key)]
        if len(given) > 1:
            hint = "keep one of them: each names the restore point."
            yield Contradiction((given[-1],), f"stands beside `{given[0]}`", hint, of_key=True)

    def all_texts(self) -> Iterator[Text]:
        for key in ("plan", "target", "point", "before"):
            yield (key,), getattr(self, key) or ""


class Acting(Settings):
    """A request, a command or a statement."""

    http: HttpSettings | None = Field(None, description="A request.")
    command: CommandSettings | None = Field(None, description="A command; exit 0 is success.")
    sql: LiveSqlSettings | None = Field(None, description="SQL in the database of the plan.")
    timeout: Duration | None = Field(None, description="Time limit.")

    reads: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        return next((k for k in ("http", "command", "sql") if getattr(self, k) is not None), "")

    def contradictions(self) -> Iterator[Contradiction]:
        given = [k for k in ("http", "command", "sql") if getattr(self, k) is not None]
        if len(given) != 1:
            hint = "write one of `http`, `command` and `sql`."
            yield Contradiction((), f"has {' and '.join(given) or 'no action'}", hint)
        if self.reads and self.http is not None and self.http.method not in _READS:
            hint = "use GET or HEAD: here drd only reads."
            yield Contradiction(("http", "method"), "would change something", hint)
        if self.reads and self.sql is not None and self.sql.writes:
            yield Contradiction(("sql", "writes"), "is not allowed here", "remove it.")


class Reading(Acting):
    """A request, a command or a statement that changes nothing."""

    reads: ClassVar[bool] = True

    take: AnswerPlace | None = Field(
        None, description="What of the answer is kept (default: the whole)."
    )


def _words(value: Any) -> Any:
    return {"command": {"run": value}} if isinstance(value, list) else value


class NewSecretSettings(Settings):
    """A new secret in the answer. It goes to this file alone (mode 0600), and to no log, catalogue
    or record."""

    take: AnswerPlace = Field(description="Where it is in the answer: a path in JSON like /key.")
    file: AbsolutePath = Field(description="The file; an existing one is replaced as a whole.")


KINDS = (
    *("http", "command", "sql", "approve", "manual", "notify"),
    *("wait", "start", "stop", "backup", "recover"),
)
"""The kinds of steps that act on a service in operation."""


class PlaybookStep(Settings):
    """One step. Exactly one of the keys that say what it does."""

    http: HttpSettings | None = Field(None, description="Send a request and check the answer.")
    command: CommandSettings | None = Field(None, description="Run a command of your own.")
    sql: LiveSqlSettings | None = Field(None, description="Run SQL in the live database of a plan.")
    approve: ApproveSettings | None = Field(None, description="Wait until a person agrees.")
    manual: Manual | None = Field(None, description="Wait until a person has done something.")
    notify: Notify | None = Field(None, description="Tell people something.")
    wait: Wait | None = Field(None, description="Wait for some time.")
    start: StartSettings | None = Field(None, description="Start a service.")
    stop: StopSettings | None = Field(None, description="Stop a service.")
    backup: BackupSettings | None = Field(None, description="Make a restore point of a plan.")
    recover: RecoverSettings | None = Field(None, description="Recover a plan.")

    name: Name | None = Field(None, description="The name, as `drd approve` and others take it.")
    when: WhenKeys | None = Field(None, description="Only if an earlier step ended so: `step`.")
    retries: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        0, description="How often drd tries again. Needs `repeat: safe` or `done_when`."
    )
    pause: Duration = Field(5.0, description="The time between two tries.")
    timeout: Duration | None = Field(None, description="Time limit of one try.")
    on_failure: Literal["abort", "continue", "ask"] = Field(
        "ask",
        description="What drd does after a failure. `ask`: a person decides (`drd retry`, `drd "
        "skip`). `abort`: no other step begins. `continue`: go on, and report it.",
    )
    repeat: Literal["safe", "ask"] | None = Field(
        None,
        description="Whether a step may run again whose outcome a kill made unknown. `safe`: "
        "repeating it does no harm. `ask` (default for what changes something): drd asks a person, "
        "unless `done_when` tells.",
    )
    before: Reading | None = Field(
        None,
        description="Reads what there is before the step changes it. drd keeps it for the "
        "rollback, as `${before}`.",
    )
    done_when: Reading | None = Field(
        None, description="Succeeds if the step has happened. drd looks before it repeats a step."
    )
    rollback: Annotated[Acting, BeforeValidator(_words)] | None = Field(
        None, description="Takes the step back: `drd rollback RUN`. Words alone are a command."
    )
    final: str | None = Field(
        None,
        min_length=1,
        max_length=_TEXT,
        description="The reason why no rollback takes the step back: a revoked key stays revoked.",
    )
    expires: Duration | None = Field(
        None, description="A temporary measure: drd alerts when it stands longer than this."
    )
    keep: dict[Name, AnswerPlace] = Field(
        default_factory=dict,
        description="What of the answer drd keeps, by name; `${steps.STEP.NAME}`. Without it drd "
        "keeps nothing of an answer.",
    )
    new_secret: NewSecretSettings | None = Field(
        None, description="Where a new secret goes that the answer contains."
    )

    @property
    def kind(self) -> str:
        return next((k for k in KINDS if getattr(self, k) is not None), "")

    def contradictions(self) -> Iterator[Contradiction]:
        given = [k for k in KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            message = f"does {' and '.join(given)}" if given else "does nothing"
            yield Contradiction((), message, f"write exactly one of {', '.join(KINDS)}.")
            return
        answers = not (self.http is None and self.command is None and self.sql is None)
        for key, value in (
            ("before", self.before),
            ("keep", self.keep),
            ("new_secret", self.new_secret),
        ):
            if value and not answers:
                hint = "only http, command and sql have an answer: remove it."
                yield Contradiction((key,), f"is not allowed in a step of kind {given[0]}", hint)
        if self.done_when is not None and given[0] not in ACTIONS.names:
            hint = "drd cannot look before a step of this kind: remove it."
            message = f"is not allowed in a step of kind {given[0]}"
            yield Contradiction(("done_when",), message, hint, of_key=True)
        if self.final is not None and self.rollback is not None:
            hint = "remove one of them: what is final is never taken back."
            yield Contradiction(("final",), "stands beside `rollback`", hint, of_key=True)
        acts = (self.http, self.command, self.sql, self.start, self.stop)
        if self.expires is not None and all(one is None for one in acts):
            hint = "remove it: drd watches only measures that it takes itself."
            text = f"is not allowed in a step of kind {given[0]}"
            yield Contradiction(("expires",), text, hint, of_key=True)
        elif self.expires is not None and self.rollback is None:
            hint = "add `rollback`: a temporary measure must be taken back."
            yield Contradiction(("expires",), "needs `rollback`", hint, of_key=True)
        if self.retries and self.repeat != "safe" and self.done_when is None and answers:
            hint = "add `repeat: safe` or `done_when`: a failed try may have had an effect."
            yield Contradiction(("retries",), "repeats a step that may be harmful twice", hint)


class TaskSettings(Settings):
    """A part of a playbook that one role is responsible for."""

    name: Name = Field(description="The name.")
    text: str = Field(min_length=1, max_length=_LONG, description="What is to be done.")
    role: str = Field(min_length=1, max_length=63, description="The role that is responsible.")
    due: Annotated[str, AfterValidator(_due)] | None = Field(
        None, description="When it is due: a moment of the incident and a time: `aware + 30m`."
    )
    steps: list[PlaybookStep] = Field(min_length=1, max_length=100, description="Its steps.")


class PlaybookFile(Settings):
    """How people contain an incident."""

    playbook: Name = Field(description="The name, as `drd playbook run` takes it.")
    title: str = Field(min_length=1, max_length=_TEXT, description="What it is, in a few words.")
    about: str = Field(min_length=1, max_length=_LONG, description="What it does.")
    use_when: str = Field(
        min_length=1, max_length=_LONG, description="In which situation it helps."
    )
    inputs: list[InputSettings] = Field(
        default_factory=list, max_length=50, description="What a person gives to a run."
    )
    tasks: list[TaskSettings] = Field(min_length=1, max_length=50, description="The tasks.")


def step_texts(step: StepSettings) -> Iterator[Text]:
    """Return the texts of a step's settings with values, and the words of its commands."""
    for path, words in step.all_commands():
        yield from (((*path, at), word) for at, word in enumerate(words))
    yield from step.all_texts()


def is_rehearsed(settings: object) -> bool:
    """Return whether settings have keys for drills, which a playbook does not use."""
    return isinstance(settings, Rehearsed) and any(
        (settings.rehearse, settings.reason, settings.stand_in)
    )
