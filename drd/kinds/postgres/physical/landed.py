"""Find the files of a whole server that the repository has restored, and prove that they are
complete and unchanged, before any server starts on them.

Each file is proven step by step: drd's manifest has the digest of the manifest of pg_basebackup,
which has a sha256 of each file; PostgreSQL itself checks the WAL. Of an incremental copy this is
true for each copy in its chain, before PostgreSQL makes one server of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from drd.errors import RepositoryDamaged, SandboxUnavailable
from drd.kinds.file_system import ANOTHER_POINT, remove
from drd.kinds.postgres.physical.base_backup import MANIFEST
from drd.kinds.postgres.physical.chain import INCREMENTS, chain_of, directory_of
from drd.kinds.postgres.physical.combine import LINKS, Landed, combined, verify
from drd.kinds.postgres.physical.manifest import DATA, SPACES
from drd.kinds.postgres.server import sandbox_programs
from drd.kinds.postgres.tools import PostgresPrograms
from drd.model.snapshot import ComponentSnapshot
from drd.model.text import counted
from drd.ports import Workplace
from drd.process.landed import entry_below

TAKEN = "restored"
"""The directory beside the landed tree that receives the server's files."""

_MOST_BYTES = 1 << 30


def programs_of(snapshot: ComponentSnapshot, bin_dir: str | None) -> PostgresPrograms:
    """Return the programs that can run the files: those of their own major version. Raises
    SandboxUnavailable."""
    major = int(snapshot.facts["server_major"])
    programs = sandbox_programs(major, bin_dir, or_newer=False)
    if programs.major != major:
        raise SandboxUnavailable(
            f"this host has no PostgreSQL {major}: only the same major version can run the files "
            f"of a server, and this host has {programs.version}",
            hint=f"apt-get install postgresql-{major}. To change the version, restore to {major} "
            "first, then use pg_upgrade.",
        )
    if not programs.has("pg_verifybackup"):
        raise SandboxUnavailable(
            f"pg_verifybackup is not in {programs.directory}",
            hint=f"apt-get install postgresql-{major}",
        )
    return programs


def proven(
    room: Path, snapshot: ComponentSnapshot, programs: PostgresPrograms, place: Workplace
) -> Landed:
    """Return the files that the repository has restored below `room`, after proving them, and after
    making one server of a chain of copies. Raises RepositoryDamaged."""
    chain = chain_of(snapshot.facts)
    taken = _taken(room, snapshot)
    _require_only(taken, len(chain))
    parts = [_part(taken / directory_of(n)) for n in range(len(chain) + 1)]
    digests = [*(part.manifest_digest for part in chain), snapshot.facts["manifest_digest"]]
    for number, (part, digest) in enumerate(zip(parts, digests, strict=True)):
        newest = number == len(chain)
        require_plain(part, snapshot.facts["tablespaces"] if newest else None)
        _link(part)
        require_known(part, digest)
        verify(room, part, programs, place, wal=newest)
    if not chain:
        return parts[0]
    whole = combined(room, parts, programs, place)
    verify(room, whole, programs, place)
    remove(taken)
    return whole


def _part(directory: Path) -> Landed:
    return Landed(directory / DATA, directory / SPACES)


def _taken(room: Path, snapshot: ComponentSnapshot) -> Path:
    """Move the copy out of the directories that stood above it in the source."""
    taken = room / TAKEN
    remove(taken)
    try:
        with entry_below(room, os.fsencode(snapshot.facts["place"])) as (above, name):
            if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
                raise NotADirectoryError
            os.rename(name, taken, src_dir_fd=above)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RepositoryDamaged(
            f"restic restored snapshot {snapshot.snapshot} without the files of the server",
            hint=ANOTHER_POINT,
        ) from error
    return taken


def _require_only(taken: Path, increments: int) -> None:
    """Require the directories of the copies that the chain names, and no others."""
    numbers = {str(n) for n in range(1, increments + 1)}
    named = {DATA, SPACES, *([INCREMENTS] if increments else [])}
    named |= {f"{INCREMENTS}/{n}" for n in numbers}
    directories = _directories(taken)
    if increments:
        directories |= {f"{INCREMENTS}/{n}" for n in _directories(taken / INCREMENTS)}
    lost, strange = sorted(named - directories - {SPACES}), sorted(directories - named)
    if lost or strange:
        said = f"does not contain {lost[0]}" if lost else f"contains {strange[0][:80]}"
        raise RepositoryDamaged(
            f"the backup {said}, unlike its chain of {counted(increments + 1, 'copy', 'copies')}",
            hint=ANOTHER_POINT,
        )


def _directories(directory: Path) -> set[str]:
    """Return the names in a directory, those of directories as they are."""
    if directory.is_symlink() or not directory.is_dir():
        return set()
    directories = directory.iterdir()
    return {
        p.name if p.is_dir() and not p.is_symlink() else f"{p.name} (no directory)"
        for p in directories
    }


def require_plain(landed: Landed, spaces: Collection[str] | None) -> None:
    """Refuse links and devices: a server follows them out of its directory. Only the links of
    tablespaces belong there, which are made anew. `spaces` are the ids of the tablespaces; of an
    earlier copy in a chain they are not known."""
    kept = {p.name for p in landed.spaces.iterdir()} if landed.spaces.is_dir() else set()
    expected = set(kept if spaces is None else spaces)
    links = set()
    for place in _strangers(landed):
        if place.parent == landed.data / LINKS and place.name in expected and place.is_symlink():
            links.add(place.name)
            continue
        raise RepositoryDamaged(
            f"the backup contains {place.relative_to(landed.data.parent)}, which is neither a file "
            "nor a directory: PostgreSQL does not make such entries",
            hint=ANOTHER_POINT,
        )
    if links != expected or kept != expected:
        lost = sorted(expected - (links & kept)) or sorted(kept - expected)
        raise RepositoryDamaged(
            f"the backup does not contain the tablespaces that it names: {', '.join(lost)[:200]}",
            hint=ANOTHER_POINT,
        )


def _strangers(landed: Landed) -> Iterator[Path]:
    for top in (landed.data, landed.spaces):
        for directory, names, files in os.walk(top):
            for name in (*names, *files):
                place = Path(directory, name)
                mode = place.lstat().st_mode
                if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                    yield place


def _link(landed: Landed) -> None:
    """Let the links of tablespaces lead to the directories that landed with them."""
    spaces = Path(os.path.realpath(landed.spaces))
    for link in (landed.data / LINKS).iterdir() if (landed.data / LINKS).is_dir() else ():
        if link.is_symlink():
            link.unlink()
            link.symlink_to(spaces / link.name)


def require_known(landed: Landed, expected: str) -> None:
    """Compare the manifest of pg_basebackup with the digest that drd's manifest has of it."""
    digest = ""
    with suppress(OSError):
        file = landed.data / MANIFEST
        if file.stat().st_size <= _MOST_BYTES:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != expected:
        raise RepositoryDamaged(
            f"{MANIFEST} in the backup is not the file that drd stored", hint=ANOTHER_POINT
        )
