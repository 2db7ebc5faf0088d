"""`drd plan new --adopt DIRECTORY|BUCKET`: a starting plan for dumps that lie there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from drd.config.dump_places import DumpsDirectory, DumpsPlace
from drd.config.dumps_starter import FoundDumps, crowded, dumps_starter, gap_in_words
from drd.config.problems import as_name
from drd.config.starter import Starter
from drd.errors import UsageError
from drd.exhaustion import system_reason
from drd.model.text import counted, shortened, some
from drd.model.units import format_age, format_size, format_time
from drd.repositories.adopted.dump_sources import DirectoryDumps
from drd.repositories.adopted.dumps import FINISHED_S, Dumps, Series, search_dumps

_SETTLED_MIN, _FIRST_LOOK_MIN = 10, 1
_LONGEST = 200
_GLOB = frozenset("*?[")


class AdoptedDumps(NamedTuple):
    """The name of a plan and its text, what was found, and what was left out."""

    plan: str
    made: Starter
    seen: str
    left_out: list[str]


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
    first = first_pattern(parts)
    if first is not None:
        return Path(*parts[:first]), "/".join(parts[first:])
    if path.is_file():
        return path.parent, path.name
    raise UsageError(f"there is no directory {path}", hint="correct --adopt.")


def first_pattern(parts: Sequence[str]) -> int | None:
    """Return the index of the first part of a path that is a pattern; None if there is none."""
    return next((n for n, part in enumerate(parts) if _GLOB & set(part)), None)


def _is_restic(path: Path) -> bool:
    return all((path / name).exists() for name in ("config", "keys", "snapshots", "data"))


def _is_borg(path: Path) -> bool:
    try:
        with (path / "config").open("rb") as config:
            return config.read(12) == b"[repository]" and (path / "data").is_dir()
    except OSError:
        return False


def adopted_directory(directory: Path, wanted: str, name: str | None) -> AdoptedDumps:
    """Search a directory for dumps. Raises UsageError."""
    if _is_borg(directory):
        raise UsageError(
            f"{directory} is a repository of Borg, and --adopt cannot read these",
            hint='write the plan by hand (docs/adopted.md, "Borg and borgmatic").',
        )
    try:
        seen = search_dumps(DirectoryDumps(directory), wanted)
    except OSError as error:
        reason = system_reason(error)
        raise UsageError(
            f"cannot read {directory}: {reason}",
            hint="run this command as a user who may read this directory, or correct --adopt",
        ) from error
    require_dumps(seen)
    minutes = _minutes(seen.series[0])
    made = adopted_dumps(seen, wanted, DumpsDirectory(directory, minutes), name)
    if waits := _waits(seen.series[0], minutes):
        return made._replace(seen=f"{made.seen}. {waits}")
    return made


def require_dumps(seen: Dumps) -> None:
    """Raise UsageError if the place has no dump that drd can adopt."""
    if not seen.series:
        raise UsageError(
            f"{seen.where} does not contain a dump that drd can adopt" + _why(seen),
            hint="drd recognises copies of SQLite databases, dumps of `pg_dump -Fc`, "
            "archives of tar, and bundles of Git. For other dumps write the plan by "
            "hand: docs/adopted.md",
        )


def adopted_dumps(seen: Dumps, wanted: str, place: DumpsPlace, name: str | None) -> AdoptedDumps:
    """Return a plan for the first series of a place."""
    chosen = seen.series[0]
    dumps = FoundDumps(
        place,
        chosen.names,
        [dump.changed_at for dump in chosen.dumps],
        chosen.found,
        overwritten=chosen.names.pattern == chosen.dumps[-1].name,
    )
    plan = name or as_name(f"{chosen.found.name[:34]}-dumps") or "dumps"
    left_out = list(_left_out(seen, wanted, place.expression))
    return AdoptedDumps(plan, dumps_starter(plan, dumps), _seen(seen, place.expression), left_out)


def _minutes(series: Series) -> int:
    """Return after how many minutes without a change a dump counts: fewer if there is no older
    one, so that a first drill need not wait."""
    age_s = (datetime.now(UTC) - series.dumps[0].changed_at).total_seconds()
    return _SETTLED_MIN if age_s > FINISHED_S else _FIRST_LOOK_MIN


def _waits(series: Series, minutes: int) -> str:
    """Say that the newest dump does not count yet; empty otherwise."""
    age_s = (datetime.now(UTC) - series.dumps[-1].changed_at).total_seconds()
    if age_s >= minutes * 60:
        return ""
    return (
        f"The newest copy changed {format_age(max(age_s, 0.0))} ago. drd counts it when "
        f"it has not changed for {minutes} min"
    )


def _seen(seen: Dumps, expression: str) -> str:
    series = seen.series[0]
    newest = series.dumps[-1]
    text = (
        f"{counted(len(series.dumps), 'copy', 'copies')}, the newest from "
        f"{format_time(newest.changed_at, seconds=True)} ({newest.name}, "
        f"{format_size(newest.bytes)}): {series.found.holds}"
    )
    if series.unfit:
        text += (
            f". {series.unfit} of these copies {'does' if series.unfit == 1 else 'do'} not "
            "match --adopt, but the plan contains all dumps of a series, because the next "
            "dumps will have other numbers and dates. To use fewer dumps, change "
            f"{expression} in the plan"
        )
    if others := len(seen.series) - 1:
        text += (
            (
                f". {others + 1} series of dumps match --adopt, but the plan contains only one, "
                f"{series.names.pattern}: "
            )
            + ("the other one is" if others == 1 else f"the other {others} are")
            + " named below"
        )
    return text


def _left_out(seen: Dumps, wanted: str, expression: str) -> Iterator[str]:
    yield from _of_the_chosen(seen.series[0], expression)
    for series in seen.series[1:]:
        copies = counted(len(series.dumps), "copy", "copies")
        pattern = shlex.quote(f"{seen.where}/{series.names.pattern}")
        yield (
            f"{series.names.pattern}: {copies}, {series.kind}, {series.found.holds}. One plan "
            f"adopts one series: drd plan new --adopt {pattern}"
        )
    for pattern, why in seen.refused.items():
        yield f"{pattern}: {why}"
    yield from _not_looked_into(seen, wanted)
    if seen.empty:
        yield _empty(seen)
    if seen.ahead:
        yield _ahead(seen)
    if seen.unsafe:
        names = some([shortened(ascii(name), _LONGEST) for name in seen.unsafe])
        yield (
            f"{names}: drd does not use these files, because a name may only contain letters, "
            "digits and _.:@+=,~%-"
        )


def _of_the_chosen(series: Series, expression: str) -> Iterator[str]:
    for name, why in series.cut_off.items():
        yield f"{name} {why}. A drill of this copy fails"
    times = [dump.changed_at for dump in series.dumps]
    yield from filter(None, (gap_in_words(times), crowded(times, expression)))


def _not_looked_into(seen: Dumps, wanted: str) -> Iterator[str]:
    if seen.beyond:
        yield (
            f"drd did not examine {seen.beyond} other series of files: choose some with a "
            f"pattern, for example --adopt '{seen.where}/shop-*'"
        )
    if seen.unknown and wanted != "*":
        yield f"{some(seen.unknown)}: drd does not recognise the newest file as a dump"


def _empty(seen: Dumps) -> str:
    names = some([ascii(dump.name).strip("'\"") for dump in seen.empty])
    return f"{names}: 0 bytes. This is not a copy: find out why the dump command failed"


def _ahead(seen: Dumps) -> str:
    times = [f"{d.name} ({format_time(d.changed_at, seconds=True)})" for d in seen.ahead]
    return (
        f"{some(times)}: the time of the file is in the future, so drd does not use the file "
        "before that time. Correct the clock of the host that writes the dumps, then the "
        "time of the file: touch FILE"
    )


def _why(seen: Dumps) -> str:
    reasons = [f"{pattern}: {why}" for pattern, why in seen.refused.items()]
    reasons += [_empty(seen)] if seen.empty else []
    reasons += [_ahead(seen)] if seen.ahead else []
    reasons += (
        [f"{some(seen.unknown)}: drd does not recognise a dump in these files"]
        if seen.unknown
        else []
    )
    return f". {some(reasons, between='; ')}" if reasons else ""
