"""Run restic: watched, with a deadline, and once more if only a dead process's lock blocked it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from pathlib import Path
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
from drd.model.limits import UNLIMITED, Limits
from drd.model.units import format_duration
from drd.process import Command, Completed, PipeResult
from drd.repositories.restic import foreign_objects, locks, two_repositories
from drd.repositories.restic.errors import failing, judge
from drd.repositories.restic.examined_stream import ExaminedStream
from drd.repositories.restic.library import ask
from drd.repositories.restic.limits import at_priority_of, limited
from drd.repositories.restic.messages import Complaints, Listener
from drd.repositories.restic.output import Counted, Examined, InFile, ResticOutput
from drd.repositories.restic.session import Session
from drd.repositories.restic.stall import PATIENCE_BY_RESTIC, Patience, StallWatch, together
from drd.repositories.restic.version import version

T = TypeVar("T")

ANSWER_S = 120.0
"""Deadline in seconds for short questions. Most take less than a second, a listing of thousands of
snapshots some seconds."""

ANSWER_BYTES = 256 << 20

_READING = frozenset({"cat", "check", "dump", "ls", "mount", "restore", "snapshots", "stats"})
"""restic commands that work without a lock."""


TRIES = 2
"""Tries after failures whose cause was removed: one for a key, one for a lock."""


class ResticRunner:
    """Runs restic for one repository. Callers may change `patience` and `retry_lock_s`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.patience = Patience() if session.place.by_file else PATIENCE_BY_RESTIC
        self.retry_lock_s = 20
        self._ready = False
        self._trouble: tuple[DrdError, float] | None = None
        self._lockless = False
        self.only_reads = False
        """Whether the repository belongs to another tool: drd writes nothing to it, not even a
        lock."""
        self._foreign_lock_host: str | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.session.spec.url

    def ready(self) -> None:
        """Check once that restic is installed and new enough, and that the place answers.

        restic alone would retry a refused key for minutes."""
        begun = time.monotonic()
        with self._lock:
            if self._trouble is not None and self._trouble[1] >= begun:
                raise copy(self._trouble[0])  # another thread has checked while we waited to
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
        """Find out which key is ours. Raises ForeignObjects when restic alone would try files that
        others have put among the keys."""
        hint, error = self.session.hint, None
        with suppress(RepositoryError):  # restic finds the key by itself, or reports why not
            hint.learn()
            if hint.crowded and hint.id is None:
                error = foreign_objects.missing_key_error(self.session)
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
        """Put a short question through resticpy; `options` are restic's, which resticpy does not
        offer.

        `hear` gets restic's complaints of a call that succeeded; `how` is as for `capture`."""

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
        """Return restic's exact output, and its complaints, if it exited with 0. Raises the
        children of RepositoryError; if restic does not answer in time, the error of the place."""
        # In anonymous memory, because the pump keeps only the end of a text, and we need every
        # byte.
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
        """Write restic's output into an empty file. Raises RepositoryError for more than `most`
        bytes."""
        return self._answered(
            InFile(answer, most), words, env=env, deadline_s=deadline_s, retry_lock_s=retry_lock_s
        )

    def count(self, words: Sequence[str], *, most: int, retry_lock_s: int = 0) -> int:
        """Return the number of bytes that restic prints; the output is dropped. Raises
        RepositoryError for more than `most` bytes."""
        answer = Counted(most)
        self._answered(answer, words, env=None, deadline_s=None, retry_lock_s=retry_lock_s)
        return answer.size()

    def examine(self, words: Sequence[str], stream: ExaminedStream, deadline_s: float) -> None:
        """Run restic, and give its output to `stream`. Raises RepositoryError's children, also if
        the stream was cut short."""
        self._answered(Examined(stream), words, env=None, deadline_s=deadline_s, retry_lock_s=0)

    def _answered(self, answer: ResticOutput, words: Sequence[str], **how: Any) -> Complaints:
        """Run restic with its output in `answer`. `how` goes to `Session.command`."""
        self.ready()
        watch = self._watch(answer.size)

        def work() -> Completed:
            command = self.session.command(self.with_lock_option(words), **how)
            with answer.begin() as descriptor:
                child = process.start(command, stdout=descriptor)
            try:
                on_tick = together(answer.check_size, watch.tick)
                return child.pump(on_tick=on_tick, on_words=watch.heard)
            finally:
                answer.ended()

        try:
            done = self._cleared(work)
        except DeadlineExceeded as error:
            raise self._no_answer(how["deadline_s"] or 0.0, watch.last_attempt) from error
        answer.check_size()
        return judge(done, self.url)

    def run(
        self,
        words: Sequence[str],
        listener: Listener,
        *,
        stdin: bytes | None = None,
        limits: Limits = UNLIMITED,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
        cwd: Path | None = None,
    ) -> Completed:
        """Run restic to its end, within `limits`; the caller judges the exit code."""
        self.ready()

        def work() -> Completed:
            command = limited(
                self.session,
                self.with_lock_option(words),
                limits,
                deadline_s=deadline_s,
                retry_lock_s=retry_lock_s,
            )
            watch = self._watch(lambda: listener.done)
            return process.run(
                replace(command, cwd=cwd or command.cwd),
                stdin=stdin,
                on_line=listener.on_line,
                **watch.follows(),
            )

        return self._cleared(work)

    def copy(
        self,
        source: ResticRunner,
        words: Sequence[str],
        listener: Listener,
        *,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
    ) -> Completed:
        """Run restic on this repository and `source`; the caller judges the exit code.

        An outage of either repository ends the call."""
        for runner in (source, self):
            runner.ready()
        words = ["--no-lock", *words] if source._lockless or source.session.of_another() else words
        command = two_repositories.command(
            self.session,
            source.session,
            words,
            deadline_s=deadline_s,
            retry_lock_s=retry_lock_s,
        )
        watches = [runner._watch(lambda: listener.done) for runner in (source, self)]  # noqa: SLF001

        done = process.run(
            command,
            on_line=listener.on_line,
            on_tick=together(*(watch.tick for watch in watches)),
            on_words=watches[-1].heard,
        )
        done = self._unlock_if_killed(source._unlock_if_killed(done))
        for runner in (source, self):
            runner._explain_piped(done)  # noqa: SLF001
        return done

    def pipe(
        self,
        producer: Command,
        words: Sequence[str],
        listener: Listener,
        *,
        limits: Limits = UNLIMITED,
        deadline_s: float | None = None,
        retry_lock_s: int = 0,
    ) -> PipeResult:
        """Stream the output of `producer` into restic, through the gate, both within `limits`; the
        caller judges the result."""
        self.ready()
        command = limited(
            self.session, words, limits, deadline_s=deadline_s, retry_lock_s=retry_lock_s
        )
        producer = at_priority_of(limits, producer)
        watch = self._watch(lambda: listener.done)
        result = process.gated_pipe(producer, command, on_line=listener.on_line, **watch.follows())
        if result.consumer is not None:
            self._explain_piped(self._unlock_if_killed(result.consumer))
        return result

    def locking(self, work: Callable[[int], T], *others: ResticRunner) -> T:
        """Call `work`, and once more if a lock blocked it: at once if the lock belonged to a dead
        process, else with `retry_lock_s` as the seconds to wait. Raises RepositoryLocked.

        `others` are locked by the same work."""
        try:
            return work(0)
        except RepositoryLocked:
            for runner in (self, *others):
                removed = runner.remove_stale_locks()
                log.get().info("repository.locked", repository=runner.url, stale=removed)
            return work(self.retry_lock_s)

    def reading(
        self, work: Callable[[int], T], *others: ResticRunner, ignore_foreign_lock: bool = False
    ) -> T:
        """Do the same as `locking`, for work that writes nothing here. It works without a lock if
        none can be written: a restore from a read-only disk or with a read-only key is as good as
        any.

        With `ignore_foreign_lock` it also reads while another host holds a lock: restic respects
        the lock of a host that is gone for half an hour, and a recovery cannot wait for that. Data
        that cannot be read then may be data that the other host is moving: RepositoryLocked, not
        RepositoryDamaged.
        """
        tried = self._lockless  # another thread may change it meanwhile
        try:
            return self.locking(work, *others)
        except (RepositoryReadOnly, ForeignObjects) as error:
            if tried or (isinstance(error, ForeignObjects) and error.below != "locks"):
                raise
            log.get().info("repository.read_without_a_lock_of_ours", repository=self.url)
            self._lockless = True
            return self.locking(work, *others)
        except RepositoryLocked as locked:
            if not ignore_foreign_lock or not self._ignore_foreign_lock():
                raise
            try:
                return work(0)
            except RepositoryDamaged as error:
                raise self._locked_by_other(error) from locked
        except RepositoryDamaged as error:
            if self._foreign_lock_host is None or not ignore_foreign_lock:
                raise
            raise self._locked_by_other(error) from error

    def _ignore_foreign_lock(self) -> bool:
        """Read without a lock from now on if another host holds the lock that blocks us."""
        host = locks.other_host(self)
        if host is None:
            return False
        if self._foreign_lock_host is None:
            log.get().warning(
                "repository.read_without_lock",
                repository=self.url,
                locked_by=host,
                why="a host that is gone leaves its lock; a host that prunes may remove data",
            )
        self._foreign_lock_host = host
        return True

    def _locked_by_other(self, error: RepositoryDamaged) -> RepositoryLocked:
        host = self._foreign_lock_host
        return RepositoryLocked(
            f"{error.message}. drd read without a lock, and host {host} holds a lock: the reason "
            f"may be a change that {host} was making",
            hint=f"if a prune runs on {host}, wait until it ends or stop it, then try again.",
        )

    def _cleared(self, work: Callable[[], Completed]) -> Completed:
        """Call `work`, and again while what made it fail could be removed."""
        hint = self.session.hint
        for _ in range(TRIES):
            known = hint.id
            done = self._unlock_if_killed(work())
            if not self._is_cleared(done, known):
                return done
        return self._unlock_if_killed(work())

    def _is_cleared(self, done: Completed, known: str | None) -> bool:
        """Return whether another try after a failure may succeed, because the key is known now or
        invalid locks were removed. Raises ForeignObjects, or RepositoryDamaged, for what only a
        person can remove.
        """
        if done.exit_code > 0 and foreign_objects.are_keys(done.stderr):
            with suppress(RepositoryError):
                if self.session.hint.learn(anew=True) or self.session.hint.id != known:
                    return True
        return self._explain(done)

    def _explain(self, done: Completed) -> bool:
        """Return whether the obstacle was removed. Raises an error if it is still there."""
        if done.exit_code <= 0 or not foreign_objects.may_be(done.stderr):
            return False
        explained = foreign_objects.explain_failure(self.session)
        if explained.error is not None:
            raise explained.error
        return explained.swept or foreign_objects.are_locks(
            done.stderr
        )  # another thread may have removed it

    def _explain_piped(self, done: Completed) -> None:
        """Do the same as `_explain`, for calls that only the caller can repeat; it does so after
        RepositoryLocked.
        """
        if self._explain(done):
            raise RepositoryLocked(
                f"invalid locks blocked the repository at {self.url}, and drd removed them",
                hint="try again.",
            )

    def with_lock_option(self, words: Sequence[str]) -> list[str]:
        verb = _verb(words)
        without = (self._lockless or self.only_reads) and verb in _READING
        # A check without a lock proves no damage, so it gets one.
        without = without or (self._foreign_lock_host is not None and verb in _READING - {"check"})
        # The user for whom root acts could not remove root's lock in his directory.
        without = without or (verb in _READING and self.session.of_another())
        return ["--no-lock", *words] if without else list(words)

    def remove_stale_locks(self) -> int:
        if self.only_reads:
            return 0
        return locks.remove_stale(self)

    def _unlock_if_killed(self, done: Completed) -> Completed:
        """Return `done`, after removing the lock that a killed restic left."""
        if done.exit_code < 0:
            try:
                self.remove_stale_locks()
            except DrdError as error:  # the failure of restic takes precedence
                log.get().warning("repository.lock_left", repository=self.url, error=error.message)
        return done

    def _ask_place(self) -> None:
        self.session.place.preflight(writing=False)

    def _watch(self, moved: Callable[[], int]) -> StallWatch:
        return StallWatch(
            self._ask_place, moved, self.patience, lambda said: failing(self.url, said)
        )

    def _no_answer(self, deadline_s: float, attempt: str) -> DrdError:
        """Return the error for a restic that did not answer in time: the place's own error if it
        has one, or the one because of which restic repeats its last `attempt`."""
        try:
            self._ask_place()
        except RepositoryError as error:
            return error
        if attempt:
            return failing(self.url, attempt)
        return RepositoryUnreachable(
            f"the repository at {self.url} did not answer within {format_duration(deadline_s)}",
            hint="check the server's log and the network, then try again.",
        )


def _verb(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")
