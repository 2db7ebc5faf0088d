"""Write a commented starting plan for dumps that another tool writes into a directory or a
bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

from drd.config.dump_places import DumpsPlace
from drd.config.problems import as_name
from drd.config.starter import Starter, in_comment
from drd.config.writing import inline
from drd.model.dump_names import Series
from drd.model.plan import OWN_COMPONENT
from drd.model.units import format_duration, format_time
from drd.ports.dumps import FoundDump

_DAILY_S = 26 * 3600.0
_LOOKED_AT = 14
_FAR_LONGER = 1.5
_TOGETHER_S = 60.0


@dataclass(frozen=True, slots=True)
class FoundDumps:
    """Dumps of one component: the place, what their names below it have in common, and when each
    was finished. With `overwritten`, the name never changes: the other tool writes to the same file
    each time."""

    place: DumpsPlace
    series: Series
    times: Sequence[datetime]
    dump: FoundDump
    overwritten: bool = False


@dataclass(slots=True)
class _Writer:
    name: str
    found: FoundDumps
    component: str = field(init=False)
    credentials: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        wish = as_name(self.found.dump.name)
        self.component = wish if wish not in ("", "manifest", OWN_COMPONENT) else "data"

    def lines(self) -> Iterator[str]:
        dumps = self.found
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield f"# Another tool makes the copies of this plan: dumps in {dumps.place.where}."
        yield (
            "# drd lists, drills and recovers these copies, and never writes there "
            "(docs/adopted.md)."
        )
        yield from dumps.place.notes()
        yield f"plan: {inline(self.name)}"
        yield ""
        yield from self._objectives()
        yield ""
        yield "components:"
        yield f"  {self.component}:"
        for key, value in dumps.dump.keys:
            yield f"    # {value}" if key == "#" else f"    {key}: {inline(value)}"
        yield ""
        yield from self._repository()
        yield ""
        yield from self._retention()
        yield ""
        yield "# These checks prove little. Add queries whose answers you know. `> 0` passes for"
        yield (
            "# any database with such a table: write the least number of rows that yours "
            "has: `> 900`."
        )
        yield from in_comment(dumps.dump.unseen, "")
        yield "checks:" if dumps.dump.checks else "checks: []"
        for check in dumps.dump.checks:
            yield f"  - {inline(self._check(check))}"
        if dumps.dump.suggested is not None:
            yield "# Use this check if the data changes in every interval between two dumps:"
            yield f"#  - {inline(self._check(dumps.dump.suggested))}"
        yield ""
        yield "drill: {every: 7d}"

    def _check(self, check: Any) -> dict[str, Any]:
        rest = {key: value for key, value in check.items() if key not in ("name", "kind")}
        return {
            "name": check["name"],
            "kind": check["kind"],
            "component": self.component,
            **rest,
        }

    def _objectives(self) -> Iterator[str]:
        gaps = _gaps_s(self.found.times)
        usual_s = median(gaps) if gaps else 0.0
        if gaps:
            yield "# How much data may be lost: a little more than the usual time between two of"
            yield "# these dumps."
            yield from in_comment(gap_in_words(self.found.times), "")
        else:
            yield "# How much data may be lost: a little more than the time between two dumps."
        yield f"objectives: {{rpo: {_rpo(usual_s)}, rto: 1h}}"

    def _retention(self) -> Iterator[str]:
        if self.found.overwritten:
            yield "# The other tool overwrites this one file: only the newest copy is there, and no"
            yield "# earlier state can be recovered. If the file is gone, drd raises an alert."
            yield "retention: {last: 1}"
            return
        yield (
            "# How long the other tool keeps copies. If a copy disappears earlier, drd "
            "raises an alert."
        )
        yield "# CHANGE THIS to the rules of the other tool, and remove the first #."
        yield "#retention: {daily: 7, weekly: 4}"

    def _repository(self) -> Iterator[str]:
        dumps = self.found
        yield "repositories:"
        yield "  theirs:"
        yield "    made_by: command"
        yield f"    url: command:{self.name}"
        yield "    command:"
        yield from dumps.place.commands(self.name, dumps.series, dumps.dump, self.credentials)


def gap_in_words(times: Sequence[datetime]) -> str:
    """Return the longest time between two of the last dumps, if it is far longer than usual; empty
    otherwise."""
    last, gaps = times[-_LOOKED_AT:], _gaps_s(times)
    if not gaps or max(gaps) < max(_TOGETHER_S, _FAR_LONGER * median(gaps)):
        return ""
    at, usual = gaps.index(max(gaps)), _roughly(median(gaps))
    return (
        f"no dump that counts was made for {_roughly(gaps[at])}, between "
        f"{format_time(last[at])} and {format_time(last[at + 1])}; the usual time between "
        f"two dumps is {usual}. If this is intended, raise `rpo`; otherwise find out why a "
        "dump is missing"
    )


def crowded(times: Sequence[datetime], expression: str) -> str:
    """Warn if most of the last dumps were finished right after another one, as dumps of several
    databases are; empty otherwise. `expression` says where in the plan the regular expression of
    the series is."""
    gaps = _gaps_s(times)
    if not gaps or median(gaps) >= _TOGETHER_S:
        return ""
    return (
        f"half of the dumps were finished less than {format_duration(_TOGETHER_S)} after "
        "another dump: if these dumps are of several databases, a drill proves only one of "
        "the databases. Check some of the files, and choose the dumps of one database with "
        f"{expression} in the plan"
    )


def _gaps_s(times: Sequence[datetime]) -> list[float]:
    """Return the times between the last dumps."""
    return [(b - a).total_seconds() for a, b in pairwise(times[-_LOOKED_AT:])]


def _roughly(seconds: float) -> str:
    return format_duration(round(seconds / 600) * 600 if seconds > 6000 else seconds)


def _rpo(gap_s: float) -> str:
    wanted_s = gap_s * 1.1 + 600.0 if gap_s else _DAILY_S
    if wanted_s < 7200.0:
        return f"{max(15, -int(-wanted_s // 60))}m"
    return f"{-int(-wanted_s // 3600)}h"


def dumps_starter(name: str, found: FoundDumps) -> Starter:
    """Return a plan that passes `drd plan check`."""
    writer = _Writer(name, found)
    text = "\n".join(writer.lines()) + "\n"
    kind = str(dict(found.dump.keys).get("kind", ""))
    where = f"{found.place.where}/{found.series.pattern} ({found.dump.holds})"
    unseen = [found.dump.unseen] if found.dump.unseen else []
    parts = [(writer.component, kind, where)]
    return Starter(text, tuple(writer.credentials), "", parts, unseen, found.place.programs)
