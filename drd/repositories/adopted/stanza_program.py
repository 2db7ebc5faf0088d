"""Run pgBackRest so that it only reads: its locks, logs and spool stay in a private directory, and
its secrets reach it in its environment and in anonymous memory."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, NoReturn

from drd import log, process
from drd.errors import (
    DeadlineExceeded,
    PointGone,
    RepositoryDamaged,
    RepositoryError,
    RepositoryMissing,
    RepositoryUnreachable,
    ToolMissing,
    WrongKey,
)
from drd.model.adopted import Stanza
from drd.model.plan import SecretRef
from drd.model.units import format_duration, format_size
from drd.process import Command, rights
from drd.process.private import root_directory
from drd.repositories.adopted.running import keeping_room

PROGRAM = "pgbackrest"
ANSWER_S = 120.0
ANSWER_BYTES = 64 << 20
"""The largest size of an answer in bytes; drd reads no more."""

_JOBS = 2
_SECRET_LINE = re.compile(
    r"^\s*repo\d*-(?:cipher-pass|[a-z0-9-]*(?:key|secret|token|passphrase))\s*=\s*(\S.*?)\s*$",
    re.MULTILINE,
)
_SAID = re.compile(r"ERROR: \[(\d{3})\]: (.*)", re.DOTALL)
_NAMED = re.compile(r"\[?(\w+Error)\]?:? ")

_NOBODY = "nobody"
_THROUGH_SSH = re.compile(r"repo\d*[-_](?:host|sftp)[-_=]|repo\d*[-_]host\b", re.IGNORECASE)

_STARTS_OTHERS = re.compile(r"repo\d*[-_](?:host|sftp)|(?<![a-z])cmd", re.IGNORECASE)
"""Options in a configuration that let pgBackRest start ssh, or a program that they name."""

_MISSING = ("055", "066", "075", "080")
_DAMAGED = ("026", "029", "094", "095")
_READING = ("restore", "archive-get", "repo-get", "verify")
"""Commands that begin after `info` has opened the repository: data that they cannot decrypt or
unpack is damaged."""

_OPTIONS = ("027", "031", "032", "033", "034", "035", "036", "037")
"""Codes of messages about the configuration."""
_SAYS = 4096
_MESSAGES = 64 << 10
"""The bytes of messages that are kept, the last ones."""

_UNREACHABLE = (
    "HostConnectError", "ServiceError", "ProtocolError", "FileReadError", "process on '",
)  # fmt: skip
_OF_CIPHER = ("key/value found outside of section", "CryptoError", "cipher-pass")


class StanzaProgram:
    """Runs pgBackRest with the settings of a plan for a stanza."""

    def __init__(
        self,
        name: str,
        stanza: Stanza,
        resolve: Callable[[SecretRef], str],
        cache: Path,
        owners: Path | None = None,
    ) -> None:
        """Files that pgBackRest writes besides its answer go below `cache`, or below `owners`: the
        cache of the user for whom root acts, who may not write to files that root trusts."""
        self._name = name
        self._stanza = stanza
        self._resolve = resolve
        self._cache = cache
        self._owners = owners or cache

    def cold(self, cache: Path) -> StanzaProgram:
        return StanzaProgram(self._name, self._stanza, self._resolve, cache, self._owners)

    def version(self) -> str:
        """Return `2.55.1`. Raises ToolMissing."""
        tool = process.find_tool(PROGRAM, package=PROGRAM)
        done = process.run(Command([tool, "version"], deadline_s=20.0))
        match = re.search(r"pgBackRest (\d+\.\d+(?:\.\d+)?)", done.stdout)
        if match is None:
            raise ToolMissing(
                f"{tool} does not run: {done.complaint}",
                hint="install pgBackRest again: apt-get install --reinstall pgbackrest",
            )
        return match[1]

    def answer(self, words: Sequence[str], *, deadline_s: float = ANSWER_S) -> bytes:
        """Return the output of the command. Raises RepositoryError's children."""
        code, printed, said = self.run(words, deadline_s=deadline_s)
        if code != 0:
            self.fail(words[0], said)
        return printed

    def run(
        self,
        words: Sequence[str],
        *,
        deadline_s: float = ANSWER_S,
        most: int = ANSWER_BYTES,
        writes: Sequence[Path] = (),
        take: Callable[[IO[bytes]], None] | None = None,
        user: str | None = None,
    ) -> tuple[int, bytes, str]:
        """Run a command; return its exit status, its output and its messages. If the command
        succeeds, `take` gets the output instead. A command with `writes` trusts what the repository
        says, so it may change only these directories: it runs as their owner instead of root,
        and drd ends it before it fills their disk. As a `user`, root runs it without root's rights.
        """
        tool = process.find_tool(PROGRAM, package=PROGRAM)
        with (
            rights.root(rights.Purpose.PROCESSES) if user else nullcontext(),
            self._private() as private,
            tempfile.TemporaryFile() as output,
        ):
            command = self._command([tool, *words], private, deadline_s)
            room: Callable[[], None] | None = None
            if writes:
                command = self._confined(command, (private, *writes))
                room = keeping_room(writes[0], f"pgBackRest {words[0]}")
            if user:
                command = _run_by(command, user, private)

            def tick() -> None:
                if os.fstat(output.fileno()).st_size > most:
                    raise RepositoryError(
                        f"pgBackRest printed more than {format_size(most)} ({words[0]})",
                        hint=f"drd ended the command. Run it by hand: pgbackrest {words[0]}",
                    )
                if room is not None:
                    room()

            child = process.start(command, stdout=output.fileno())
            try:
                done = child.pump(on_tick=tick, limit=_MESSAGES)
            except DeadlineExceeded as error:
                raise RepositoryUnreachable(
                    f"pgBackRest {words[0]} did not end within {format_duration(deadline_s)}",
                    hint=f"to see why, run the command by hand: pgbackrest {words[0]}",
                ) from error
            tick()
            output.seek(0)
            if take is not None:
                if done.exit_code == 0:
                    take(output)
                return done.exit_code, b"", done.stderr
            printed = output.read()
            said = done.stderr.strip() or printed[:_SAYS].decode("utf-8", "replace")
            return done.exit_code, printed, said  # what is wrong with options is in its output

    @contextmanager
    def _private(self) -> Iterator[Path]:
        """A directory for one call. Those of processes that were killed are removed."""
        home = self._room() / PROGRAM
        home.mkdir(0o700, parents=True, exist_ok=True)
        for left in home.iterdir():
            if not Path(f"/proc/{left.name.partition('-')[0]}").exists():
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=home) as private:
            yield Path(private)

    def _room(self) -> Path:
        """A path in another user's cache could lead anywhere, so root does not write there."""
        if rights.taken():
            return root_directory() / "cache"
        return self._cache if rights.acts_for() is None else self._owners

    def config(self) -> str:
        """Return the configuration that the plan gives; empty if it gives none. Its secrets are
        masked."""
        if self._stanza.config is None:
            return ""
        config = self._resolve(self._stanza.config)
        for secret in _SECRET_LINE.findall(config):
            log.mask(secret)
        return config

    def _command(self, words: list[str], private: Path, deadline_s: float) -> Command:
        stanza = self._stanza
        files, config = {}, self.config()
        if stanza.config is not None:
            files["PGBACKREST_CONFIG"] = f"{config}\n".encode()
        else:
            words = [words[0], "--no-config", *words[1:]]
        said = f"{config}\n{stanza.options}"
        env = {
            **({} if "process-max" in said.lower() else {"PGBACKREST_PROCESS_MAX": str(_JOBS)}),
            **dict(stanza.options),
            **{name: self._resolve(ref) for name, ref in stanza.env},
            "PGBACKREST_STANZA": stanza.name,
            "PGBACKREST_REPO": str(stanza.repo),
            "PGBACKREST_LOCK_PATH": str(private),
            "PGBACKREST_SPOOL_PATH": str(private),
            "PGBACKREST_LOG_PATH": str(private),
            "PGBACKREST_LOG_LEVEL_FILE": "off",
            "PGBACKREST_LOG_LEVEL_CONSOLE": "off",
            "PGBACKREST_LOG_LEVEL_STDERR": "error",
            "PGBACKREST_LOG_TIMESTAMP": "n",
        }
        names = f"{config}\n{list(env)}"
        return Command(
            words,
            env=env,
            files=files,
            cwd=private,
            deadline_s=deadline_s,
            name=PROGRAM,
            leash="on-stop" if _STARTS_OTHERS.search(names) else "",
        )

    def _confined(self, command: Command, writes: Sequence[Path]) -> Command:
        command = replace(command, writes=writes)
        said = f"{list(command.env)}\n{command.files}"
        if os.geteuid() != 0 or rights.acts_for() is not None or _THROUGH_SSH.search(said):
            return command  # ssh needs the keys and the home of its user
        return _run_by(command, _NOBODY, *writes)

    def fail(self, verb: str, said: str) -> NoReturn:
        """Raise the error for what pgBackRest printed, by the codes of its messages."""
        code, text = code_and_text(said)
        if code in _MISSING:
            raise PointGone(
                f"pgBackRest {verb}: {plain(text)}",
                hint="check whether pgBackRest still has the backup (pgbackrest info), or "
                "choose another restore point.",
            )
        if code in _OPTIONS:
            raise RepositoryError(
                f"pgBackRest does not accept its configuration: {plain(text)}",
                hint="correct `config`, `options` or `env` of the repository in the plan.",
            )
        if code in _DAMAGED and verb in _READING:
            raise RepositoryDamaged(
                f"pgBackRest {verb} found damage: {plain(text)}",
                hint="verify the repository: pgbackrest verify. Choose another restore "
                "point: drd points PLAN",
            )
        self.judge(text, by=f"pgBackRest {verb}")

    def judge(self, text: str, *, by: str = "pgBackRest") -> NoReturn:
        """Raise the error for one message of pgBackRest."""
        if any(word in text for word in _OF_CIPHER):
            raise WrongKey(
                f"the cipher pass does not open the pgBackRest repository {self._name}",
                hint="compare the cipher pass of the plan with repo1-cipher-pass of pgBackRest. "
                "The plan has it in `config`, or in PGBACKREST_REPO1_CIPHER_PASS under "
                "`env`.",
            )
        if "Permission denied" in text:
            raise RepositoryError(
                f"{by} may not read: {plain(text)}",
                hint="drd's user needs the right to read the repository. If it is a directory, "
                "add the user to its group: usermod -aG postgres drd; then restart drd.",
            )
        if any(word in text for word in _UNREACHABLE) or "unable to get address" in text:
            raise RepositoryUnreachable(
                f"{by} cannot reach the repository {self._name}: {plain(text)}",
                hint="check the address and the network: pgbackrest info.",
            )
        raise RepositoryError(
            f"{by} failed: {plain(text) or 'no message'}",
            hint="to see more, run by hand with the same configuration: pgbackrest info",
        )

    def no_repository(self) -> NoReturn:
        raise RepositoryMissing(
            f"the directory or bucket of repository {self._name} is missing, or does not "
            "contain files of pgBackRest",
            hint="if the repository is a directory, check that its disk is mounted. If "
            "not, check `repo1-path` in the configuration.",
            state="gone",
        )

    def no_stanza(self, why: str) -> NoReturn:
        raise RepositoryMissing(
            f"the repository has no stanza {self._stanza.name} ({why})",
            hint="list the stanzas: pgbackrest info. If the stanza was renamed, correct "
            "`url` or `stanza` in the plan. If you mean a stanza of another "
            "repository, correct `config` or `repo`.",
        )


def code_and_text(said: str) -> tuple[str, str]:
    """Return the code of pgBackRest's error, empty without one, and its text."""
    match = _SAID.search(said)
    return (match[1], match[2]) if match else ("", said)


def _run_by(command: Command, user: str, *writes: Path) -> Command:
    """Return the command of root as another user's, with the right to read, and give that user
    these directories."""
    account = pwd.getpwnam(user)
    for directory in writes:
        os.chown(directory, account.pw_uid, account.pw_gid)
    return replace(command, user=user, reads_all=True)


def plain(text: str) -> str:
    """Return the first line of a message, without what no person can read."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    first = lines[0] if lines else ""
    with suppress(IndexError):
        if first.endswith(":"):
            first = f"{first} {lines[1]}"
    return "".join(c if c.isprintable() else "?" for c in _NAMED.sub("", first))[:300]
