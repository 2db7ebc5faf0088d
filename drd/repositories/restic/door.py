"""Running restic: watched, with a deadline, and again when only a dead process's lock is in the
way."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import IO, Any, TypeVar

from drd import log, process
from drd.errors import (
    DeadlineExceeded,
    DrdError,
    RepositoryDamaged,
    RepositoryError,
    RepositoryLocked,
    RepositoryReadOnly,
    RepositoryUnreachable,
    ToolError,
    ToolTooOld,
)
from drd.process import Command, Completed, PipeResult
from drd.repositories import founding
from drd.repositories.place import lock_names
from drd.repositories.restic import pair
from drd.repositories.restic.library import ask
from drd.repositories.restic.messages import Complaints, Listener
from drd.repositories.restic.payload import ids
from drd.repositories.restic.session import Session
from drd.repositories.restic.stall import FirstLook, Patience, StallWatch
from drd.repositories.restic.trouble import judge, starts_nothing

T = TypeVar("T")

OLDEST = (0, 17)
"""The first restic with exit codes 10, 11 and 12."""

ANSWER_S = 120.0
"""For short questions. One costs under a second, a listing of thousands of snapshots some."""

ANSWER_BYTES = 256 << 20

_READING = frozenset({"cat", "check", "dump", "restore", "snapshots", "stats"})
"""What restic can do without a lock."""

_AT_ONCE = frozenset({"dump", "restore"})
"""What a recovery waits for, and what proves by its success that all was well."""


class Door:
    """Runs restic for one repository. `patience` and `retry_lock_s` may be set anew."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.patience = Patience()
        self.retry_lock_s = 20
        self._ready = False
        self._trouble: tuple[DrdError, float] | None = None
        self._lockless = False
        self._beside: str | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.session.spec.url

    def ready(self) -> None:
        """restic is there and new enough, and the place answers; looked at once.

        restic alone would retry a refused key for minutes.
        """
        begun = time.monotonic()
        with self._lock:
            if self._trouble is not None and self._trouble[1] >= begun:
                raise copy(self._trouble[0])  # somebody looked while we waited to
            if not self._ready:
                try:
                    self.version()
                    self.session.place.preflight(writing=False)
                except DrdError as error:
                    self._trouble = error, time.monotonic()
                    raise
                self._lockless = self.session.place.read_only()
                self._ready = True

    def version(self) -> str:
        """restic's version. Raises ToolMissing, or ToolTooOld before 0.17."""

        def answer(words: Sequence[str]) -> str:
            done = process.run(
                Command([self.session.program, *words], deadline_s=30.0, name="restic")
            )
            if done.exit_code != 0:
                raise starts_nothing(done.stderr) or ToolError(
                    f"restic cannot run: {done.complaint}"
                )
            return done.stdout

        text = str(ask(answer, lambda library: library.version())["restic_version"])
        numbers = tuple(int(n) for n in re.findall(r"\d+", text)[:2])
        if numbers < OLDEST:
            raise ToolTooOld(
                f"restic {text} is too old: its exit codes do not tell a wrong password from a "
                "missing repository",
                hint="install restic 0.17 or later; Debian 13 has 0.18.",
            )
        return text

    def ask(
        self,
        question: Callable[[Any], T],
        *options: str,
        hear: Callable[[Complaints], None] | None = None,
        **how: Any,
    ) -> T:
        """Put a short question through resticpy; `options` are restic's, beyond resticpy's words.

        `hear` gets what restic complained about all the same; `how` is as for `capture`.
        """

        def answer(words: Sequence[str]) -> str:
            told, said = self.capture([*options, *words], **how)
            if hear is not None:
                hear(said)
            return told.decode()

        return ask(answer, question)

    def capture(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        deadline_s: float = ANSWER_S,
        retry_lock_s: int = 0,
    ) -> tuple[bytes, Complaints]:
        """What restic prints, exactly, and what it complained about although it exited with 0.

        Raises RepositoryError's children; without an answer in time, what is wrong with the place.
        """
        # In anonymous memory: the pump keeps the end of a text, and we need every byte.
        with os.fdopen(os.memfd_create("drd-answer"), "w+b") as answer:
            said = self.capture_into(
                answer, words, env=env, deadline_s=deadline_s, retry_lock_s=retry_lock_s
            )
            answer.seek(0)
            return answer.read(), said

    def capture_into(
        self,
        answer: IO[bytes],
        words: Sequence[str],
        *,
        most: int = ANSWER_BYTES,
        env: Mapping[str, str] | None = None,
        deadline_s: float | None = ANSWER_S,
        retry_lock_s: int = 0,
    ) -> Complaints:
        """The same into an empty file. What exceeds `most` bytes is no answer: RepositoryError."""
        late = self._begin(words)
        command = self.session.command(
            self._locked(words), env=env, deadline_s=deadline_s, retry_lock_s=retry_lock_s
        )

        def size() -> int:
            return os.fstat(answer.fileno()).st_size

        watch = self._watch(size)

        def tick() -> None:
            if size() > most:
                raise RepositoryError(f"restic's answer exceeds {most >> 20} MiB")
            watch.tick()

        def work(first: Callable[[], None]) -> Completed:
            child = process.start(command, stdout=answer.fileno())
            return child.pump(on_tick=_both(first, tick))

        try:
            done = self._first(late, size, work)
        except DeadlineExceeded as error:
            raise self._silent(deadline_s or 0.0) from error
        if size() > most:
            raise RepositoryError(f"restic's answer exceeds {most >> 20} MiB")
        return judge(done, self.url)

    def run(
        self,
        words: Sequence[str],
        listener: Listener,
        *,
        stdin: bytes | None = None,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
    ) -> Completed:
        """Run restic to its end; the exit code is not judged."""
        late = self._begin(words)
        command = self.session.command(
            self._locked(words), deadline_s=deadline_s, retry_lock_s=retry_lock_s
        )

        def work(first: Callable[[], None]) -> Completed:
            tick = _both(first, self._watch(lambda: listener.done).tick)
            return process.run(command, stdin=stdin, on_line=listener.on_line, on_tick=tick)

        return self._first(late, lambda: listener.done, work)

    def copy(
        self,
        source: Door,
        words: Sequence[str],
        listener: Listener,
        *,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
    ) -> Completed:
        """Run restic on this repository and `source`; the exit code is not judged.

        What keeps either from going on ends it: an outage of one stops the other as well.
        """
        for door in (source, self):
            door.ready()
        words = ["--no-lock", *words] if source._lockless or source.session.of_another() else words
        command = pair.command(
            self.session,
            source.session,
            words,
            deadline_s=deadline_s,
            retry_lock_s=retry_lock_s,
        )
        watches = [door._watch(lambda: listener.done) for door in (source, self)]  # noqa: SLF001

        def tick() -> None:
            for watch in watches:
                watch.tick()

        done = process.run(command, on_line=listener.on_line, on_tick=tick)
        return self._buried(source._buried(done))

    def pipe(
        self,
        producer: Command,
        words: Sequence[str],
        listener: Listener,
        *,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
        before: Callable[[], object] | None = None,
    ) -> PipeResult:
        """Stream what `producer` prints into restic, through the gate; nothing is judged."""
        self.ready()
        command = self.session.command(words, deadline_s=deadline_s, retry_lock_s=retry_lock_s)
        tick = self._watch(lambda: listener.done).tick
        result = process.gated_pipe(
            producer, command, on_line=listener.on_line, on_tick=tick, before=before
        )
        if result.consumer is not None:
            self._buried(result.consumer)
        return result

    def locking(self, work: Callable[[int], T], *others: Door) -> T:
        """`work`, and once more when a lock was in the way: at once if it was a dead process's,
        else waiting for `retry_lock_s` seconds, which `work` gets. Raises RepositoryLocked.

        `others` are locked by the same work."""
        try:
            return work(0)
        except RepositoryLocked:
            for door in (self, *others):
                removed = door.remove_stale_locks()
                log.get().info("repository.locked", repository=door.url, stale=removed)
            return work(self.retry_lock_s)

    def reading(self, work: Callable[[int], T], *others: Door, beside: bool = False) -> T:
        """`locking` for work that writes nothing here: where no lock can be written either,
        without one. A restore from a disk or with a key that may only be read is as good as any.

        With `beside` also where another host keeps its lock: restic believes one whose host is gone
        for half an hour, and nobody can wait for that on the worst day. What cannot be read then
        may be what the other is just moving: RepositoryLocked, not RepositoryDamaged.
        """
        tried = self._lockless  # another thread may find it out meanwhile
        try:
            return self.locking(work, *others)
        except RepositoryReadOnly:
            if tried:
                raise
            log.get().info("repository.read_only", repository=self.url)
            self._lockless = True
            return self.locking(work, *others)
        except RepositoryLocked as locked:
            if not beside or not self._go_beside():
                raise
            try:
                return work(0)
            except RepositoryDamaged as error:
                raise self._moving(error) from locked
        except RepositoryDamaged as error:
            if self._beside is None or not beside:
                raise
            raise self._moving(error) from error

    def _go_beside(self) -> bool:
        """Read without a lock from now on, when it is another host's that is in the way."""
        hosts = (self._made_by(name) for name in sorted(self.session.place.locks()))
        host = next((h for h in hosts if h not in (None, socket.gethostname())), None)
        if host is None:
            return False
        if self._beside is None:
            log.get().warning(
                "repository.read_without_lock",
                repository=self.url,
                locked_by=host,
                why="a host that is gone leaves its lock; one that prunes may take data away",
            )
        self._beside = host
        return True

    def _moving(self, error: RepositoryDamaged) -> RepositoryLocked:
        return RepositoryLocked(
            f"{error.message}; it was read without a lock, since {self._beside} holds one",
            hint=f"if a prune runs on {self._beside}, wait for its end or end it, then try again.",
        )

    def _begin(self, words: Sequence[str]) -> bool:
        """What has to be known before restic is started; whether the rest is looked at beside it.

        That takes as long as restic itself takes to begin, so a recovery does not wait for it.
        """
        place = self.session.place
        if self._ready or _verb(words) not in _AT_ONCE:
            self.ready()
            return False
        if not place.far:
            place.preflight(writing=False)
        self._lockless = self._lockless or place.read_only()
        return True

    def _first(
        self, late: bool, moved: Callable[[], int], work: Callable[[Callable[[], None]], Completed]
    ) -> Completed:
        """`work`, which gets what to call about once a second. One that is `late` with the look is
        ended by what that finds, and when it fails, what is wrong with the place is the news."""
        first = FirstLook(self.ready, moved, self.patience).tick if late else _nothing
        done = self._buried(work(first))
        if late and done.exit_code != 0:
            self.ready()
        return done

    def _locked(self, words: Sequence[str]) -> list[str]:
        verb = _verb(words)
        without = self._lockless and verb in _READING
        # What a check finds without a lock is not believed, so it gets one.
        without = without or (self._beside is not None and verb in _READING - {"check"})
        # Root's lock in the directory of the one for whom it acts could not be removed by him.
        without = without or (verb in _READING and self.session.of_another())
        return ["--no-lock", *words] if without else list(words)

    def remove_stale_locks(self) -> int:
        """By restic's own judgement: this host's dead processes, and others after 30 minutes. To
        restic a dead process is alive until its parent has taken note of its end, which for an
        orphan in a container without an init is never: those we judge.

        The lock files are counted beside restic: most often there is none, and a restic call
        costs more than half a second.
        """
        place = self.session.place
        files = place.lock_files()
        founding.sweep(place, files)
        before = lock_names(files)
        if not before:
            return 0
        self.ask(lambda library: library.unlock())
        dead = process.unreaped(Path(self.session.program).name)
        if dead:
            place.remove("locks", [n for n in before & place.locks() if self._holder(n) in dead])
        return len(before - place.locks())

    def _holder(self, lock: str) -> int | None:
        """The pid of the process of this host that made a lock; None for others, and when the lock
        is gone."""
        made = self._lock_file(lock)
        return int(made["pid"]) if made.get("hostname") == socket.gethostname() else None

    def _made_by(self, lock: str) -> str | None:
        return self._lock_file(lock).get("hostname")

    def _lock_file(self, lock: str) -> Mapping[str, Any]:
        """What is in a lock; empty when it is gone."""
        try:
            told, _ = self.capture(["--no-lock", "cat", "--", "lock", *ids([lock])[1:]])
            made = json.loads(told)
        except (RepositoryError, ValueError):
            return {}
        return made if isinstance(made, dict) else {}

    def _buried(self, done: Completed) -> Completed:
        """`done`, after removing the lock that a restic which was killed could not."""
        if done.exit_code < 0:
            try:
                self.remove_stale_locks()
            except DrdError as error:  # what ended restic is the news
                log.get().warning("repository.lock_left", repository=self.url, error=error.message)
        return done

    def _look(self) -> None:
        self.session.place.preflight(writing=False)

    def _watch(self, moved: Callable[[], int]) -> StallWatch:
        return StallWatch(self._look, moved, self.patience)

    def _silent(self, deadline_s: float) -> RepositoryError:
        """restic did not answer in time: the place says why, if it can."""
        try:
            self._look()
        except RepositoryError as error:
            return error
        return RepositoryUnreachable(
            f"the repository at {self.url} did not answer within {deadline_s:g} s",
            hint="look into the server's log and at the network; a retry may help.",
        )


def _verb(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _nothing() -> None:
    """Nothing is looked at."""


def _both(one: Callable[[], None], other: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        one()
        other()

    return call
