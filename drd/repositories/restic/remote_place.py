"""The place of a repository that only restic reaches: each question is a call of restic.

drd has no other way to read there, so it needs the password for every question, and does not know
the size and time of single objects. The methods say what this costs.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from drd import process
from drd.errors import (
    DeadlineExceeded,
    RepositoryError,
    RepositoryMissing,
    RepositoryUnreachable,
    WrongKey,
)
from drd.model.finding import Finding
from drd.model.finding_codes import PROTECTION
from drd.model.schemes import Scheme, parse_sftp
from drd.model.units import format_duration
from drd.process import Command, Completed, find_tool
from drd.repositories.place import MOST_OBJECTS, Kept, StoredObject, is_id
from drd.repositories.restic.errors import failing, judge
from drd.repositories.restic.reach import ssh_options
from drd.repositories.restic.remote_errors import explained
from drd.repositories.restic.remote_room import free_bytes
from drd.repositories.restic.remote_writing import require_writable
from drd.repositories.restic.stall import last_attempt

if TYPE_CHECKING:
    from drd.repositories.restic.session import Session

ANSWER_S = 15.0
LISTING_S = 120.0
"""Time limits in seconds of one question about the config, and of one listing."""
RETRIES = 3
"""restic repeats a failed request for a quarter of an hour; drd waits for so many repetitions,
which begin within some seconds."""
_LARGEST_STDERR = 1 << 16
_LARGEST_ANSWER = MOST_OBJECTS * 66
"""The largest size in bytes of an answer: a listing has 64 digits in each line. A longer answer is
refused, because a listing without its beginning would make snapshots missing."""
_NO_SESSION = "unable to start the sftp session"


class ResticPlace:
    """A repository at an address with a scheme of `drd.model.schemes`."""

    by_file = False

    def __init__(self, session: Session, scheme: Scheme) -> None:
        self.url = session.spec.url
        self._session = session
        self._scheme = scheme

    def preflight(self, *, writing: bool = True) -> None:  # noqa: ARG002 - only a write tells
        """Ask for the repository. It is not an error here if the repository does not exist yet, or
        if the password does not open it: the server has answered.
        """
        try:
            self.probe()
        except WrongKey:
            return

    def probe(self) -> str | None:
        """Return the repository's id, which needs the password."""
        try:
            told = self._asked(["cat", "config"], ANSWER_S)
        except RepositoryMissing as error:
            if error.state == "gone":
                raise
            return None
        try:
            return str(json.loads(told)["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise RepositoryError(
                f"restic's answer about the repository at {self.url} cannot be read",
                hint="install restic 0.17 or 0.18: drd supports these versions.",
            ) from error

    def try_to_make(self) -> bool:
        return require_writable(self.url, self._session.reach())

    def read_only(self) -> bool:
        return False  # only a write tells

    def clock_ahead_s(self) -> float | None:
        return None

    def free_bytes(self) -> int | None:
        """Return the free space that the SSH server, or rclone, reports; None for other schemes,
        which do not report it."""
        return free_bytes(self.url, self._session.reach())

    def missing(self, snapshots: Sequence[str]) -> list[str]:
        stored = self._listed("snapshots")
        return [snapshot for snapshot in snapshots if snapshot not in stored]

    def lock_files(self) -> Mapping[str, float]:
        """Return the locks; their age is unknown, so drd judges none of them stale."""
        return dict.fromkeys(self._listed("locks"), 0.0)

    def locks(self) -> frozenset[str]:
        return self._listed("locks")

    def objects(self, below: Kept) -> Mapping[str, StoredObject]:  # noqa: ARG002
        """Return no objects: drd cannot read objects here, so it cannot distinguish foreign objects
        from restic's own. restic itself searches its key.
        """
        return {}

    def read(self, name: str, most: int) -> bytes | None:  # noqa: ARG002
        return None

    def unfinished_keys(self) -> list[str]:
        """Return no keys: without a config, restic lists nothing."""
        return []

    def put_mark(self, name: str) -> None:
        """Do nothing: restic stores only its own files. So if two hosts make the same repository in
        the same second, drd finds out only afterwards (`maintenance.initialise`).
        """

    def remove(self, below: Literal["keys", "locks"], names: Iterable[str]) -> None:
        for name in names:
            raise RepositoryError(
                f"drd cannot remove {below}/{name} at {self.url}: restic has no command for that",
                hint=f"remove it by hand: {self.removal(f'{below}/{name}')}",
            )

    def removal(self, name: str) -> str:
        return self._scheme.removal(self.url, name)

    def list_command(self, below: Kept) -> str:
        return f"restic list {below}"

    def findings(self, protection: str | None) -> list[Finding]:
        if protection in (None, "none"):
            return []
        detail = (
            f"the plan has `protection: {protection}`, but drd cannot check this for "
            f"repositories at {self._scheme.name}:"
        )
        return [Finding(PROTECTION, "warning", "", detail)]

    def _listed(self, what: Literal["snapshots", "locks"]) -> frozenset[str]:
        try:
            told = self._asked(["list", what], LISTING_S)
        except RepositoryMissing as error:
            if error.state == "gone":
                raise
            return frozenset()
        return frozenset(line for line in told.decode("ascii", "replace").split() if is_id(line))

    def _asked(self, words: Sequence[str], within_s: float) -> bytes:
        """Return restic's answer. Raises the children of RepositoryError."""
        command = self._session.command(["--no-lock", "--no-cache", "--quiet", *words])
        done, is_late = _run_briefly(command, within_s)
        if done.exit_code and self._scheme.name == "sftp" and _NO_SESSION in done.stderr:
            # restic may end before it has passed on what ssh said.
            done = replace(done, stderr=done.stderr + self._ask_ssh())
        if is_late and done.exit_code != 0:
            if attempt := last_attempt(done.stderr):
                raise failing(self.url, attempt)
            raise explained(done.stderr, self.url) or RepositoryUnreachable(
                f"the repository at {self.url} did not answer within {format_duration(within_s)}",
                hint="check the URL, the network and that the server runs.",
            )
        judge(done, self.url)
        if len(done.printed) >= _LARGEST_ANSWER:
            raise RepositoryError(
                f"the repository at {self.url} has more than {MOST_OBJECTS:,} objects of one kind, "
                "too many for drd to list",
                hint="forget restore points: set `retention`, then run drd retention PLAN.",
            )
        return done.printed

    def _ask_ssh(self) -> str:
        """Return why ssh cannot log in."""
        place, files = parse_sftp(self.url), self._session.reach().files
        words = [place.host, "-p", str(place.port), "-l", place.user, *ssh_options(files)]
        program = find_tool("ssh", package="openssh-client")
        # ssh closes what it inherits, so its parent holds the files, as restic does otherwise.
        argv = ["/bin/sh", "-c", '"$@"; exit $?', "sh", program, *words, "-s", "sftp"]
        command = Command(argv, files=files, deadline_s=ANSWER_S, name="ssh")
        try:
            return process.run(command).stderr
        except DeadlineExceeded:
            return "connection timed out"


def _run_briefly(command: Command, within_s: float) -> tuple[Completed, bool]:
    """Run restic until it ends, or keeps repeating a failed request, or does not answer. Returns
    whether it was ended.
    """
    begun, is_late = time.monotonic(), False
    with os.fdopen(os.memfd_create("drd-errors"), "w+b", buffering=0) as errors:
        child = process.start(command, stderr=errors.fileno())

        def tick() -> None:
            nonlocal is_late
            for_s = time.monotonic() - begun
            is_failing = _beginning(errors.fileno()).count(b", retrying after ") >= RETRIES
            if not is_late and (is_failing or for_s > within_s):
                is_late = True
                child.ask_to_stop()
            elif for_s > within_s + ANSWER_S:
                child.signal_group(signal.SIGKILL)

        done = child.pump(on_tick=tick, limit=_LARGEST_ANSWER)
        said = _beginning(errors.fileno()).decode("utf-8", "backslashreplace")
    return replace(done, stderr=said), is_late


def _beginning(fd: int) -> bytes:
    return os.pread(fd, _LARGEST_STDERR, 0)
