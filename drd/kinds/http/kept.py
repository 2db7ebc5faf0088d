"""What a server had before a recovery: kept on this host, until the operator is done with it.

A server has no place beside its documents, so they are in a file of drd, `MARK.COMPONENT.before`,
in the form of a snapshot; after an undo, `MARK.COMPONENT.after` has what the recovery restored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from drd.errors import DrdError, TargetError
from drd.kinds.file_system import fsync_path
from drd.kinds.http.client import Api
from drd.kinds.http.put_back import put_back
from drd.kinds.http.reading import Document, read_all
from drd.kinds.http.saved import Saved, kept_from, to_bytes
from drd.kinds.http.settings import DocumentSettings
from drd.model.aside import Aside
from drd.process.private import read_own

MOST_KEPT = 1 << 30


class KeptDocuments:
    """Implements the port `KeptCopies`."""

    def __init__(
        self,
        component: str,
        api: Api,
        documents: Sequence[DocumentSettings],
        directory: Path,
        mark: str,
    ) -> None:
        self._component = component
        self._api = api
        self._documents = documents
        self.before = directory / f"{mark}.{component}.before"
        self.after = directory / f"{mark}.{component}.after"

    def keep(self, state: Mapping[str, Document]) -> None:
        """Keep the present documents of the server, unless this run has already kept an earlier
        state."""
        if not self.before.exists():
            self._write(self.before, state)

    def held(self) -> list[Aside]:
        return [
            Aside(self._component, self._api.base, str(file), file.stat().st_size, former=former)
            for file, former in ((self.before, True), (self.after, False))
            if file.exists()
        ]

    def _ways(self, *, back: bool) -> tuple[Path, Path]:
        return (self.before, self.after) if back else (self.after, self.before)

    def require_exchangeable(self, *, back: bool) -> None:
        give, _ = self._ways(back=back)
        if give.exists():
            _documents_in(give)
            self._present()

    def swap(self, *, back: bool) -> Sequence[str]:
        give, take = self._ways(back=back)
        if not give.exists():
            return ()
        saved = _documents_in(give)
        present = self._present()
        if not take.exists():
            self._write(take, present)
        done = put_back(
            self._api, saved, self._documents, present=present, saved_in="the kept copy"
        )
        give.unlink()
        fsync_path(give.parent)
        return [
            f"{self._api.base} still differs in {name}: {why}. If necessary, correct this "
            "document by hand."
            for name, why in done.left.items()
        ]

    def discard(self) -> None:
        if self.before.exists() and self.after.exists():
            raise TargetError(
                f"an earlier drd undo of {self._api.base} is not finished",
                hint="run drd undo again to finish it.",
            )
        for file in (self.before, self.after):
            file.unlink(missing_ok=True)
        with suppress(OSError):  # others have kept something, or nothing was kept
            self.before.parent.rmdir()

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _present(self) -> dict[str, Document]:
        try:
            return read_all(self._api, self._documents, present=True)
        except DrdError as error:
            raise TargetError(error.message, hint=error.hint, permanent=error.permanent) from error

    def _write(self, file: Path, state: Mapping[str, Document]) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.unlink(missing_ok=True)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(to_bytes(state))
        fsync_path(new)
        new.rename(file)
        fsync_path(file.parent)


def _documents_in(kept: Path) -> dict[str, Saved]:
    try:
        return kept_from(read_own(kept, MOST_KEPT) or b"")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TargetError(
            f"cannot read the kept copy {kept}: {error}",
            hint="recover a restore point instead.",
        ) from error
