"""Programs that the steps and checks of a plan run: own small scripts go into the kit, since no
package installs them on a new machine; everything else is listed, to be installed there first."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from drd.actions.settings import StepSettings
from drd.config.resolved import COMMAND_PATH
from drd.exhaustion import system_reason
from drd.kinds.inside import needs_of
from drd.model.kit import KitFile
from drd.model.plan import Plan
from drd.model.units import format_size
from drd.registry import extensions_used

LARGEST = 1 << 20
"""The largest script in bytes that goes into the kit."""

_PACKAGED = ("/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/", "/bin/", "/sbin/", "/lib/")
"""Directories in which only packages install programs."""

_EVERYWHERE = frozenset({"sh", "bash", "env", "dash"})
_SHEBANG = re.compile(rb"#!\s*(\S+)(?:[ \t]+(?:-S[ \t]+)?([^\s-]\S*))?")


@dataclass(slots=True)
class KitPrograms:
    """What `take` has collected so far: the `files` for the kit, with their contents, by their
    names in the kit."""

    files: dict[str, KitFile] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def take(self, plan: Plan) -> tuple[str, ...]:
        """Add the scripts of a plan; returns a sentence for each thing to install first."""
        needs: dict[str, None] = {}
        for word in named_by(plan):
            path = file_of_word(word)
            why = "did not exist on the host that made the kit" if path is None else self._put(path)
            if path is not None and path in self.files:
                needs |= dict.fromkeys(_interpreter(self.contents[self.files[path].file]))
            elif Path(word).name not in _EVERYWHERE:
                needs[f"{word} {why}".rstrip()] = None
        packages = (f"the Python package {e.name} {e.version}" for e in extensions_used(plan))
        needs |= dict.fromkeys(f"{package}, in addition to drd" for package in packages)
        for settings in _settings(plan):
            needs |= dict.fromkeys(settings.host_needs())
        placed = [component.settings for component in plan.components.values()]
        placed += [one for target in plan.targets.values() for one in target.components.values()]
        needs |= dict.fromkeys(filter(None, map(needs_of, placed)))
        return tuple(needs)

    def _put(self, path: str) -> str:
        """Add the file; returns the reason if it cannot be added."""
        if path in self.files or path.startswith(_PACKAGED):
            return ""
        try:
            info = Path(path).stat()
            if info.st_size > LARGEST:
                return f"has {format_size(info.st_size)}, which is too large for the kit"
            content = Path(path).read_bytes()
        except OSError as error:
            return f"cannot be read: {system_reason(error)}"
        if b"\0" in content:
            return "is not a script"
        name = f"programs/{len(self.files)}-{Path(path).name}"
        self.files[path] = KitFile(path, name, stat.S_IMODE(info.st_mode) & 0o777)
        self.contents[name] = content
        return ""


def named_by(plan: Plan) -> list[str]:
    """Return words that are programs or files: those whose contents are part of the plan's hash,
    and others that the steps need."""
    words = list(plan.commands)
    for settings in _settings(plan):
        words += settings.needed_files()
    return list(dict.fromkeys(words))


def file_of_word(word: str) -> str | None:
    """Return the file of this host that a word of a command names; None if it names none."""
    path = word if word.startswith("/") else shutil.which(word, path=COMMAND_PATH)
    return path if path is not None and Path(path).is_file() else None


def _interpreter(script: bytes) -> Iterator[str]:
    match = _SHEBANG.match(script)
    if match is None:
        return
    program = match[1].decode("utf-8", "replace")
    if Path(program).name == "env" and match[2]:
        program = match[2].decode("utf-8", "replace")
    if Path(program).name not in _EVERYWHERE:
        yield program


def _settings(plan: Plan) -> Iterator[StepSettings]:
    yield from (s.settings for s in plan.runbook if isinstance(s.settings, StepSettings))
