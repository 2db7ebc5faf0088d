"""Attack: another user of the host takes the port that drd has just found free for a server of a
drill: by holding nearly all others, it knows which one drd will get.

drd asked whether the server was ready, got an answer, and sent the restored data there. Now it
looks whose program listens.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drd.actions import start
from drd.actions.ready import Ready
from drd.errors import SandboxUnavailable, StepFailed
from drd.kinds.command import server
from drd.kinds.command.run import Runner
from drd.kinds.command.settings import PATH, CommandSettings, Serve
from drd.kinds.http import stand_in
from drd.kinds.http.settings import HttpSettings
from drd.model.runbook import Step
from drd.ports.action import ActionContext
from drd.process.listeners import foreign_listener
from drd.testing.snapshots import workplace
from tests.user_support import NOBODY, as_root

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@contextmanager
def taken(user: int, host: str = "127.0.0.1") -> Iterator[int]:
    """A port on which a program of this user answers."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ready, begun = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            with socket.create_server((host, 0), family=family) as listening:
                os.write(begun, str(listening.getsockname()[1]).encode())
                while True:
                    connection, _ = listening.accept()
                    connection.recv(1 << 16)
                    connection.sendall(_ANSWER)
                    connection.close()
        finally:
            os._exit(1)
    os.close(begun)
    try:
        yield int(os.read(ready, 9))
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@as_root
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_listener_of_another_user_is_named(host: str) -> None:
    if ":" in host and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this host has no IPv6")
    with taken(NOBODY, host) as port:
        assert foreign_listener(port, os.getpid()) == "nobody"


def test_a_listener_of_this_user_is_none_of_another() -> None:
    with taken(os.geteuid()) as port:
        assert foreign_listener(port, os.getpid()) is None
    assert foreign_listener(port, os.getpid()) is None


@as_root
def test_documents_go_to_no_stand_in_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: dict[str, Any] = {"command": ["sleep", "300"], "ready": "/"}
    settings = HttpSettings.model_validate(
        {
            "kind": "http",
            "url": "http://127.0.0.1:1",
            "documents": [{"get": "/x", "save_as": "x"}],
            "stand_in": declared,
        }
    )
    with taken(NOBODY) as port:
        monkeypatch.setattr(stand_in, "free_port", lambda: port)
        with pytest.raises(SandboxUnavailable, match=f"user nobody listens on port {port}"):
            stand_in.DeclaredStandIn(settings, workplace(tmp_path / "w", "run1"))


@as_root
def test_data_is_loaded_into_no_server_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = Serve(command=["sleep", "300"])
    raw = {"kind": "command", "dump": ["true"], "restore": ["true", "${path}"]}
    settings = CommandSettings.model_validate(raw)
    place = workplace(tmp_path / "w", "run1")
    runner = Runner("db", settings, {PATH: str(tmp_path)}, place, "sandbox", cwd=tmp_path)
    with taken(NOBODY) as port:
        monkeypatch.setattr(server, "free_port", lambda: port)
        with pytest.raises(SandboxUnavailable, match=f"user nobody listens on port {port}"):
            server.served(runner, serve, tmp_path / "log")


@as_root
def test_steps_use_no_service_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = start.StartSettings(
        command=["sleep", "300"], port=80, ready=Ready(http="/", within="20s")
    )
    with taken(NOBODY) as port:
        # It takes the port after drd has seen that nobody listens there.
        monkeypatch.setattr(start, "free_port", lambda: port)
        monkeypatch.setattr(start, "listens", lambda _: False)
        context = ActionContext(
            step=Step("serve", "start", settings=settings),
            key="0a0b0c0d/serve",
            value=str,
            environment={"PATH": os.environ["PATH"]},
            inspectors=pytest.fail,
            directory=tmp_path,
            stays=False,
        )
        with pytest.raises(StepFailed, match=f"user nobody listens on port {port}"):
            start.Start().run(context)
