"""The credentials of the service, which systemd gives to it only at its start: does it have the
credentials that a reloaded file names, and which ones have changed since?"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from drd import secrets
from drd.errors import ConfigError, DrdError, Problem
from drd.model.alert_facts import GoneSecret, LaterCredential
from drd.presence import is_gone


def require_credentials(value: object, file: str) -> None:
    """Raise ConfigError for the first credential in `value`, which was read from `file`, that this
    process does not have.
    """
    for ref in secrets.references(value):
        if ref.source != "credential":
            continue
        try:
            secrets.resolve(ref)
        except DrdError as error:
            line = _line_of(str(ref.value), file)
            problem = Problem(file, line, "", error.message, error.hint)
            raise ConfigError([problem], needs_restart=True) from None


def _line_of(name: str, file: str) -> int:
    """Return the line that names the credential first; 1 when it is not written out."""
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 1
    names_it = re.compile(rf"[^#]*credential\W+{re.escape(name)}(?![\w.-])")
    return next((n for n, line in enumerate(lines, 1) if names_it.match(line)), 1)


class GoneSecrets:
    """Finds secret files that are gone. If a file was there at the check before, the last change of
    its directory counts as the time of its removal."""

    def __init__(self) -> None:
        self._since: dict[str, GoneSecret] = {}

    def of(self, files: Mapping[str, str]) -> tuple[GoneSecret, ...]:
        """Return the files that are gone. A file that this process may not look for counts as
        present. `files` has for each file the plan that names it, or an empty text if several do.
        """
        gone = [file for file in sorted(files) if is_gone(file)]
        self._since = {file: self._since.get(file) or _gone(file) for file in gone}
        return tuple(one._replace(plan=files[file]) for file, one in self._since.items())


def _gone(file: str) -> GoneSecret:
    path = Path(file)
    copy = secrets.copy_of_service(path)
    return GoneSecret(file, secrets.gone_since(path), str(copy) if copy is not None else "")


class CredentialWatch:
    """Compares the files of `source` with the copies that systemd gave the service in `handed`.

    The unit has the right to read what only root may read. If an administrator took that right
    away, only the time of the directory shows that a file was added or exchanged."""

    def __init__(self, source: Path | None = None, handed: Path | None = None) -> None:
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        self._source = source or secrets.CREDENTIALS
        self._handed = handed or (Path(given) if given else None)
        self._known: dict[str, tuple[tuple[int, ...], LaterCredential | None]] = {}

    def later(self) -> tuple[LaterCredential, ...]:
        """Return the credentials that changed, or were added, after the service started; empty
        outside of a service."""
        if self._handed is None:
            return ()
        try:
            present = dict(self._files())
        except PermissionError:
            return self._by_the_directory(self._handed)
        except OSError:
            return ()
        self._known = {name: self._compared(name, info) for name, info in present.items()}
        return tuple(later for _, later in self._known.values() if later is not None)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Return the files that systemd would read, apart from an editor's copies."""
        for path in sorted(self._source.iterdir()):
            if path.name.startswith(".") or path.name.endswith("~"):
                continue
            try:
                info = path.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(info.st_mode):
                yield path.name, info

    def _compared(
        self, name: str, info: os.stat_result
    ) -> tuple[tuple[int, ...], LaterCredential | None]:
        """Compare the contents, if the file is another one than the last time."""
        stamp = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        known = self._known.get(name)
        if known is not None and known[0] == stamp:
            return known
        assert self._handed is not None
        at = secrets.came_at(info)
        try:
            copy = (self._handed / f"{secrets.UNIT_PREFIX}{name}").read_bytes()
        except FileNotFoundError:
            return stamp, LaterCredential(name, at, added=True)
        except OSError:
            return stamp, None
        try:
            same = copy == (self._source / name).read_bytes()
        except OSError:
            same = info.st_size == len(copy) and at.timestamp() < self._handed.stat().st_mtime
        return stamp, None if same else LaterCredential(name, at)

    def _by_the_directory(self, handed: Path) -> tuple[LaterCredential, ...]:
        try:
            changed, started = self._source.stat().st_mtime, handed.stat().st_mtime
        except OSError:
            return ()
        if changed <= started:
            return ()
        return (LaterCredential("", datetime.fromtimestamp(changed, UTC)),)
