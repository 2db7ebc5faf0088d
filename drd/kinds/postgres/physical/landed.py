"""Find the files of a whole server that the repository has restored, and prove that they are
complete and unchanged, before any server starts on them.

A chain proves each file: drd's manifest has the digest of the manifest of pg_basebackup, which has
a sha256 of each file; PostgreSQL itself checks the WAL."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from drd import process
from drd.errors import RepositoryDamaged, SandboxUnavailable
from drd.kinds.file_system import ANOTHER_POINT, remove
from drd.kinds.postgres.physical.base_backup import MANIFEST
from drd.kinds.postgres.physical.manifest import DATA, SPACES
from drd.kinds.postgres.server import sandbox_programs
from drd.kinds.postgres.tools import PostgresPrograms
from drd.log import masked
from drd.model.snapshot import ComponentSnapshot
from drd.ports import Workplace
from drd.process import Command
from drd.process.fence import require_up
from drd.process.landed import entry_below

TAKEN = "restored"
"""The directory beside the landed tree that receives the server's files."""

LINKS = "pg_tblspc"
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Landed:
    """The files of a server: its data directory, and the directory of its tablespaces, each called
    by its id."""

    data: Path
    spaces: Path


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
    """Return the files that the repository has restored below `room`, after proving them. Raises
    RepositoryDamaged."""
    landed = _taken(room, snapshot)
    _require_plain(landed, snapshot)
    _link(landed)
    _require_known(landed, snapshot)
    _verify(room, landed, programs, place)
    return landed


def _taken(room: Path, snapshot: ComponentSnapshot) -> Landed:
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
    return Landed(taken / DATA, taken / SPACES)


def _require_plain(landed: Landed, snapshot: ComponentSnapshot) -> None:
    """Refuse links and devices: a server follows them out of its directory. Only the links of
    tablespaces belong there, which are made anew."""
    expected = set(snapshot.facts["tablespaces"])
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
    kept = {p.name for p in landed.spaces.iterdir()} if landed.spaces.is_dir() else set()
    if links != expected or kept != expected:
        lost = sorted(expected - (links & kept)) or sorted(kept - expected)
        raise RepositoryDamaged(
            f"the backup does not contain the tablespaces that it names: {', '.join(lost)[:200]}",
            hint=ANOTHER_POINT,
        )


def _strangers(landed: Landed) -> Iterator[Path]:
    top = landed.data.parent
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


def _require_known(landed: Landed, snapshot: ComponentSnapshot) -> None:
    """Compare the manifest of pg_basebackup with the digest that drd's manifest has of it."""
    digest = ""
    with suppress(OSError):
        file = landed.data / MANIFEST
        if file.stat().st_size <= _MOST_BYTES:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != snapshot.facts["manifest_digest"]:
        raise RepositoryDamaged(
            f"{MANIFEST} in the backup is not the file that drd stored", hint=ANOTHER_POINT
        )


def _verify(room: Path, landed: Landed, programs: PostgresPrograms, place: Workplace) -> None:
    there = Path(os.path.realpath(room))
    data = Path(os.path.realpath(landed.data))
    reads = [Path(os.path.realpath(programs.directory.parent))]
    fence = place.fence(place.directory.name, [there], reads=reads)
    command = Command(
        [programs.path("pg_verifybackup"), "--quiet", str(data)],
        env={"LC_ALL": "C"},
        cwd=there,
        drop_capabilities=True,
        fence=fence,
        name="pg_verifybackup",
    )
    done = process.run(command)
    if fence is not None:
        require_up(fence, done.exit_code)
    if done.exit_code != 0:
        said = masked(done.complaint).replace(f"{there}/", "")
        raise RepositoryDamaged(
            f"the backup is damaged or incomplete, says pg_verifybackup: {said}",
            hint=ANOTHER_POINT,
        )
