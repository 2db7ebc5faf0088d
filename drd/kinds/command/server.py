"""The server that a drill starts on restored data."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from drd import process
from drd.errors import SandboxUnavailable, TargetError, ToolMissing
from drd.kinds.command.run import Runner, find_program, said
from drd.kinds.command.settings import ADDRESS, PORT, Serve
from drd.model.units import format_duration
from drd.process.fence import refused_hint, require_up
from drd.process.listeners import free_port, last_line, listens, require_own

_LOOK_S = 0.1


@dataclass(frozen=True)
class Server:
    """A running server, and the runner whose commands reach it."""

    child: process.Child
    runner: Runner

    def stop(self) -> None:
        self.child.stop()


def served(runner: Runner, serve: Serve, log: Path) -> Server:
    """Start the server, and wait until it is ready. Raises TargetError if it does not become ready,
    SandboxUnavailable if there is no such program."""
    try:
        find_program(serve.command[0])
    except ToolMissing as error:
        raise SandboxUnavailable(error.message, hint=error.hint) from error
    runner = runner.knowing({PORT: str(free_port())})
    runner = runner.knowing({ADDRESS: runner.filled(serve.address)})
    command = replace(runner.command("serve", serve.command), deadline_s=None)
    with log.open("ab") as out:
        child = process.start(command, stdout=out.fileno(), stderr=out.fileno())
    server = Server(child, runner)
    try:
        _await(server, serve, log)
    except BaseException:
        server.stop()
        raise
    return server


def _await(server: Server, serve: Serve, log: Path) -> None:
    limit = time.monotonic() + serve.within
    while True:
        process.check_cancelled()
        _require_alive(server, serve, log)
        why = _not_ready(server, serve, max(0.5, limit - time.monotonic()))
        if why is None:
            _require_alive(server, serve, log)
            _require_own(server)
            return
        if time.monotonic() > limit:
            raise TargetError(
                f"{server.child.command.title} was not ready within "
                f"{format_duration(serve.within)}: {why}",
                hint=last_line(log)
                or "if the service needs longer to start, raise `within` under `serve`.",
            )
        time.sleep(_LOOK_S)


def _require_own(server: Server) -> None:
    """Raise SandboxUnavailable if another user would get the restored data."""
    port = int(server.runner.values[PORT])
    what = server.child.command.title
    require_own(port, server.child.pid, what, SandboxUnavailable)


def _not_ready(server: Server, serve: Serve, left_s: float) -> str | None:
    """Say why the server is not ready yet; None if it is."""
    if serve.ready is None:
        port = server.runner.values[PORT]
        return None if listens(int(port)) else f"no program listens on port {port}"
    done = process.run(server.runner.command("ready", serve.ready, deadline_s=left_s))
    return None if done.exit_code == 0 else f"its `ready` command {said(done)}"


def _require_alive(server: Server, serve: Serve, log: Path) -> None:
    code, command = server.child.exit_code, server.child.command
    if code is None:
        return
    if command.fence is not None:
        require_up(command.fence, code)
    last = last_line(log)
    by_hand = server.runner.by_hand_hint(serve.command)
    raise TargetError(
        f"{command.title} {process.ended(code)} right after its start"
        + (f": {last}" if last else ""),
        hint=(refused_hint(last) if command.fence is not None else "")
        or f"the command of `serve` must stay in the foreground; {by_hand}",
    )
