"""A Redis or Valkey server for tests: on a Unix socket, in a directory that the caller gives."""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from pathlib import Path

from drd.errors import DrdError
from drd.kinds.redis.address import Address
from drd.kinds.redis.client import Client, Login, Reply
from tests.servers.child import Child, ServerError

_START_S = 60.0


class RedisServer:
    """One server, whose data directory is `directory`."""

    def __init__(self, directory: Path, product: str = "redis", *settings: str) -> None:
        self.directory = directory
        self.product = product
        self.settings = settings
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory.with_name(f"{directory.name}.log")
        self._child: Child | None = None
        self.start()

    @property
    def socket(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.s")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        if shutil.which(f"{self.product}-server") is None:
            raise ServerError(f"{self.product}-server is not installed: make setup installs it")
        words = [f"{self.product}-server", "--port", "0", "--unixsocket", str(self.socket)]
        words += ["--dir", str(self.directory), "--save", "", "--repl-diskless-sync-delay", "0"]
        words += self.settings
        self._child = Child(words, self._log)
        self._child.wait_until(self._answers, _START_S)

    def _answers(self) -> bool:
        with suppress(DrdError):
            return self.ask("PING") == b"PONG"
        return False

    def ask(self, *words: str, user: str = "", password: str = "") -> Reply:
        with Client(Login(Address(socket=str(self.socket)), user, password)) as client:
            return client.ask(*words)

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(signal.SIGTERM, grace_s=10)

    def kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.end(signal.SIGKILL)


def fill(server: RedisServer) -> None:
    """Fill a server with everything that it can hold: 307 keys that stay, 41 that end."""
    many = (
        "for i = 1, 300 do redis.call('set', 'order:' .. i, string.rep('x', i)) end "
        "for i = 1, 40 do redis.call('set', 'session:' .. i, i, 'EX', 100000) end "
        "for i = 1, 600 do redis.call('hset', 'big', i, i) redis.call('sadd', 'set', 'm' .. i) "
        "redis.call('zadd', 'zset', i, i) redis.call('rpush', 'list', string.rep('y', 40)) end"
    )
    server.ask("EVAL", many, "0")
    with Client(Login(Address(socket=str(server.socket)))) as client:
        client.ask("SADD", "numbers", "1", "2")
        client.ask("SET", "gone", "x", "PX", "1")
        client.ask("SELECT", "3")
        client.ask("XADD", "stream", "*", "a", "1")
        client.ask("XADD", "stream", "*", "a", "2")
        client.ask("XGROUP", "CREATE", "stream", "group", "0")
        client.ask("XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", "stream", ">")
        client.ask("HSET", "small", "a", "1")
    code = "#!lua name=orders\nredis.register_function('one', function() return 1 end)"
    server.ask("FUNCTION", "LOAD", code)
    server.ask("ACL", "SETUSER", "app", "on", ">app-secret", "~*", "+@read")
