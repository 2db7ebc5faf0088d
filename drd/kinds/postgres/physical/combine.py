"""Run PostgreSQL's own programs on restored copies: prove one, and make one server of a chain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drd import process
from drd.errors import RepositoryDamaged, TargetError
from drd.kinds.file_system import ANOTHER_POINT, fresh, remove
from drd.kinds.postgres.physical import checksums
from drd.kinds.postgres.physical.manifest import DATA, SPACES
from drd.kinds.postgres.server import says_no_space
from drd.kinds.postgres.tools import PostgresPrograms
from drd.log import masked
from drd.ports import Workplace
from drd.process import Command, Completed
from drd.process.fence import require_up

LINKS = "pg_tblspc"
COMBINED = "combined"
"""The directory that receives the server that is made of a chain."""

_LINKING = 18
"""Since this major version, pg_combinebackup can use files of the copies themselves."""


@dataclass(frozen=True, slots=True)
class Landed:
    """The files of a server: its data directory, and the directory of its tablespaces, each called
    by its id."""

    data: Path
    spaces: Path


def verify(
    room: Path,
    landed: Landed,
    programs: PostgresPrograms,
    place: Workplace,
    *,
    wal: bool = True,
    without: Sequence[str] = (),
    user: str | None = None,
) -> None:
    """Compare each file with the manifest of its copy, except for the files in `without`. If drd is
    root, the files belong to `user`. Raises RepositoryDamaged."""
    ours = [] if without else checksums.share(landed.data, place.jobs)
    words = ["pg_verifybackup", "--quiet", *([] if wal else ["--no-parse-wal"])]
    words += [f"--ignore={name}" for name in (*without, *(file.path for file in ours))]
    with checksums.compared(landed.data, ours, place.jobs):
        done = _run(room, [*words, str(_real(landed.data))], programs, place, user=user)
    if done.exit_code != 0:
        raise RepositoryDamaged(
            f"the backup is damaged or incomplete, says pg_verifybackup: {_said(done, room)}",
            hint=ANOTHER_POINT,
        )


def combined(
    room: Path, parts: Sequence[Landed], programs: PostgresPrograms, place: Workplace
) -> Landed:
    """Make one server of a full copy and the incremental ones after it. Unchanged files take no
    room a second time where PostgreSQL and the file system can do this: the copies are not needed
    afterwards. Raises RepositoryDamaged, and TargetError if the room does not suffice."""
    whole = Landed(room / COMBINED / DATA, room / COMBINED / SPACES)
    saving = "--link" if programs.major >= _LINKING else "--clone"
    done = _combine(room, parts, whole, programs, place, saving)
    if done.exit_code != 0 and not says_no_space(done.complaint):
        done = _combine(room, parts, whole, programs, place)
    if done.exit_code == 0:
        return whole
    remove(room / COMBINED)
    if says_no_space(done.complaint):
        raise TargetError(
            f"pg_combinebackup failed: {_said(done, room)}",
            hint="free space there: an incremental copy needs room for the copies of its chain, "
            "and for the server that is made of them.",
        )
    raise RepositoryDamaged(
        f"the copies of the chain do not fit together, says pg_combinebackup: {_said(done, room)}",
        hint=ANOTHER_POINT,
    )


def _combine(
    room: Path,
    parts: Sequence[Landed],
    whole: Landed,
    programs: PostgresPrograms,
    place: Workplace,
    *options: str,
) -> Completed:
    fresh(room / COMBINED)
    whole.spaces.mkdir()
    words = ["pg_combinebackup", "--no-sync", "--manifest-checksums=SHA256", *options]
    words.append(f"--output={_real(room) / COMBINED / DATA}")
    newest = _real(parts[-1].spaces)
    words += [
        f"--tablespace-mapping={newest / space}={_real(whole.spaces) / space}"
        for space in sorted(p.name for p in newest.iterdir())
    ]
    return _run(room, [*words, *(str(_real(part.data)) for part in parts)], programs, place)


def _run(
    room: Path,
    words: Sequence[str],
    programs: PostgresPrograms,
    place: Workplace,
    *,
    user: str | None = None,
) -> Completed:
    there, (program, *more) = _real(room), words
    reads = [_real(programs.directory.parent)]
    fence = place.fence(place.directory.name, [there], reads=reads)
    command = Command(
        [programs.path(program), *more],
        env={"LC_ALL": "C"},
        cwd=there,
        user=user,
        drop_capabilities=True,
        fence=fence,
        name=program,
    )
    done = process.run(command)
    if fence is not None:
        require_up(fence, done.exit_code)
    return done


def _said(done: Completed, room: Path) -> str:
    return masked(done.complaint).replace(f"{_real(room)}/", "")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
