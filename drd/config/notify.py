"""The channels of drd.yaml: what a schema cannot say of them, and what the rest of drd gets."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from drd.config.problems import Report
from drd.config.yaml import Path
from drd.model.message import SEVERITIES, ChannelSpec, Severity
from drd.model.plan import Heartbeat
from drd.notifiers.settings import (
    AppriseSettings,
    Carrier,
    ExecSettings,
    HeartbeatSettings,
    SmtpSettings,
    WebhookSettings,
)

Entry = WebhookSettings | SmtpSettings | ExecSettings | AppriseSettings | HeartbeatSettings


def channels(entries: Sequence[Entry], report: Report) -> tuple[ChannelSpec, ...]:
    """Every entry with its name; contradictions go into the report, each on its line."""
    names = _names(entries, report)
    for index, entry in enumerate(entries):
        _check(entry, ("notify", index), report)
    return tuple(_spec(name, entry) for name, entry in zip(names, entries, strict=True))


def _names(entries: Sequence[Entry], report: Report) -> list[str]:
    """The names that were given, and for the others their kind with the first free number."""
    given: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry.name is None:
            continue
        if entry.name in given:
            line = report.document.line(("notify", given[entry.name], "name"))
            message = f'a channel called "{entry.name}" stands on line {line} already'
            path: Path = ("notify", index, "name")
            report.error(path, message, "give each channel its own name.")
        given.setdefault(entry.name, index)
    taken = set(given)
    found = []
    for entry in entries:
        numbered = (f"{entry.kind}-{number}" for number in range(1, len(entries) * 2 + 1))
        name = entry.name or next(n for n in numbered if n not in taken)
        taken.add(name)
        found.append(name)
    return found


def _check(entry: Entry, path: Path, report: Report) -> None:
    if isinstance(entry, Carrier) and entry.severity is not None and entry.min_severity is not None:
        message, hint = "stands beside severity", "keep one of them."
        report.error((*path, "min_severity"), message, hint, of_key=True)
    if isinstance(entry, SmtpSettings):
        _login(entry, path, report)
    if isinstance(entry, ExecSettings):
        program = entry.command[0]
        if "/" in program and not program.startswith("/"):
            hint = "write its whole path, or the name of a program on PATH."
            report.error((*path, "command", 0), f'"{program}" is a relative path', hint)


def _login(entry: SmtpSettings, path: Path, report: Report) -> None:
    for given, missing in (("user", "password"), ("password", "user")):
        if getattr(entry, given) is not None and getattr(entry, missing) is None:
            hint = "give both, or neither."
            report.error((*path, given), f"has no {missing} beside it", hint, of_key=True)
    if entry.tls != "none":
        return
    if entry.password is not None and not _is_here(entry.host):
        hint = "use tls: starttls or tls: tls."
        report.error((*path, "tls"), "would send the password in the clear", hint)
    if entry.ca_cert is not None:
        hint = "remove ca_cert, or use tls: starttls or tls: tls."
        report.error((*path, "ca_cert"), "is of no use with tls: none", hint, of_key=True)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _spec(name: str, entry: Entry) -> ChannelSpec:
    severities = _severities(entry) if isinstance(entry, Carrier) else SEVERITIES
    return ChannelSpec(
        name=name,
        kind=entry.kind,
        settings=_heartbeat(entry) if isinstance(entry, HeartbeatSettings) else entry,
        on=tuple(dict.fromkeys(entry.on)),
        plans=tuple(entry.plans),
        severities=severities,
    )


def _heartbeat(entry: HeartbeatSettings) -> Heartbeat:
    return Heartbeat(
        url=entry.url,
        on=tuple(dict.fromkeys(entry.on)),
        every_s=entry.every,
        ca_cert=entry.ca_cert,
        timeout_s=entry.timeout,
    )


def _severities(entry: Carrier) -> tuple[Severity, ...]:
    if entry.severity is not None:
        return tuple(s for s in SEVERITIES if s in entry.severity)
    lowest = entry.min_severity or "info"
    return SEVERITIES[: SEVERITIES.index(lowest) + 1]
