"""`drd plan new --adopt DIRECTORY`: a starting plan for dumps that lie there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from drd.config.dumps_starter import FoundDumps, dumps_starter, gap_in_words
from drd.config.problems import as_name
from drd.config.starter import Starter
from drd.errors import UsageError
from drd.model.text import counted, some
from drd.model.units import format_age, format_size, format_time
from drd.repositories.adopted.dumps import FINISHED_S, Dumps, Series, look_through

_SETTLED_MIN, _FIRST_LOOK_MIN = 10, 1
_GLOB = frozenset("*?[")


def place_of(given: str) -> tuple[Path, str] | None:
    """Return the directory and the pattern of names in it, if a person names dumps of this host."""
    if ":" in given.partition("/")[0]:
        return None
    path = Path(given).expanduser().absolute()
    if path.is_dir():
        return None if _is_restic(path) else (path, "*")
    if path.parent.is_dir() and _GLOB & set(path.name):  # what it contains stands for itself
        return path.parent, path.name
    parts = path.parts
    first = next((n for n, part in enumerate(parts) if _GLOB & set(part)), None)
    if first is not None:
        return Path(*parts[:first]), "/".join(parts[first:])
    if path.is_file():
        return path.parent, path.name
    raise UsageError(f"there is no directory {path}", hint="correct --adopt.")


def _is_restic(path: Path) -> bool:
    return all((path / name).exists() for name in ("config", "keys", "snapshots", "data"))


def adopted_dumps(
    directory: Path, wanted: str, name: str | None
) -> tuple[str, Starter, str, list[str]]:
    """Look for dumps; return the name of the plan, the plan, what was seen, and what was left
    out. Raises UsageError."""
    try:
        seen = look_through(directory, wanted)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"cannot read {directory}: {reason}",
            hint="run this command as a user who may read it, or correct --adopt",
        ) from error
    if not seen.series:
        raise UsageError(
            f"{directory} has no dump that drd can adopt" + _why(seen),
            hint="drd recognises copies of SQLite databases, dumps of `pg_dump -Fc`, archives of "
            "tar, and bundles of Git. For others write the plan by hand: docs/adopted.md",
        )
    chosen = seen.series[0]
    minutes = _minutes(chosen)
    found = FoundDumps(
        directory,
        chosen.pattern,
        minutes,
        [dump.changed_at for dump in chosen.dumps],
        chosen.found,
    )
    plan = name or as_name(f"{chosen.found.name[:34]}-dumps") or "dumps"
    return plan, dumps_starter(plan, found), _seen(chosen, minutes), list(_left_out(seen))


def _minutes(series: Series) -> int:
    """Return after how many minutes without a change a dump counts: fewer if there is no older
    one, so that a first drill need not wait."""
    age_s = (datetime.now(UTC) - series.dumps[0].changed_at).total_seconds()
    return _SETTLED_MIN if age_s > FINISHED_S else _FIRST_LOOK_MIN


def _seen(series: Series, minutes: int) -> str:
    newest = series.dumps[-1]
    age_s = (datetime.now(UTC) - newest.changed_at).total_seconds()
    text = (
        f"{counted(len(series.dumps), 'copy', 'copies')}, the newest from "
        f"{format_time(newest.changed_at, seconds=True)} ({newest.name}, "
        f"{format_size(newest.bytes)}): {series.found.holds}"
    )
    if age_s < minutes * 60:
        text += (
            f". The newest changed {format_age(max(age_s, 0.0))} ago, and counts "
            f"when nobody has changed it for {minutes} min"
        )
    return text


def _left_out(seen: Dumps) -> Iterator[str]:
    for name, why in seen.series[0].cut_off.items():
        yield f"{name} {why}. A drill of it fails"
    if gap := gap_in_words([dump.changed_at for dump in seen.series[0].dumps]):
        yield gap
    for series in seen.series[1:]:
        copies = counted(len(series.dumps), "copy", "copies")
        pattern = shlex.quote(f"{seen.directory}/{series.pattern}")
        yield (
            f"{series.pattern}: {copies}, {series.kind}, {series.found.holds}. One plan adopts one "
            f"series: drd plan new --adopt {pattern}"
        )
    for pattern, why in seen.refused.items():
        yield f"{pattern}: {why}"
    if seen.empty:
        yield _empty(seen)
    if seen.ahead:
        yield _ahead(seen)
    if seen.unsafe:
        yield (
            f"{some([ascii(name) for name in seen.unsafe])}: names of copies consist of letters, "
            "digits and _.:@+=,~%-"
        )


def _empty(seen: Dumps) -> str:
    names = some([ascii(dump.name).strip("'\"") for dump in seen.empty])
    return f"{names}: 0 bytes. That is no copy: find out why the dump command failed"


def _ahead(seen: Dumps) -> str:
    times = [f"{d.name} ({format_time(d.changed_at, seconds=True)})" for d in seen.ahead]
    return (
        f"{some(times)}: dated in the future, and not used before that time. Correct the clock of "
        "the host that writes the dumps, then the time of the file: touch FILE"
    )


def _why(seen: Dumps) -> str:
    reasons = [f"{pattern}: {why}" for pattern, why in seen.refused.items()]
    reasons += [_empty(seen)] if seen.empty else []
    reasons += [_ahead(seen)] if seen.ahead else []
    return f". {some(reasons, between='; ')}" if reasons else ""
