"""Print what `drd points` says about logs, and about a single repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drd.cli import output
from drd.errors import UsageError
from drd.model.text import escaped
from drd.model.units import format_span, format_time, from_rfc3339


def in_repository(document: dict[str, Any], repository: str) -> dict[str, Any]:
    """Return the document with what could be recovered from this repository alone. Raises
    UsageError if drd knows of nothing there."""
    logs = document.get("logs", ())
    copies = {c["repository"] for one in logs for c in one.get("copies", ())}
    known = {name for p in document["points"] for name in p["repositories"]} | copies
    if repository not in known:
        plan = document["plan"]
        raise UsageError(
            f"drd knows of no restore point of {plan} in a repository {repository!r}",
            hint=f"the restore points are in: {', '.join(sorted(known)) or 'no repository'}. To "
            f"read the repositories of the plan again: drd catalogue rebuild {plan}",
        )
    return {
        **document,
        "points": [p for p in document["points"] if repository in p["repositories"]],
        "logs": [_there(one, repository) for one in logs],
    }


def _there(log: Mapping[str, Any], repository: str) -> dict[str, Any]:
    """Return what the repository has of the log. If it has nothing, the result names no time to
    which drd could recover."""
    copies = log.get("copies", ())
    copy = next((c for c in copies if c["repository"] == repository), None)
    if copy is None and log.get("repository") in (repository, None):
        return {**log, "copies": []}
    there = copy or dict.fromkeys(("trouble", "remedy", "end", "complete_at"))
    return {**log, "event": None, "reachable": [], **there, "copies": []}


def print_logs(logs: Sequence[dict[str, Any]]) -> None:
    """Say to which times components can be recovered exactly."""
    for one in logs:
        name = one["component"]
        for begin, end in _spans(one):
            output.say(f"  {name} can be recovered to any time from {begin} to {end}")
        for copy in one.get("copies", ()):  # a daemon of an older version sends none
            _print_copied_log(name, copy)
        if not one["reachable"]:
            text = "a recovery cannot use the stored log, because it continues no restore point"
            output.say(f"  {name}: {text}")
        if one["trouble"]:
            output.say(f"  {name}: {escaped(one['trouble'])}; {escaped(one['remedy'] or '')}")
        if one.get("event"):  # a daemon of an older version sends none
            noticed = format_time(from_rfc3339(one["event_at"]), seconds=True)
            output.say(f"  {escaped(one['event'])} (noticed {noticed})")


def _print_copied_log(name: str, copy: Mapping[str, Any]) -> None:
    repository = copy["repository"]
    for begin, end in _spans(copy):
        output.say(
            f"  {name} can be recovered from {repository} alone to any time from {begin} to {end}"
        )
    if not copy["reachable"]:
        output.say(f"  a recovery of {name} from {repository} alone cannot use the log there yet")
    if copy["trouble"]:
        text = f"{copy['trouble']}; {copy['remedy'] or ''}"
        output.say(f"  the copied log of {name} in {repository}: {escaped(text)}")


def _spans(log: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        format_span(from_rfc3339(span["from"]), from_rfc3339(span["to"]))
        for span in log["reachable"]
    ]
