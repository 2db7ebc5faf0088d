"""Publish into a directory that cannot be renamed: a mount point, or one whose parent drd may not
write.

The staging directory is inside the target, and the entries of its top are published, one rename
each. The journal notes the progress: 1. `aside` (when overwriting): the old entries move into
`.drd_<run>_before`, within the target; 2. `moving`: the new ones move out of the staging directory;
after a kill the rest moves when the run continues; 3. `published`: the staging directory is
removed, and so is what was set aside unless it is to be kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from drd.errors import TargetNotEmpty
from drd.kinds.file_system import fsync_path, remove
from drd.kinds.kept_files import Within
from drd.kinds.publish import came_meanwhile, read_journal, remove_nothing, write_journal
from drd.kinds.untrusted_dirs import held, opened, pinned, remove_landing, working


@dataclass(frozen=True, slots=True)
class InsidePublication:
    """Like `Publication`, with the staging directory inside `target`."""

    target: Path
    landing: Path
    journal: Path
    mark: str
    keep: bool = False

    @property
    def before(self) -> Path:
        return Within(self.target, self.mark).before

    def announce(self, *, overwrite: bool) -> None:
        known = read_journal(self.journal)
        known |= {
            "inside": True,
            "target": os.fspath(self.target),
            "landing": os.fspath(self.landing),
            "mark": self.mark,
            "companions": [],
            "overwrite": overwrite,
            "keep": self.keep,
        }
        write_journal(self.journal, known)

    def may_overwrite(self) -> bool:
        return bool(read_journal(self.journal).get("overwrite"))

    def begun(self) -> bool:
        """Return whether names of this run may already exist in the target."""
        return self._phase() in ("moving", "published")

    def published(self) -> bool:
        return self._phase() == "published"

    def _phase(self) -> str:
        return str(read_journal(self.journal).get("phase", ""))

    def _reached(self, phase: str) -> None:
        write_journal(self.journal, read_journal(self.journal) | {"phase": phase})

    def content(self) -> list[str]:
        """Names in the target that are not this run's."""
        return Within(self.target, self.mark).entries()

    @working
    def publish(self, fresh: Path) -> None:
        """Carry out steps 1 to 3; idempotent. Raises TargetNotEmpty if something else took
        a name.
        """
        if self._phase() in ("", "aside"):
            self._reached("aside")
            self._set_aside()
            self._reached("moving")
        if self._phase() == "moving":
            for entry in sorted(fresh.iterdir()):
                place = pinned(self.target / entry.name)
                if os.path.lexists(place):
                    raise TargetNotEmpty(
                        f"{self.target / entry.name} appeared during the recovery",
                        hint="move it away, then continue the recovery: drd resume RUN.",
                    )
                entry.rename(place)
            fsync_path(opened(self.target))
            self._reached("published")
        self.tidy()

    def _set_aside(self) -> None:
        names = self.content()
        if names:
            pinned(self.before).mkdir(mode=0o700, exist_ok=True)
        for name in names:
            pinned(self.target / name).rename(held(self.before) / name)

    @working
    def tidy(self) -> None:
        if self.may_overwrite() and not self.keep:
            remove(pinned(self.before))
        else:
            remove_nothing(pinned(self.before))  # a directory: goes only while it is empty
        remove_landing(self.landing)

    @working
    def appeared(self) -> list[str]:
        if self.may_overwrite() or not os.path.lexists(pinned(self.before)):
            return []
        return [came_meanwhile(self.target, self.before)]

    @working
    def undo(self) -> list[str]:
        """Undo what a run that will not continue has left; return sentences about it."""
        notes: list[str] = []
        if self.published():
            self.tidy()
            return notes
        if self.before.is_dir():
            if self.begun():
                held_back = f"{self.before} has the content that {self.target} had"
                return [f"{held_back} before an interrupted recovery"]
            for entry in held(self.before).iterdir():
                entry.rename(pinned(self.target / entry.name))
            pinned(self.before).rmdir()
            notes.append(f"restored the content of {self.target} after an unfinished recovery")
        if self.landing.is_dir():
            remove_landing(self.landing)
            notes.append(f"removed {self.landing}, which an unfinished recovery left")
        return notes
