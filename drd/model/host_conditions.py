"""Find the problems of the daemon and its host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from drd.model.alert_facts import ChannelState, DiskFacts, GoneSecret, HostFacts
from drd.model.alerts import Condition
from drd.model.drd_facts import RECORDS_CHANGED
from drd.model.message import Urgency
from drd.model.state_place import STATE_CONTESTED, WHILE_CONTESTED
from drd.model.text import counted, some, without_output
from drd.model.units import format_duration, format_size, format_time
from drd.model.verdicts import SECRET_MISSING

TOLD_FOR = timedelta(hours=1)
"""How long a condition lasts that is over at once (a clock jump, a time without a daemon), so that
people see it as an alert, and not only as a message.
"""

OVERDUE_AFTER = timedelta(hours=1)
"""Work that is late by less than this is not overdue."""
TO_MAKE_UP = timedelta(hours=1)

AT_THE_HOST = frozenset({"catalogue", "clock-jumped", "configuration", "disk"})
"""Kinds that are known without reading the catalogue."""

CATALOGUE = "catalogue"
"""The kind of the alert that drd cannot use its catalogue, so that nobody can acknowledge it."""
_EXCHANGED = ("removed", "replaced")
"""The trouble of a catalogue whose file only the service still has open."""
_FULL = "full"
_STATE = "state"
"""The use of the disk on which the catalogue is."""

CHANNEL = "channel"
"""The kind of the alert about a channel; it belongs to a plan if the channel does."""

DISK_SHARE = 0.05
DISK_CRITICAL_SHARE = 0.01
"""A file system with less than this share free is about to fill."""


def host_conditions(
    host: HostFacts, rpos: Sequence[tuple[str, float]] | None, now: datetime
) -> list[Condition]:
    """Return all problems of the host. `rpos` are the loaded plans with their RPOs in seconds; None
    if they are not known.
    """
    conditions = [*_catalogue(host), *_configuration(host), *_clock(host, now)]
    conditions += [*_contested(host), *_of_others(host), *_extensions(host)]
    conditions += [*_credentials(host), *_records(host)]
    conditions += [missing_secret(gone) for gone in host.gone_secrets if not gone.plan]
    conditions += host.reports
    if rpos is not None:
        conditions += [*_no_plan(rpos), *_down(host, rpos, now)]
    conditions += [c for disk in host.disks for c in _disk(disk)]
    return [*_without_told_disks(host, conditions), *_channels(host.channels)]


def _without_told_disks(host: HostFacts, conditions: list[Condition]) -> list[Condition]:
    """Return the conditions without those about the disk of the catalogue, if this disk is full:
    then the condition of the catalogue reports it."""
    told = [c for disk in host.disks if _STATE in disk.uses for c in _disk(disk)]
    if host.catalogue_trouble != _FULL or not told:
        return conditions
    keys = tuple(c.key for c in told)
    return [
        replace(c, remedy=told[0].remedy, also=keys) if c.kind == CATALOGUE else c
        for c in conditions
        if c.key not in keys
    ]


def has_just_come_back(host: HostFacts, now: datetime) -> bool:
    """Return whether the clock went forward within the last hour, while drd was not running, by so
    much that jobs which were in time before are overdue now. drd is catching up, and does not
    report them yet.
    """
    came = []
    if host.down_from is not None and host.down_to is not None:
        came.append((host.down_to - host.down_from, host.down_to))
    if host.clock_jump_s is not None and host.clock_jumped_at is not None:
        came.append((timedelta(seconds=host.clock_jump_s), host.clock_jumped_at))
    return any(
        missed >= OVERDUE_AFTER and timedelta(0) <= now - at < TO_MAKE_UP for missed, at in came
    )


def _catalogue(host: HostFacts) -> Iterator[Condition]:
    if host.catalogue_error is not None:
        text = f"drd cannot use its catalogue: {host.catalogue_error}"
        anew = host.catalogue_trouble in _EXCHANGED
        remedy = "systemctl restart drd && drd catalogue rebuild" if anew else "drd status"
        yield Condition(CATALOGUE, "critical", "", text, remedy)


def _configuration(host: HostFacts) -> Iterator[Condition]:
    if host.configuration_error is not None:
        text = "drd cannot use drd.yaml as it is now, and keeps the settings that it read before: "
        text += host.configuration_error
        how = "restart" if host.needs_restart else "reload"
        remedy = f"drd config check && systemctl {how} drd"
        yield Condition("configuration", "warning", "", text, remedy)


def _contested(host: HostFacts) -> Iterator[Condition]:
    if host.contested is not None:
        text = f"{host.contested}: {WHILE_CONTESTED}"
        yield Condition(STATE_CONTESTED, "critical", "", text, "drd adopt")


def _of_others(host: HostFacts) -> Iterator[Condition]:
    if host.state_wrong is not None:
        yield Condition("state-shared", "critical", "", host.state_wrong, "drd doctor")


def _records(host: HostFacts) -> Iterator[Condition]:
    """Two hosts that continue one chain, a chain whose end was cut off, and changed entries."""
    if host.records_forked is not None:
        yield Condition("records-forked", "critical", "", host.records_forked, "drd records verify")
    if host.records_damage:
        text = (
            f"{host.records_damage}. Somebody changed the catalogue, the disk is damaged, or this "
            "host was made from an older copy of its state, or from a kit"
        )
        yield Condition(RECORDS_CHANGED, "critical", "", text, "drd records verify")


def _extensions(host: HostFacts) -> Iterator[Condition]:
    for name, text, severity, remedy in host.extensions:
        yield Condition("extension", severity, name, text, remedy)


def _credentials(host: HostFacts) -> Iterator[Condition]:
    """A credential that the service does not use yet: it may be the one without which the next
    backup fails."""
    if not host.credentials:
        return
    changed = some(
        [
            (
                f"{later.name or 'a file'} ({'added' if later.added else 'changed'} at "
                f"{format_time(later.at, seconds=True)})"
            )
            for later in host.credentials
        ]
    )
    text = (
        f"the service does not use these files of /etc/drd/credentials before a restart: {changed}"
    )
    if all(later.added for later in host.credentials):
        yield Condition("credentials", "warning", "", text, "systemctl restart drd")
        return
    text += (
        ". A restart removes the former text of a changed file, which only the service still "
        "has: restart the service only if drd doctor finds that the new text works"
    )
    yield Condition("credentials", "warning", "", text, "drd doctor && systemctl restart drd")


def missing_secret(gone: GoneSecret) -> Condition:
    """Return the condition that the file of a secret is gone: what needs it fails, at the latest
    after the next start."""
    since = f" since {format_time(gone.at, seconds=True)}" if gone.at is not None else ""
    names_it = "the plan" if gone.plan else "a plan or drd.yaml"
    text = f"secret file {gone.file}, which {names_it} names, is missing{since}"
    remedy = f"write the secret to {gone.file} again (owner root, mode 0600)"
    if gone.copy:
        text += ": until the service stops, it has the only copy of this secret"
        remedy = f"cp -n {gone.copy} {gone.file}"
    return Condition(SECRET_MISSING, "warning", gone.file, text, remedy, plan=gone.plan)


def _no_plan(rpos: Sequence[tuple[str, float]]) -> Iterator[Condition]:
    if not rpos:
        text = "no plan is loaded, so nothing is backed up"
        yield Condition("no-plan", "info", "", text, "drd plan new")


def _clock(host: HostFacts, now: datetime) -> Iterator[Condition]:
    jumped_s, at = host.clock_jump_s, host.clock_jumped_at
    if jumped_s is None or at is None or abs(now - at) > TOLD_FOR:
        return
    way = "forwards" if jumped_s > 0 else "back"
    by, to = format_duration(abs(jumped_s)), format_time(at, seconds=True)
    text = f"the clock jumped {way} by {by} to {to}"
    yield Condition("clock-jumped", "warning", "", text, "timedatectl")


def _down(host: HostFacts, rpos: Sequence[tuple[str, float]], now: datetime) -> Iterator[Condition]:
    start, end = host.down_from, host.down_to
    if start is None or end is None or abs(now - end) > TOLD_FOR:
        return
    down_s = (end - start).total_seconds()
    missed = sorted(plan for plan, rpo_s in rpos if down_s > rpo_s)
    if not missed:
        return
    named = some(missed)
    text = (
        f"drd was down, or its host slept, from {format_time(start, seconds=True)} to "
        f"{format_time(end, seconds=True)}: {format_duration(down_s)}, longer than the RPO of "
    )
    text += named
    yield Condition("daemon-down", "warning", "", text, "drd status")


def _disk(disk: DiskFacts) -> Iterator[Condition]:
    uses = " and ".join(disk.uses)
    severity: Urgency = "warning"
    if disk.free_bytes is None or not disk.total_bytes:
        text = f"cannot read the free space of {disk.path} ({uses}): {disk.error or 'no answer'}"
    else:
        free, share = disk.free_bytes, disk.free_bytes / disk.total_bytes
        text = f"{disk.path} ({uses}) is almost full: {format_size(free)} free"
        if share < DISK_SHARE:
            severity = "critical" if share < DISK_CRITICAL_SHARE else "warning"
            text += f" of {format_size(disk.total_bytes)}"
        elif free < disk.needed_bytes:
            text += f", a drill needs {format_size(disk.needed_bytes)}"
        else:
            return
    yield Condition("disk", severity, disk.path, text, f"df -h {disk.path}")


def _channels(channels: Sequence[ChannelState]) -> Iterator[Condition]:
    """Return the conditions of the channels: critical if nobody can be notified any more."""
    shared = [c for c in channels if not c.plan]
    all_dead = bool(shared) and all(c.dead for c in shared)
    for channel in channels:
        if not channel.dead:
            continue
        why = f": {without_output(channel.error)}" if channel.error else ""
        since = channel.failing_since
        text = f"channel {channel.name} cannot deliver messages"
        if since is not None:
            tries = counted(channel.tries, "try", "tries")
            text += f" since {format_time(since, seconds=True)} ({tries})"
        severity: Urgency = "critical" if all_dead and not channel.plan else "warning"
        command = "drd notify test"
        yield Condition(CHANNEL, severity, channel.name, f"{text}{why}", command, plan=channel.plan)
