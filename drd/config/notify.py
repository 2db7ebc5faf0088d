"""The channels of drd.yaml: contradictions that a schema cannot find, and conversion to drd's
values."""

from __future__ import annotations

from collections.abc import Sequence

from drd.config.absent_kinds import meant
from drd.config.problems import Report, reported, require_whole_path
from drd.config.yaml import Path
from drd.model.message import SEVERITIES, ChannelSpec, Urgency
from drd.model.plan import Heartbeat
from drd.notifiers.settings import Carrier, HeartbeatSettings, Named, UnavailableChannel
from drd.registry import unavailable_with


def channels(
    entries: Sequence[Named], report: Report, places: Sequence[int] | None = None
) -> tuple[ChannelSpec, ...]:
    """Return every entry with its name. Contradictions go into the report, each with its line.
    `places` are the numbers of the entries in the file, if other entries are left out."""
    places = range(len(entries)) if places is None else places
    names = _names(entries, report, places)
    for index, name, entry in zip(places, names, entries, strict=True):
        with reported(report, ("notify", index)):
            _check(entry, ("notify", index), report)
        package = unavailable_with("notifiers", entry.kind)
        if isinstance(entry, UnavailableChannel) and package is not None:
            message = f"the channel {name} cannot deliver messages: {package.why}"
            near = meant("notifiers", entry.kind) if package.members is None else ""
            hint = f'if you meant "{near}", write {near}; otherwise {package.remedy}'
            report.warn(("notify", index, "kind"), message, hint if near else package.remedy)
    return tuple(_spec(name, entry) for name, entry in zip(names, entries, strict=True))


def _names(entries: Sequence[Named], report: Report, places: Sequence[int]) -> list[str]:
    """The given names, and for the others their kind with the first free number."""
    given: dict[str, int] = {}
    for index, entry in zip(places, entries, strict=True):
        if entry.name is None:
            continue
        if entry.name in given:
            line = report.line(("notify", given[entry.name], "name"))
            message = f'line {line} already has a channel called "{entry.name}"'
            path: Path = ("notify", index, "name")
            report.error(path, message, "give each channel its own name.")
        given.setdefault(entry.name, index)
    taken = set(given)
    names = []
    for entry in entries:
        numbered = (f"{entry.kind}-{number}" for number in range(1, len(entries) * 2 + 1))
        name = entry.name or next(n for n in numbered if n not in taken)
        taken.add(name)
        names.append(name)
    return names


def _check(entry: Named, path: Path, report: Report) -> None:
    if isinstance(entry, Carrier) and entry.severity is not None and entry.min_severity is not None:
        message, hint = "cannot be combined with `severity`", "keep only one of the two keys."
        report.error((*path, "min_severity"), message, hint, of_key=True)
    for wrong in entry.contradictions():
        report.error((*path, *wrong.path), wrong.message, wrong.hint, of_key=wrong.of_key)
    for below, words in entry.all_commands():
        require_whole_path(words, (*path, *below, 0), report)


def _spec(name: str, entry: Named) -> ChannelSpec:
    if isinstance(entry, HeartbeatSettings):
        beat = _heartbeat(entry)
        plans = tuple(entry.plans)
        return ChannelSpec(name, entry.kind, beat, on=beat.on, plans=plans, is_heartbeat=True)
    assert isinstance(entry, Carrier)
    return ChannelSpec(
        name=name,
        kind=entry.kind,
        settings=entry,
        on=tuple(dict.fromkeys(entry.on)),
        plans=tuple(entry.plans),
        severities=_severities(entry),
    )


def _heartbeat(entry: HeartbeatSettings) -> Heartbeat:
    return Heartbeat(
        url=entry.url,
        on=tuple(dict.fromkeys(entry.on)),
        every_s=entry.every,
        ca_cert=entry.ca_cert,
        timeout_s=entry.timeout,
    )


def _severities(entry: Carrier) -> tuple[Urgency, ...]:
    if entry.severity is not None:
        return tuple(s for s in SEVERITIES if s in entry.severity)
    lowest = entry.min_severity or "info"
    return SEVERITIES[: SEVERITIES.index(lowest) + 1]
