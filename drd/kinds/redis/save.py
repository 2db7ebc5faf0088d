"""Get an RDB file of a live server: let it save, or receive the data as a replica does."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drd import process
from drd.errors import DeadlineExceeded, DrdError, DumpFailed, SourceError, SourceMissing
from drd.exhaustion import system_reason
from drd.kinds.redis.client import Client, Login, ServerRefused
from drd.kinds.redis.rdb import made_at
from drd.kinds.redis.server_facts import info, settings_of
from drd.kinds.redis.tls import forwarded
from drd.masking import masked
from drd.model.recovery_command import IF_LOST
from drd.model.text import escaped
from drd.model.units import format_duration, format_size

_POLL_S = 0.1
_BUSY = ("in progress", "child process")
"""Words in the answer to BGSAVE while another save or rewrite runs."""
_CHUNK = 1 << 20
_HEAD = 4096
_LENGTH = re.compile(r"success after (\d+) bytes")
_MARK = 40
"""The bytes by which a server ends data whose length it did not say before."""
_SAID = 300
VARIABLES = ("REDISCLI_", "VALKEYCLI_")
"""The prefixes of variables that redis-cli and valkey-cli read."""
_OVER = "wait until the other save or rewrite is over, or raise `timeout` of this component."


class Into(NamedTuple):
    """The path of the copy, and the most bytes that it may have."""

    copy: Path
    most: int

    def require_plausible(self) -> None:
        """Raise DumpFailed if the copy is larger than `most`. The copy need not exist yet."""
        with suppress(FileNotFoundError):
            if self.copy.stat().st_size > self.most:
                raise DumpFailed(
                    f"the server sends more than {format_size(self.most)}, the largest size that "
                    "its INFO memory and the free space on the disk allow",
                    hint="check that `url` names the right server, and that work_dir has room for "
                    "the data of the server.",
                )


class SavedFile(NamedTuple):
    """A copy of the server's file: the time of its data, its sha256, and the mode of the file."""

    at: datetime
    sha256: str
    mode: int


def save(client: Client, file: Path, into: Into, timeout_s: float) -> SavedFile:
    """Let the server save (BGSAVE), and copy its file. A save that runs already is awaited first:
    its data is older. Raises DumpFailed, SourceError."""
    limit = time.monotonic() + timeout_s
    require_own(client, file.parent)
    before = require_dump(file, missing_ok=True)
    at = _begin(client, limit, timeout_s)
    while (facts := info(client, "persistence")).get("rdb_bgsave_in_progress") == "1":
        _wait(limit, timeout_s, "the server is still saving")
    if facts.get("rdb_last_bgsave_status") != "ok":
        raise DumpFailed(
            "the server could not save its data (rdb_last_bgsave_status is not ok)",
            hint="the log of the server has the reason: often a full disk, or no memory for fork "
            "(vm.overcommit_memory). If you leave out `dir`, drd receives the data over the "
            "connection instead.",
        )
    after = require_dump(file, missing_ok=False)
    if before is not None and after is not None and _same(before, after):
        raise SourceError(
            f"the server has saved, but {file} is still the old file",
            hint="correct `dir` of this component: it is not the data directory of the server at "
            "`url` (CONFIG GET dir), or write `method: replica`.",
        )
    return SavedFile(at, *_copied(file, into))


def require_own(client: Client, directory: Path) -> None:
    """Raise an error unless `directory` is the one in which the server writes its file: the file
    of another server there would be a backup of the wrong data."""
    try:
        place = directory.stat()
    except OSError as error:
        raise SourceMissing(
            f"drd cannot see the directory {directory}: {system_reason(error)}",
            hint="correct `dir` of this component (CONFIG GET dir), or leave it out.",
        ) from error
    if not stat.S_ISDIR(place.st_mode):
        raise SourceMissing(
            f"{directory} is not a directory",
            hint="correct `dir` of this component (CONFIG GET dir), or leave it out.",
        )
    if client.works_in(place):
        return
    own = settings_of(client, "dir").get("dir")
    if own is None:
        raise SourceError(
            f"drd cannot prove that {directory} belongs to the server at `url`: the server does "
            "not let drd read its directory (CONFIG GET dir)",
            hint="give the user the right +config|get (docs/redis.md), or leave out `dir`: drd "
            "then receives the data over the connection.",
        )
    with suppress(OSError, ValueError):
        if os.path.samestat(Path(own).stat(), place):
            return
    shown = escaped(own)[:_SAID]
    raise SourceError(
        f"the server at `url` writes its file to {shown}, which is not {directory} on this host",
        hint=f"write `dir: {shown}` if the server runs on this host. If it runs in a container, "
        "connect by its Unix socket as root, or leave out `dir`: drd then receives the data over "
        "the connection.",
    )


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_mtime_ns) == (other.st_ino, other.st_mtime_ns)


def _begin(client: Client, limit: float, timeout_s: float) -> datetime:
    """Start a save; return the time just before it."""
    while True:
        facts = info(client, "persistence")
        busy = [k for k in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress") if
                facts.get(k) == "1"]  # fmt: skip
        if not busy:
            at = datetime.now(UTC)
            try:
                client.ask("BGSAVE")
            except ServerRefused as error:
                if not any(words in error.said for words in _BUSY):
                    raise DumpFailed(
                        f"the server refused to save: {error.message}", hint=error.hint
                    ) from error
            else:
                return at
        _wait(limit, timeout_s, "the server is busy with another save or rewrite")


def _wait(limit: float, timeout_s: float, what: str) -> None:
    process.check_cancelled()
    if time.monotonic() > limit:
        raise DeadlineExceeded(f"{what} after {format_duration(timeout_s)}", hint=_OVER)
    time.sleep(_POLL_S)


def require_dump(file: Path, *, missing_ok: bool) -> os.stat_result | None:
    """Return the state of the server's file, which drd must be able to read; None if the file is
    missing and may be. Raises SourceMissing, SourceError."""
    try:
        descriptor = _opened(file)
    except FileNotFoundError:
        if missing_ok and file.parent.is_dir():
            return None
        hint = f"{IF_LOST} Otherwise correct `dir` of this component (CONFIG GET dir)."
        raise SourceMissing(f"{file} does not exist", hint=hint) from None
    except OSError as error:
        raise _unreadable(file, error) from error
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(file: Path, error: OSError) -> SourceError:
    return SourceError(
        f"cannot read {file}: {system_reason(error)}",
        hint="give the user that runs drd access to the directory of this file (for example by the "
        "group of the server), or write `method: replica`: drd then receives the data over the "
        "connection.",
    )


def _opened(file: Path) -> int:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{file} is not a file", hint="correct `dir` of this component.")
    return descriptor


def _copied(file: Path, into: Into) -> tuple[str, int]:
    """Copy the file; the server replaces it as a whole, so one descriptor has one state."""
    digest = hashlib.sha256()
    try:
        descriptor = _opened(file)
    except OSError as error:
        raise _unreadable(file, error) from error
    with open(descriptor, "rb", buffering=0) as source, into.copy.open("xb") as made:  # noqa: PTH123
        mode = os.fstat(descriptor).st_mode
        while chunk := source.read(_CHUNK):
            process.check_cancelled()
            digest.update(chunk)
            made.write(chunk)
            into.require_plausible()
    return digest.hexdigest(), stat.S_IMODE(mode)


def receive(
    login: Login,
    program: str,
    into: Into,
    timeout_s: float,
    directory: Path,
    *,
    ahead_s: float = 0.0,
) -> SavedFile:
    """Receive the data over the connection, as a replica does, with redis-cli. The password is in
    its environment only. The clock of the server is `ahead_s` ahead of this one. Raises
    DumpFailed."""
    at = datetime.now(UTC)
    with forwarded(login, directory) if login.address.tls else nullcontext(login) as reached:
        _receive(reached, program, into, timeout_s, directory)
    end = datetime.now(UTC)
    digest = hashlib.sha256()
    with into.copy.open("rb") as file:
        made_s = made_at(file.read(_HEAD))
        file.seek(0)
        while chunk := file.read(_CHUNK):
            process.check_cancelled()
            digest.update(chunk)
    return SavedFile(_frozen(at, end, made_s, ahead_s), digest.hexdigest(), 0o660)


def _frozen(asked: datetime, received: datetime, made_s: int | None, ahead_s: float) -> datetime:
    """Return when the server froze its data: it waits some seconds for other replicas, or until
    another save is over. The file says it in whole seconds of the server's clock."""
    if made_s is None:
        return asked
    said = made_s - ahead_s
    if not asked.timestamp() < said <= received.timestamp():
        return asked
    return datetime.fromtimestamp(said, UTC)


def _received(command: process.Command, into: Into) -> process.Completed:
    """Run redis-cli, which prints the data, and remove the mark that it prints after the data."""
    with into.copy.open("xb") as file:
        child = process.start(command, stdout=file.fileno())
        done = child.pump(on_tick=into.require_plausible)
        told = _LENGTH.search(done.stderr)
        size = file.seek(0, os.SEEK_END)
        if told is not None and size == int(told[1]) + _MARK:
            file.truncate(int(told[1]))
    return done


def _receive(login: Login, program: str, into: Into, timeout_s: float, directory: Path) -> None:
    address = login.address
    if address.socket:
        where = ["-s", address.socket]
    else:
        where = ["-h", address.host, "-p", str(address.port)]
    where += ["--user", login.user] if login.user else []
    inside = login.inside
    to = os.fspath(into.copy) if inside is None else "-"
    words = [program, *where, "--no-auth-warning", "--rdb", to]
    env = {"REDISCLI_AUTH": login.password} if login.password else {}
    command = process.Command(
        words,
        env=env,
        cwd=directory,
        deadline_s=timeout_s,
        name=Path(program).name,
        more_time="raise `timeout` of this component.",
    )
    try:
        if inside is None:
            done = process.run(command, on_tick=into.require_plausible)
        else:
            done = _received(process.inside(command, inside, forget=VARIABLES), into)
    except (DeadlineExceeded, DumpFailed):
        raise
    except DrdError as error:
        raise DumpFailed(error.message, hint=error.hint) from error
    said = masked(escaped(" ".join(f"{done.stdout}\n{done.stderr}".split())))[-_SAID:]
    if done.exit_code != 0 or not into.copy.is_file():
        raise DumpFailed(
            f"{Path(program).name} --rdb ended with exit {done.exit_code}: {said or 'no message'}",
            hint="give the user of this component the rights +psync +sync +replconf. If much data "
            "changes during the backup, raise `client-output-buffer-limit replica` of the server.",
        )
