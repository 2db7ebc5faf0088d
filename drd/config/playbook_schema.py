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
from drd.model.incidents.due import Due
from drd.model.malformed import Malformed
from drd.model.playbook import reference
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
    """A value that a person gives to a run: `--set NAME=VALUE`. On a terminal, drd asks for it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = Field(
        description="Name of the input; steps use its value as `${NAME}`."
    )
    what: str = Field(
        min_length=1,
        max_length=_TEXT,
        description="What the input is, for the person who gives its value.",
    )
    secret: bool = Field(
        False,
        description="Whether the value is a secret. If true, a person gives only a reference to "
        "the secret (`file:/etc/drd/token`), and drd reads the secret when a step uses it. Only "
        "headers and bodies of requests and the environment of commands can use a secret.",
    )
    default: str | None = Field(
        None,
        description="The value, or for a secret the reference, if a person does not give one.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.secret and self.default is not None:
            try:
                reference(self.default)
            except ValueError as error:
                yield Contradiction.of(error, ("default",))


class BackupSettings(StepSettings):
    """Make a restore point of a plan, in a run of its own."""

    plan: str | None = Field(
        None, description="Name of the plan (default: the plan that `--plan` names)."
    )

    def all_texts(self) -> Iterator[Text]:
        yield ("plan",), self.plan or ""


class RecoverSettings(StepSettings):
    """Recover a plan, in a separate run with its own approvals and its own undo."""

    plan: str | None = Field(
        None, description="Name of the plan (default: the plan that `--plan` names)."
    )
    target: str | None = Field(
        None, description="Name of a target of the plan (default: the original places)."
    )
    point: str | None = Field(None, description="Id of the restore point (default: the newest).")
    before: str | None = Field(
        None, description="Use the newest restore point with data from before this time."
    )
    clean: bool | Literal["if-known"] = Field(
        False,
        description="If true, use the newest restore point with data from before the first sign of "
        "the incident; the run then needs `--incident`. `if-known`: do this in a run with "
        "`--incident`, and use the newest restore point otherwise; the result says which.",
    )
    overwrite: bool = Field(
        False, description="If true, replace the data that the target contains."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        given = [key for key in ("point", "before", "clean") if getattr(self, key)]
        if len(given) > 1:
            hint = "keep only one of the two keys: each names the restore point."
            message = f"cannot be combined with `{given[0]}`"
            yield Contradiction((given[-1],), message, hint, of_key=True)

    def all_texts(self) -> Iterator[Text]:
        for key in ("plan", "target", "point", "before"):
            yield (key,), getattr(self, key) or ""


class PreserveSettings(StepSettings):
    """Preserve evidence of a plan in the scope of the incident, in a run of its own, as `drd
    incident preserve` does."""

    plan: str | None = Field(
        None, description="Name of the plan (default: the plan that `--plan` names)."
    )
    components: list[Name] = Field(
        default_factory=list,
        max_length=100,
        description="The components of the plan to preserve (default: all).",
    )
    paths: list[str] = Field(
        default_factory=list,
        max_length=100,
        description="Absolute paths of files and directories of this host to preserve, too.",
    )
    volatile: bool = Field(
        False,
        description="If true, preserve no component of the plan, only `paths` and what soon "
        "disappears: processes, connections, logins. This takes seconds.",
    )
    reason: str = Field(
        min_length=1, max_length=_TEXT, description="Why the evidence is preserved."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.volatile and self.components:
            hint = "keep only one of the two keys."
            yield Contradiction(
                ("volatile",), "cannot be combined with `components`", hint, of_key=True
            )

    def all_texts(self) -> Iterator[Text]:
        yield ("plan",), self.plan or ""
        yield ("reason",), self.reason
        for at, path in enumerate(self.paths):
            yield ("paths", at), path


class Acting(Settings):
    """An HTTP request, a command or SQL: exactly one of the three."""

    http: HttpSettings | None = Field(None, description="An HTTP request.")
    command: CommandSettings | None = Field(
        None, description="A command, which succeeds if it exits with 0."
    )
    sql: LiveSqlSettings | None = Field(None, description="SQL in the database of the plan.")
    timeout: Duration | None = Field(None, description="Time limit.")

    reads: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        return next((k for k in ("http", "command", "sql") if getattr(self, k) is not None), "")

    def contradictions(self) -> Iterator[Contradiction]:
        given = [k for k in ("http", "command", "sql") if getattr(self, k) is not None]
        if len(given) != 1:
            hint = "write exactly one of these keys: `http`, `command`, `sql`."
            yield Contradiction((), f"has {' and '.join(given) or 'no action'}", hint)
        if self.reads and self.http is not None and self.http.method not in _READS:
            hint = "use GET or HEAD: here drd only reads."
            yield Contradiction(("http", "method"), "would change something", hint)
        if self.reads and self.sql is not None and self.sql.writes:
            yield Contradiction(("sql", "writes"), "is not allowed here", "remove it.")


class Reading(Acting):
    """An HTTP request, a command or SQL that only reads."""

    reads: ClassVar[bool] = True

    take: AnswerPlace | None = Field(
        None, description="Which part of the answer drd keeps (default: the whole answer)."
    )


class RollingBack(Acting):
    """An HTTP request, a command or SQL that rolls a step back."""

    repeat: Literal["safe", "ask"] | None = Field(
        None,
        description="Whether drd may repeat the rollback when nobody knows its outcome. `safe`: a "
        "repetition does no harm. `ask` (default): drd asks a person, unless `done_when` shows "
        "whether the rollback has happened.",
    )
    done_when: Reading | None = Field(
        None,
        description="A request, a command or SQL that succeeds if the rollback has already "
        "happened. drd executes this before it repeats the rollback.",
    )


def _words(value: Any) -> Any:
    return {"command": {"run": value}} if isinstance(value, list) else value


class NewSecretSettings(Settings):
    """A new secret in the answer. drd writes the secret only into `file` (mode 0600), and never
    into logs, the catalogue or the records."""

    take: AnswerPlace = Field(
        description="Where the secret is in the answer: a path in JSON like /key."
    )
    file: AbsolutePath = Field(
        description="The file for the secret. drd keeps an existing file as `FILE.before-RUN`, "
        "with the id of the run. If people only practise (`--rehearse`, `--exercise`), drd writes "
        "`FILE.rehearsal-RUN` instead."
    )


KINDS = (
    *("http", "command", "sql", "approve", "manual", "notify"),
    *("wait", "start", "stop", "backup", "preserve", "recover"),
)
"""The kinds of steps that act on a service in operation."""


class PlaybookStep(Settings):
    """One step, with exactly one of the keys that say what the step does."""

    http: HttpSettings | None = Field(None, description="Send a request and check the answer.")
    command: CommandSettings | None = Field(None, description="Run a command of your own.")
    sql: LiveSqlSettings | None = Field(None, description="Run SQL in the live database of a plan.")
    approve: ApproveSettings | None = Field(None, description="Wait until a person agrees.")
    manual: Manual | None = Field(None, description="Wait until a person has done something.")
    notify: Notify | None = Field(None, description="Send a message to people.")
    wait: Wait | None = Field(None, description="Wait for some time.")
    start: StartSettings | None = Field(None, description="Start a service.")
    stop: StopSettings | None = Field(None, description="Stop a service.")
    backup: BackupSettings | None = Field(None, description="Make a restore point of a plan.")
    preserve: PreserveSettings | None = Field(
        None, description="Preserve evidence before something overwrites it."
    )
    recover: RecoverSettings | None = Field(None, description="Recover a plan.")

    name: Name | None = Field(
        None, description="Name of the step, for commands like `drd approve`."
    )
    when: WhenKeys | None = Field(
        None,
        description="Execute this step only if the earlier step that `step` names ended in the "
        "state that `is` names.",
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(
        0,
        description="How often drd tries the step again after a failure. Needs `repeat: safe` or "
        "`done_when`.",
    )
    pause: Duration = Field(5.0, description="The time between two tries.")
    timeout: Duration | None = Field(None, description="Time limit of one try.")
    on_failure: Literal["abort", "continue", "ask"] | None = Field(
        None,
        description="What drd does after a failure. `ask`: a person decides (`drd retry`, `drd "
        "skip`). `abort`: no other step begins. `continue`: go on, and report it. Default: "
        "`continue` for notify, `ask` for all others.",
    )
    repeat: Literal["safe", "ask"] | None = Field(
        None,
        description="Whether drd may repeat the step when nobody knows its outcome, because drd "
        "was killed during the step. `safe`: a repetition does no harm. `ask` (default for steps "
        "that change something): drd asks a person, unless `done_when` shows whether the step "
        "has happened.",
    )
    before: Reading | None = Field(
        None,
        description="Reads the present state before the step changes it. drd keeps the result for "
        "the rollback, as `${before}`.",
    )
    done_when: Reading | None = Field(
        None,
        description="Succeeds if the step has already happened. drd executes this before it "
        "repeats the step.",
    )
    rollback: Annotated[RollingBack, BeforeValidator(_words)] | None = Field(
        None,
        description="Rolls the step back, when a person runs `drd rollback RUN`. A list of words "
        "is a command.",
    )
    final: str | None = Field(
        None,
        min_length=1,
        max_length=_TEXT,
        description="Why the step cannot be rolled back: `a revoked key stays revoked`.",
    )
    expires: Duration | None = Field(
        None,
        description="For a temporary measure: drd raises an alert if nobody has rolled the measure "
        "back after this time.",
    )
    keep: dict[Name, AnswerPlace] = Field(
        default_factory=dict,
        description="The parts of the answer that drd keeps, each with a name. Later steps use a "
        "part as `${steps.STEP.NAME}`. Without `keep`, drd does not keep any part of the answer.",
    )
    new_secret: NewSecretSettings | None = Field(
        None, description="If the answer contains a new secret: where drd stores the secret."
    )

    @property
    def kind(self) -> str:
        return next((k for k in KINDS if getattr(self, k) is not None), "")

    def contradictions(self) -> Iterator[Contradiction]:
        given = [k for k in KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            message = f"a step can do only one thing, but this step has {' and '.join(given)}"
            message = message if given else "the step does not say what to do"
            hint = f"write exactly one of these keys: {', '.join(KINDS)}."
            yield Contradiction((), message, hint)
            return
        answers = not (self.http is None and self.command is None and self.sql is None)
        for key, value in (
            ("before", self.before),
            ("keep", self.keep),
            ("new_secret", self.new_secret),
        ):
            if value and not answers:
                hint = f"remove `{key}`: only http, command and sql have an answer."
                yield Contradiction((key,), f"is not allowed in a step of kind {given[0]}", hint)
        if self.done_when is not None and given[0] not in ACTIONS.names:
            hint = "remove `done_when`: drd cannot check whether such a step has happened."
            message = f"is not allowed in a step of kind {given[0]}"
            yield Contradiction(("done_when",), message, hint, of_key=True)
        if self.final is not None and self.rollback is not None:
            hint = "keep only one of the two keys: a final step is never rolled back."
            message = "cannot be combined with `rollback`"
            yield Contradiction(("final",), message, hint, of_key=True)
        acts = (self.http, self.command, self.sql, self.start, self.stop)
        if self.expires is not None and all(one is None for one in acts):
            hint = "remove `expires`: drd watches only measures that drd itself takes."
            text = f"is not allowed in a step of kind {given[0]}"
            yield Contradiction(("expires",), text, hint, of_key=True)
        elif self.expires is not None and self.rollback is None:
            hint = "add `rollback`: a temporary measure must be rolled back."
            yield Contradiction(("expires",), "needs `rollback`", hint, of_key=True)
        if self.retries and self.repeat != "safe" and self.done_when is None and answers:
            hint = "add `repeat: safe` or `done_when`: a failed try may have had an effect."
            message = "repeats a step, although a repetition may do harm"
            yield Contradiction(("retries",), message, hint)


class TaskSettings(Settings):
    """A task of a playbook: its steps, and the role that is responsible for the task."""

    name: Name = Field(description="Name of the task.")
    text: str = Field(
        min_length=1, max_length=_LONG, description="What people have to do in this task."
    )
    role: str = Field(
        min_length=1, max_length=63, description="The role that is responsible for the task."
    )
    due: Annotated[str, AfterValidator(_due)] | None = Field(
        None,
        description="When the task is due: a moment of the incident and a duration, for example "
        "`aware + 30m`.",
    )
    steps: list[PlaybookStep] = Field(
        min_length=1, max_length=100, description="The steps of the task."
    )


class PlaybookFile(Settings):
    """How people contain an incident."""

    playbook: Name = Field(description="Name of the playbook, for `drd playbook run`.")
    title: str = Field(
        min_length=1, max_length=_TEXT, description="Title of the playbook, in a few words."
    )
    about: str = Field(min_length=1, max_length=_LONG, description="What the playbook does.")
    use_when: str = Field(
        min_length=1, max_length=_LONG, description="The situation in which the playbook helps."
    )
    inputs: list[InputSettings] = Field(
        default_factory=list,
        max_length=50,
        description="The values that a person gives to a run.",
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
