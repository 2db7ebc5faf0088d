"""What a service had before a recovery: a dump, kept on this host until the operator is done.

A service has no place beside its data, so the dump is a file of drd's, `MARK.COMPONENT.before`;
after an undo, `MARK.COMPONENT.after` has what the recovery restored.
"""

from __future__ import annotations

import os
from pathlib import Path

from drd import process
from drd.errors import DrdError, TargetError
from drd.kinds.command.counts import count
from drd.kinds.command.destination import restore_from
from drd.kinds.command.run import Runner, said
from drd.kinds.file_system import fsync_path
from drd.model.aside import Aside

_LOOK_S = 30.0


class KeptDump:
    """Implements the port `KeptCopies`. `runner` reaches the service."""

    def __init__(self, runner: Runner, address: str, directory: Path, mark: str) -> None:
        self._runner = runner
        self._address = address
        self.before = directory / f"{mark}.{runner.component}.before"
        self.after = directory / f"{mark}.{runner.component}.after"

    def keep(self) -> None:
        """Dump the present data of the service, unless this run has already kept an earlier
        state."""
        if not self.before.exists():
            self._dump(self.before)

    def held(self) -> list[Aside]:
        name = self._runner.component
        return [
            Aside(name, self._address, str(file), file.stat().st_size, former=former)
            for file, former in ((self.before, True), (self.after, False))
            if file.exists()
        ]

    def require_exchangeable(self, *, back: bool) -> None:
        give, _ = self._files(back=back)
        if not give.exists() or self._runner.settings.count is None:
            return
        try:
            count(self._runner, budget_s=_LOOK_S)
        except DrdError as error:
            raise TargetError(error.message, hint=error.hint) from error

    def swap(self, *, back: bool) -> None:
        give, take = self._files(back=back)
        if not give.exists():
            return
        if not take.exists():
            self._dump(take)
        restore_from(give, self._runner, made=None)
        give.unlink()
        fsync_path(give.parent)

    def discard(self) -> None:
        if self.before.exists() and self.after.exists():
            raise TargetError(
                f"an earlier drd undo of {self._address} is not finished",
                hint="run drd undo again to finish it.",
            )
        for file in (self.before, self.after):
            file.unlink(missing_ok=True)

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _files(self, *, back: bool) -> tuple[Path, Path]:
        """Return the dump to load, and the name for one of what is there now."""
        return (self.before, self.after) if back else (self.after, self.before)

    def _dump(self, into: Path) -> None:
        """Store a whole dump under this name, or nothing. Raises TargetError."""
        settings, words = self._runner.settings, self._runner.settings.dumping
        command = self._runner.command("dump", words, deadline_s=settings.timeout)
        partial = into.with_name(f".{into.name}")
        into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                done = process.start(command, stdout=file.fileno()).pump()
            if done.exit_code != 0:
                raise self._not_kept(said(done))
            if why := self._is_no_dump(partial):
                raise self._not_kept(why)
            fsync_path(partial)
            partial.rename(into)
            fsync_path(into.parent)
        finally:
            partial.unlink(missing_ok=True)

    def _is_no_dump(self, file: Path) -> str:
        size, expected = file.stat().st_size, self._runner.settings.ends_with
        if not size:
            return "printed nothing"
        with file.open("rb") as dump:
            dump.seek(max(0, size - 4096))
            end = dump.read().rstrip()
        if expected is not None and not end.endswith(expected.rstrip().encode()):
            return f"printed a dump that does not end with {expected!r}"
        return ""

    def _not_kept(self, why: str) -> TargetError:
        return TargetError(
            f"drd could not keep a copy of the present data of {self._address}: the dump "
            f"command of {self._runner.component} {why}",
            hint="if this data may be lost, give --no-undo. Otherwise correct the dump command; "
            + self._runner.by_hand_hint(self._runner.settings.dumping),
        )
