"""The texts of the plans in force, as root's files had them when they were loaded.

Rows of the catalogue hold them as well, for the other commands and for the next start. The daemon
executes only these texts: a row that differs raises an alert, and is not executed."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drd import log
from drd.config.exposed_files import is_exposed, trusted_users
from drd.config.reading import read_reached
from drd.config.run_settings import PlanInForce
from drd.errors import ConfigError

_log = log.get()


@dataclass(frozen=True, slots=True)
class _CompressedText:
    """A compressed text: there may be thousands. `stamp` is the file's time and size when it was
    read."""

    file: str
    digest: str
    packed: bytes
    stamp: tuple[int, int] | None


class PlanTexts:
    """The texts in force, by plan. Safe in several threads."""

    def __init__(self) -> None:
        self._held: dict[str, _CompressedText] = {}
        self._replaced: set[str] = set()
        self._lock = threading.Lock()

    def take(self, plan: str, file: Path | str, text: str, stamp: tuple[int, int] | None) -> None:
        """Put this text in force. `stamp` None: the file has another text now."""
        raw = text.encode()
        held = _CompressedText(str(file), _digest(raw), zlib.compress(raw), stamp)
        with self._lock:
            self._held[plan] = held

    def begin_load(self) -> None:
        """Begin to read the files: texts that match count as correct again."""
        with self._lock:
            self._replaced.clear()

    def replaced(self, plan: str) -> None:
        """Note that the stored text differed from the file's: reported until the files are read
        again.
        """
        with self._lock:
            self._replaced.add(plan)

    def drop(self, plan: str) -> None:
        """Note that the plan is no longer in force."""
        with self._lock:
            self._held.pop(plan, None)

    def __call__(self, plan: str) -> PlanInForce | None:
        """Return the text in force and its file; None if the plan is not in force."""
        held = self._get(plan)
        return PlanInForce(plan, held.file, zlib.decompress(held.packed).decode()) if held else None

    def is_stamped(self, plan: str, stamp: tuple[int, int]) -> bool:
        """Return whether the text was read from the current file."""
        held = self._get(plan)
        return held is not None and held.stamp == stamp

    def is_stored(self, plan: str, stored: str | None) -> bool:
        """Return whether the row has the text that is in force.

        If a row holds the current text of root's file, a command of root's wrote it after loading
        it: it is in force from now on, as after a reload."""
        held = self._get(plan)
        if held is None or stored is None:
            return held is None
        digest = _digest(stored.encode())
        if digest == held.digest:
            return True
        try:
            raw, reached = read_reached(Path(held.file), what="plan")
        except ConfigError:
            return False
        if _digest(raw) != digest or is_exposed(reached, trusted_users()):
            return False  # another text, or one that anyone may have written
        info = reached.file.info
        self.take(plan, held.file, stored, (info.st_mtime_ns, info.st_size))
        _log.info("plan.loaded_elsewhere", plan=plan, file=held.file)
        return True

    def differing(self, stored: Mapping[str, str]) -> dict[str, str]:
        """Return the plans whose stored text differs, with a message."""
        with self._lock:
            names, replaced = list(self._held), set(self._replaced)
        blame = "somebody changed the catalogue without drd"
        differing = {
            name: f"the stored text of plan {name} differed from its file, and was "
            f"replaced by the file's text: {blame}"
            for name in replaced
        }
        for name in names:
            if not self.is_stored(name, stored.get(name)):
                differing[name] = (
                    f"the stored text of plan {name} differs from the text that drd has loaded; "
                    f"drd still uses the loaded text: {blame}"
                )
        return differing

    def _get(self, plan: str) -> _CompressedText | None:
        with self._lock:
            return self._held.get(plan)


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
