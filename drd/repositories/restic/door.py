"""Running restic: watched, with a deadline, and again when only a dead process's lock is in the
way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import IO, Any, TypeVar

from drd import log, process
from drd.errors import (
    DeadlineExceeded,
    DrdError,
    ForeignObjects,
    RepositoryDamaged,
    RepositoryError,
    RepositoryLocked,
    RepositoryReadOnly,
    RepositoryUnreachable,
)
from drd.process import Command, Completed, PipeResult
from drd.repositories.restic import foreign, locks, pair
from drd.repositories.restic.answers import Answer, Counted, InFile
from drd.repositories.restic.library import ask
from drd.repositories.restic.messages import Complaints, Listener
from drd.repositories.restic.session import Session
from drd.repositories.restic.stall import FirstLook, Patience, StallWatch
from drd.repositories.restic.trouble import judge
from drd.repositories.restic.version import version

T = TypeVar("T")

ANSWER_S = 120.0
"""For short questions. One costs under a second, a listing of thousands of snapshots some."""

ANSWER_BYTES = 256 << 20

_READING = frozenset({"cat", "check", "dump", "ls", "restore", "snapshots", "stats"})
"""What restic can do without a lock."""

_AT_ONCE = frozenset({"dump", "restore"})
"""What a recovery waits for, and what proves by its success that all was well."""

TRIES = 2
"""After failures whose cause is gone: of a key, and of a lock."""


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
                self._learn_key()
                self._ready = True

    def _learn_key(self) -> None:
        """Find out which key is ours. Raises ForeignObjects when restic alone would try what
        somebody else has put among the keys."""
        hint, error = self.session.hint, None
        with suppress(RepositoryError):  # restic finds the key by itself, or says why not
            hint.learn()
            if hint.crowded and hint.id is None:
                error = foreign.without_key(self.session)
        if error is not None:
            raise error

    def version(self) -> str:
        return version(self.session.program)

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
        return self._answered(
            InFile(answer, most), words, env=env, deadline_s=deadline_s, retry_lock_s=retry_lock_s
        )

    def count(self, words: Sequence[str], *, most: int, retry_lock_s: int = 0) -> int:
        """The number of bytes that restic prints; nothing is kept. More than `most` bytes are a
        RepositoryError."""
        answer = Counted(most)
        self._answered(answer, words, env=None, deadline_s=None, retry_lock_s=retry_lock_s)
        return answer.size()

    def _answered(self, answer: Answer, words: Sequence[str], **how: Any) -> Complaints:
        """Run restic with its output in `answer`. `how` goes to `Session.command`."""
        late = self._begin(words)
        watch = self._watch(answer.size)

        def work(first: Callable[[], None]) -> Completed:
            command = self.session.command(self._locked(words), **how)
            with answer.begin() as descriptor:
                child = process.start(command, stdout=descriptor)
            try:
                return child.pump(on_tick=_all(first, answer.bounded, watch.tick))
            finally:
                answer.ended()

        try:
            done = self._first(late, answer.size, work)
        except DeadlineExceeded as error:
            raise self._silent(how["deadline_s"] or 0.0) from error
        answer.bounded()
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

        def work(first: Callable[[], None]) -> Completed:
            command = self.session.command(
                self._locked(words), deadline_s=deadline_s, retry_lock_s=retry_lock_s
            )
            tick = _all(first, self._watch(lambda: listener.done).tick)
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
        done = self._unlock_if_killed(source._unlock_if_killed(done))
        for door in (source, self):
            door._explain_piped(done)  # noqa: SLF001
        return done

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
            self._explain_piped(self._unlock_if_killed(result.consumer))
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
        except (RepositoryReadOnly, ForeignObjects) as error:
            if tried or (isinstance(error, ForeignObjects) and error.below != "locks"):
                raise
            log.get().info("repository.read_without_a_lock_of_ours", repository=self.url)
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
        host = locks.other_host(self)
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

        That takes as long as restic itself takes to begin, so a recovery does not wait for it; but
        for the first time, when restic would try whatever somebody has put among the keys.
        """
        place = self.session.place
        if self._ready or _verb(words) not in _AT_ONCE or self.session.hint.id is None:
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
        hint = self.session.hint
        known = hint.id
        first = FirstLook(self.ready, moved, self.patience).tick if late else _nothing
        done = self._unlock_if_killed(work(first))
        if done.exit_code > 0 and late:
            self.ready()
        for _ in range(TRIES):
            if not self._cleared(done, known):
                break
            known = hint.id
            done = self._unlock_if_killed(work(_nothing))
        return done

    def _cleared(self, done: Completed, known: str | None) -> bool:
        """After a failure: whether another try may do, since the key is known now or locks of
        nobody are gone. Raises ForeignObjects, or RepositoryDamaged, for what only a person can
        remove."""
        if done.exit_code > 0 and foreign.are_keys(done.stderr):
            with suppress(RepositoryError):
                if self.session.hint.learn(anew=True) or self.session.hint.id != known:
                    return True
        return self._explain(done)

    def _explain(self, done: Completed) -> bool:
        """Whether what stood in the way is gone. Raises what stands there still."""
        if done.exit_code <= 0 or not foreign.may_be(done.stderr):
            return False
        found = foreign.explain_failure(self.session)
        if found.error is not None:
            raise found.error
        return found.swept or foreign.are_locks(done.stderr)  # another thread may have swept

    def _explain_piped(self, done: Completed) -> None:
        """The same for what only a caller can do again, who does so after a lock was in the way."""
        if self._explain(done):
            raise RepositoryLocked(f"locks that nobody wrote were in the way at {self.url}")

    def _locked(self, words: Sequence[str]) -> list[str]:
        verb = _verb(words)
        without = self._lockless and verb in _READING
        # What a check finds without a lock is not believed, so it gets one.
        without = without or (self._beside is not None and verb in _READING - {"check"})
        # Root's lock in the directory of the one for whom it acts could not be removed by him.
        without = without or (verb in _READING and self.session.of_another())
        return ["--no-lock", *words] if without else list(words)

    def remove_stale_locks(self) -> int:
        return locks.remove_stale(self)

    def _unlock_if_killed(self, done: Completed) -> Completed:
        """`done`, after removing the lock that a restic which was killed could not."""
        if done.exit_code < 0:
            try:
                self.remove_stale_locks()
            except DrdError as error:  # what ended restic is the news
                log.get().warning("repository.lock_left", repository=self.url, error=error.message)
        return done

    def _ask_place(self) -> None:
        self.session.place.preflight(writing=False)

    def _watch(self, moved: Callable[[], int]) -> StallWatch:
        return StallWatch(self._ask_place, moved, self.patience)

    def _silent(self, deadline_s: float) -> RepositoryError:
        """restic did not answer in time: the place says why, if it can."""
        try:
            self._ask_place()
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


def _all(*calls: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        for one in calls:
            one()

    return call
