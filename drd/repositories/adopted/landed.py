"""Refuse backups of pgBackRest whose manifest leads out of the directory that they are restored to.

pgBackRest trusts the manifest, and everybody who can write to the repository can write one."""

from __future__ import annotations

import json
import os
import re
import stat
from functools import partial
from pathlib import Path
from typing import IO

from drd.errors import RepositoryDamaged
from drd.repositories.adopted.stanza_program import StanzaProgram

NOTHING_ELSE = (
    "--no-link-all", "--reset-link-map", "--reset-tablespace-map", "--no-delta",
    "--reset-db-include", "--reset-db-exclude", "--reset-recovery-option",
)  # fmt: skip
"""Words against options of a configuration that restore to other places, or only a part."""

_MOST, _LONGEST = 1 << 30, 1 << 20
"""The largest size in bytes of a manifest, and of one of its lines."""
_NAMING = (b"[backup:target]", b"[target:file]", b"[target:path]", b"[target:link]")
_NAME = re.compile(rb"(?:pg_data|pg_tblspc/[0-9]+|pg_tblspc)(?:/.*)?", re.DOTALL)
_LINKS = "pg_tblspc"


def require_inside(program: StanzaProgram, stanza: str, label: str) -> None:
    """Raise RepositoryDamaged if the manifest of a backup names a place outside of it."""
    for name in ("backup.manifest", "backup.manifest.copy"):
        words = ["repo-get", "--ignore-missing", f"backup/{stanza}/{label}/{name}"]
        code, _, said = program.run(words, most=_MOST, take=partial(_require_names, label=label))
        if code not in (0, 1):  # 1: it is not there
            program.fail("repo-get", said)


def _require_names(manifest: IO[bytes], *, label: str) -> None:
    section = b""
    for read in iter(partial(manifest.readline, _LONGEST), b""):
        if len(read) == _LONGEST:
            raise _outside(label, read)
        line = read.removesuffix(b"\n")
        if line.startswith(b"[") and line.endswith(b"]"):
            section = line
        elif line and section in _NAMING:
            name, _, rest = line.partition(b"={")
            if not _NAME.fullmatch(name) or b".." in name.split(b"/"):
                raise _outside(label, name)
            try:
                said = json.loads(b"{" + rest)
            except ValueError:
                raise _outside(label, name) from None
            space = said.get("tablespace-name", "space")
            if not isinstance(space, str) or "/" in space or space in ("", ".", ".."):
                raise _outside(label, str(space).encode())


def require_closed(data: Path, spaces: Path) -> None:
    """Raise RepositoryDamaged if a link leads out of the restored data; only the links of
    tablespaces may lead to their directories. Set-ID bits are removed from all files."""
    for top in (data, spaces):
        for where, directories, files, at in os.fwalk(top, follow_symlinks=False):
            for name in (*directories, *files):
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                path = Path(where, name)
                if stat.S_ISLNK(status.st_mode):
                    to = Path(os.readlink(name, dir_fd=at))
                    ours = path.parent == data / _LINKS and to.parent == spaces
                    if not ours or ".." in to.name:
                        raise _outside(data.name, os.fsencode(path.relative_to(data.parent)))
                elif stat.S_ISREG(status.st_mode) and status.st_mode & (
                    stat.S_ISUID | stat.S_ISGID
                ):
                    os.chmod(name, stat.S_IMODE(status.st_mode) & 0o777, dir_fd=at)
                elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                    raise _outside(data.name, os.fsencode(path.relative_to(data.parent)))


def _outside(label: str, name: bytes) -> RepositoryDamaged:
    shown = "".join(c if c.isprintable() else "?" for c in name.decode("utf-8", "replace"))[:200]
    return RepositoryDamaged(
        f"drd does not use backup {label}, because it names a place outside the backup: {shown}",
        hint="find out who can write to the repository, because pgBackRest never makes "
        "such a backup. Choose another restore point: drd points PLAN",
    )
