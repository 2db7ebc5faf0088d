"""The step `start`: start a service that keeps running when drd ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

from pydantic import Field

from drd import process
from drd.actions.command import (
    TIMEOUT_S,
    environment,
    in_backticks,
    is_there,
    missing,
    missing_rollback,
    run_command,
)
from drd.actions.launch import start_detached, start_fenced
from drd.actions.ready import Ready, until_ready, why_not_started, with_port
from drd.actions.settings import Rehearsed, Text, Words, named_texts
from drd.actions.units import how_to_get, is_absent, unit_findings, unit_state
from drd.errors import StepFailed
from drd.fields import Contradiction, Placed
from drd.log import masked
from drd.masking import MASK
from drd.model.down import NO_EFFECT, Effect, for_result, of_command, of_unit
from drd.model.finding import Finding
from drd.model.finding_codes import PORT
from drd.model.runbook import Service, Step
from drd.model.values import filled, references
from drd.ports.action import ActionContext, ActionKind, StepByHand
from drd.process.background import MARK, BackgroundProgram, end, find_unrecorded, note, noted
from drd.process.listeners import free_port, listens


class StartSettings(Rehearsed):
    """A service: a command of your own, or a systemd unit."""

    command: Words | None = Field(
        None,
        description="A program and its arguments, as a list; drd does not use a shell. The "
        "program must stay in the foreground. drd leaves the program running "
        "after a recovery, and ends it after a drill.",
    )
    unit: str | None = Field(
        None, min_length=1, description="A systemd unit of the host; no drill starts it."
    )
    port: int | None = Field(
        None, ge=1, le=65535, strict=True,
        description="The port that the program listens on; write `${port}` for it in "
                    "`command`. A drill uses a free port instead.",
    )  # fmt: skip
    url: str | None = Field(
        None,
        min_length=1,
        description="The base URL of the service; with `port`, the default is `http://127.0.0.1:${port}`.",
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables of the program; must not contain secrets.",
    )
    ready: Ready | None = Field(
        None, description="When the service counts as ready (default: at once)."
    )
    known_as: str | None = Field(
        None,
        alias="as",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="A name for the `url`: with `as: service`, other steps write `${service}`.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if (self.command is None) == (self.unit is None):
            hint = "give one of `command` and `unit`."
            yield Contradiction((), "needs exactly one of the keys command and unit", hint)
        words = [*(self.command or ()), *self.env.values(), self.url or ""]
        if self.port is None and any("port" in references(w) for w in words):
            hint = "add `port`: the port that the program listens on in a recovery."
            yield Contradiction((), "uses ${port}, but `port` is missing", hint)
        has_address = self.url is not None or self.port is not None
        ready = self.ready
        if ready is not None and (ready.http or "").startswith("/") and not has_address:
            hint = "add `url` or `port`, or write the whole URL."
            yield Contradiction(("ready", "http"), "a path needs `url` or `port`", hint)
        if ready is not None and ready.http is None and ready.command is None:
            yield Contradiction(("ready",), "is empty", "give `http` or `command`.")
        if self.known_as is not None and not has_address:
            message = f"${{{self.known_as}}} stands for the URL of this service, which is not known"
            yield Contradiction(("as",), message, "add `url` or `port`.")

    def all_commands(self) -> Iterator[Placed]:
        if self.command:
            yield ("command",), self.command
        if self.ready is not None and self.ready.command:
            yield ("ready", "command"), self.ready.command

    def all_texts(self) -> Iterator[Text]:
        if self.url is not None:
            yield ("url",), self.url
        yield from named_texts("env", self.env)
        if self.ready is not None and self.ready.http is not None:
            yield ("ready", "http"), self.ready.http

    def host_needs(self) -> Iterator[str]:
        if self.unit:
            yield f"systemd unit {self.unit}"

    @property
    def address(self) -> str:
        """The address of the service as in the plan; empty if the plan does not say."""
        written = self.url or (f"http://127.0.0.1:{self.port}" if self.port is not None else "")
        return written.rstrip("/")


class Start:
    """A command gets its own session and is not ended with drd. If an earlier try of this step has
    started the command and it still runs, it is not started again."""

    def preflight(self, step: Step) -> list[Finding]:
        settings = step.settings
        assert isinstance(settings, StartSettings)
        words = ["systemctl"] if settings.unit else settings.command or []
        units = unit_findings(settings.unit, starts=True)
        return [*missing(words), *units, *_port_findings(settings), *missing_rollback(step)]

    def run(self, context: ActionContext) -> Mapping[str, Any]:
        settings = context.step.settings
        assert isinstance(settings, StartSettings)
        if settings.unit is not None:
            return _unit(settings, context)
        name = context.step.name
        started = noted(context.directory, name)
        if started is None or not started.is_alive():
            started = _launch(settings, context)
        elif MASK in (started.url or ""):  # the note was masked
            started = replace(started, url=_url(settings, context, started.port))
        try:
            until_ready(settings.ready, context, started)
        except BaseException:
            end(context.directory, name)
            raise
        address, effect = _kept_url(started.url, context), for_result(context.step.effect)
        return {"pid": started.pid, "port": started.port, "url": address, **effect}

    def lasts(self, context: ActionContext) -> bool:
        settings, name = context.step.settings, context.step.name
        assert isinstance(settings, StartSettings)
        if settings.unit is not None:
            return unit_state(settings.unit) != "down"
        started = noted(context.directory, name)
        if started is not None and started.is_alive():
            return True
        return find_unrecorded(context.directory, name, context.key) is not None


def _unit(settings: StartSettings, context: ActionContext) -> Mapping[str, Any]:
    unit = str(settings.unit)
    if is_absent(unit):
        raise StepFailed(f"{unit} does not exist on this host", hint=f"{how_to_get(unit)}.")
    timeout_s = context.step.timeout_s or TIMEOUT_S
    try:
        run_command(["systemctl", "start", "--", unit], context, timeout_s=timeout_s)
    except StepFailed as error:
        error.hint = why_not_started(unit)
        raise
    url = _url(settings, context, settings.port)
    started = BackgroundProgram(0, None, settings.port, url)
    until_ready(settings.ready, context, started, unit=unit)
    address, effect = _kept_url(url, context), for_result(context.step.effect)
    return {"pid": None, "port": settings.port, "url": address, **effect}


def _launch(settings: StartSettings, context: ActionContext) -> BackgroundProgram:
    name, directory = context.step.name, context.directory
    port = free_port() if settings.port is not None and context.rehearsing else settings.port
    value = with_port(context, port)
    words = [filled(w, value) for w in settings.command or ()]
    if not is_there(words[0]):
        raise StepFailed(
            f"program {words[0]} is not installed on this host",
            hint="install this program, or correct the command of the step.",
        )
    pid_file, log = directory / f"{name}.pid", directory / f"{name}.log"
    pid = find_unrecorded(directory, name, context.key)
    if pid is None:
        if port is not None and listens(port):
            # Its answers would be taken for those of the new program.
            raise StepFailed(
                f"another process listens on port {port}",
                hint="end that process, or write another `port` in the step.",
            )
        pid_file.unlink(missing_ok=True)
        own = {k: filled(v, value) for k, v in settings.env.items()}
        env = {**environment(context), **own, MARK: context.key}
        fence = context.fence(settings.command or ())
        if fence is not None:
            pid = start_fenced(words, log, env, fence)
        else:
            pid = start_detached(words, pid_file, log, env)
    url = _url(settings, context, port)
    fenced = context.rehearsing
    started = BackgroundProgram(pid, process.process_start_time(pid), port, url, fenced)
    note(directory, name, replace(started, url=masked(url) if url else None))
    return started


def _url(settings: StartSettings, context: ActionContext, port: int | None) -> str | None:
    written = settings.url or ("http://127.0.0.1:${port}" if port is not None else None)
    return filled(written, with_port(context, port)).rstrip("/") if written else None


def _kept_url(url: str | None, context: ActionContext) -> str | None:
    """Return the catalogue's version; later steps get the original."""
    if url is None:
        return None
    context.keep("url", url)
    return masked(url)


def _port_findings(settings: StartSettings) -> list[Finding]:
    """Return a warning if another process uses the port of a command."""
    if settings.port is None or settings.unit is not None or not listens(settings.port):
        return []
    detail = f"another process listens on port {settings.port} of this host"
    hint = (
        f"end that process (to find it: ss -ltnp 'sport = :{settings.port}'), or give another port."
    )
    return [Finding(PORT, "warning", "", detail, hint)]


def _in_words(start: StartSettings) -> str:
    return f"start {start.unit or in_backticks(start.command)}"


_LEAVE_BY_HAND = '\'echo $$ >"$1"; shift; exec "$@"\''
"""The shell becomes the program, so that its pid is the program's."""


def _by_hand(start: StartSettings, hand: StepByHand) -> Iterator[str]:
    name = hand.step.name
    if start.unit is not None:
        yield f"systemctl start {quote(start.unit)}"
    else:
        words = hand.words(start.command or ())
        leave = f"sh -c {_LEAVE_BY_HAND} sh {name}.pid {words}"
        works = f'"/proc/$(cat {name}.pid 2>/dev/null)/environ"'
        yield f"grep -qszx DRD_STEP_KEY=by-hand/{name} {works} || # it runs already"
        yield f"    {hand.around(start.env)} setsid --fork {leave} >{name}.log 2>&1 </dev/null"
    if start.ready is None:
        return
    if start.ready.http is not None:
        address = start.ready.http
        whole = f"{start.address}{address}" if address.startswith("/") else address
        yield f"until curl -fsS -o {name}.ready {hand.word(whole)}; do sleep 1; done"
    if start.ready.command is not None:
        yield f"until {hand.command(start.ready.command)}; do sleep 1; done"


def _service(start: StartSettings) -> Service:
    return Service(
        "start",
        unit=start.unit,
        program=start.command is not None,
        known_as=start.known_as,
        port=start.port,
    )


def _effect(start: StartSettings) -> Effect:
    if start.unit is not None:
        return of_unit("start", start.unit)
    return of_command(start.command) if start.command is not None else NO_EFFECT


SPEC = ActionKind(
    "start",
    StartSettings,
    Start(),
    summary="Start a service, and wait until it is ready.",
    about="The program or unit, and when it is ready.",
    gives=("url", "port", "pid"),
    frees_ports=False,
    in_words=_in_words,
    by_hand=_by_hand,
    service=_service,
    effect=_effect,
)
