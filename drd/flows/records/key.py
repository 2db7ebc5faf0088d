"""drd's own key, which signs the records: found through its reference, made, and replaced."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from drd import log, secrets
from drd.errors import SecretUnavailable, TargetUnwritable, UsageError
from drd.model.plan import RECORDS_KEY, SecretRef
from drd.process import rights
from drd.process.private import why_not_private
from drd.process.rights import Purpose

if TYPE_CHECKING:
    from drd.signing import Signer

_NEXT = ".next"
_log = log.get()


class RecordKey:
    """The key behind `ref`, read at its first use and kept by this process. Calling it returns the
    key, or None if it cannot be read; a record is then written without a signature, because a
    missing key must not prevent the end of a run."""

    def __init__(self, ref: SecretRef = RECORDS_KEY) -> None:
        self.ref = ref
        self._signer: Signer | None = None
        self._why: SecretUnavailable | None = None
        self._handed = _handed(ref)

    def __call__(self, current: str) -> Signer | None:
        """Return the key. If the chain's key, `current`, is another one, read it again: a person
        may have changed it."""
        if self._why is not None:
            return None
        if self._signer is None or current not in ("", self._signer.public.id):
            try:
                self._signer = self.read()
            except SecretUnavailable as error:
                self._why = error
                missing = self.missing(current, named=self.ref != RECORDS_KEY)
                if missing is not None:
                    _log.warning("records.unsigned", why=missing[0], remedy=missing[1])
                elif self.exists:
                    _log.warning("records.unsigned", why=error.message, remedy=error.hint)
                return None
        return self._signer

    def missing(self, current: str, *, named: bool) -> tuple[str, str] | None:
        """Return what happens because the key file is missing, and the remedy. None if the file is
        there, or if nobody expects a key: no entry is signed, and drd.yaml does not name one."""
        if self.exists or not (current or named):
            return None
        what = (
            f"the key of the records is missing: {self.file}. Until this file exists, drd "
            "does not sign entries of the records and restore points"
        )
        if current:
            return what, (
                f"restore the file of key {current}. If the key is lost: drd records rotate --lost"
            )
        return what, "make the key: drd records init"

    def read(self) -> Signer:
        """Read the key anew. Raises SecretUnavailable."""
        pem = self._handed or secrets.resolve(self.ref)
        if self._is_open:
            raise SecretUnavailable(
                f"other users can read the key of the records: {self.file}",
                hint=f"chmod 600 {self.file}; then replace the key: drd records rotate",
            )
        from drd.signing import Signer  # 35 ms, which a host without a key need not pay

        return Signer(pem, self.ref.describe())

    @property
    def file(self) -> Path:
        """The file that contains the key."""
        assert isinstance(self.ref.value, str)
        if self.ref.source == "credential":
            return secrets.CREDENTIALS / self.ref.value
        return Path(self.ref.value)

    @property
    def _is_open(self) -> bool:
        """Whether others can read the file, by its mode and that of its directory."""
        try:
            file, directory = self.file.stat(), self.file.parent.stat()
        except OSError:
            return False
        return bool(file.st_mode & directory.st_mode << 2 & 0o044)

    @property
    def exists(self) -> bool:
        """Whether the file exists, as far as this user may find out."""
        try:
            return self.file.exists()
        except OSError:
            return True

    def make(self, pem: str) -> None:
        """Write the first key, readable only by its owner. Raises UsageError if there is one."""
        try:
            _write(self.file, pem)
        except FileExistsError:
            raise UsageError(
                f"there is a key of the records already: {self.file}",
                hint="to replace this key: drd records rotate",
            ) from None

    def prepare(self, pem: str) -> None:
        """Write the next key beside the present one. It stays after a kill, so that no key is lost
        that a record names."""
        with suppress(FileNotFoundError), _rights(self.file.parent):
            self._next.unlink()
        _write(self._next, pem)

    def put_next(self) -> None:
        """Put the next key in the place of the present one."""
        with _rights(self.file.parent):
            self._next.replace(self.file)
            _sync(self.file.parent)

    def prepared(self) -> Signer | None:
        """Return the next key, if an interrupted change left one."""
        with suppress(SecretUnavailable):
            ref = SecretRef("file", str(self._next))
            return RecordKey(ref).read()
        return None

    @property
    def _next(self) -> Path:
        return self.file.with_name(f"{self.file.name}{_NEXT}")


def _handed(ref: SecretRef) -> str | None:
    """Return the text of a service's credential, which never changes while the service runs. When
    the host shuts down, systemd takes credentials away before the last runs have ended."""
    if ref.source == "credential" and os.environ.get("CREDENTIALS_DIRECTORY"):
        with suppress(SecretUnavailable):
            return secrets.resolve(ref)
    return None


def _rights(directory: Path) -> AbstractContextManager[None]:
    """Root's rights, if root works for another user and nobody else can change the directory."""
    if why_not_private(directory, 0) is None:
        return rights.root(Purpose.TARGETS)
    return nullcontext()


def _write(file: Path, pem: str) -> None:
    try:
        with _rights(file.parent):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(file, flags, 0o600)
            with os.fdopen(fd, "w", encoding="ascii") as opened:
                os.fchmod(fd, 0o600)
                opened.write(pem)
                opened.flush()
                os.fsync(fd)
            _sync(file.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise TargetUnwritable(
            f"cannot write the key of the records to {file}: {(error.strerror or '').lower()}",
            hint="run this command as root; or name another file in drd.yaml: "
            "records: {key: {file: PATH}}",
        ) from error


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
