"""What `drd status` finds out on the host itself: whether a running daemon can record nothing, and
what is wrong with drd.yaml.

Both cost nothing while a daemon works with the present drd.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from drd.catalogue.reading import sqlite_file, state_place
from drd.config.location import ConfiguredPlaces, configuration_error, has_only_places
from drd.errors import DrdError
from drd.flows.status.overview import ConfigurationTrouble, DaemonState, StatusDocument
from drd.model.clock import age
from drd.model.state_place import STATE_CONTESTED, WHILE_CONTESTED, StatePlace, differs

_UNIT = "system.slice/drd.service/cgroup.procs"
_GROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
_MUTE_S = 60.0
"""A daemon that has just started may not have recorded a sign of life yet."""


def with_daemon(document: StatusDocument, public_dir: str, *, installed: bool) -> StatusDocument:
    """Return the document with the state of the daemon: a running daemon is never called stopped,
    silent or never started, even if nothing was recorded, because the catalogue may be on a full
    disk."""
    daemon = document.daemon
    if daemon is None or daemon.state == "running":
        return document
    if not (_answers(public_dir) or (installed and daemon_in_unit())):
        return document
    since_s = age(daemon.at, document.at)
    mute = since_s is None or since_s > _MUTE_S
    return document._replace(daemon=daemon._replace(state="running", mute=mute))


def _answers(public_dir: str) -> bool:
    """Return whether somebody listens at the daemon's socket."""
    import socket  # few calls get here

    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        directory = os.open(public_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            probe.settimeout(1.0)
            probe.connect(f"/proc/self/fd/{directory}/drd.sock")
        except PermissionError:
            return False
        finally:
            os.close(directory)
        return True
    return False


def daemon_in_unit(groups: Sequence[str] = _GROUPS) -> bool:
    """Return whether the unit has a process of the daemon: it may wait for its catalogue."""
    for group in groups:
        with suppress(OSError), open(f"{group}/{_UNIT}", "rb") as file:  # noqa: PTH123 (4 ms)
            return any(_is_daemon(pid) for pid in file.read().decode().split())
    return False


def _is_daemon(pid: str) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 (4 ms)
        return b"daemon" in file.read().split(b"\0")
    return False


# --- the state ------------------------------------------------------------------------------


def copied_state(document: StatusDocument, state_url: str) -> str | None:
    """Say why this state may be a copy of one that another drd uses; None if nothing suggests that,
    or if an alert says it already."""
    owner = document.owner
    if owner is None or any(alert.kind == STATE_CONTESTED for alert in document.alerts):
        return None
    why = owner.contested
    if why is None and state_url.startswith("sqlite:"):
        here = state_place(sqlite_file(state_url))
        why = differs(StatePlace(*owner[:4]), here) if here.inode else None
    return f"{why}: {WHILE_CONTESTED}" if why is not None else None


# --- drd.yaml -------------------------------------------------------------------------------


def configuration_trouble(
    path: str, places: ConfiguredPlaces, document: StatusDocument
) -> ConfigurationTrouble | None:
    """Return what is wrong with drd.yaml; None if nothing is, or if an alert says it already."""
    if any(alert.kind == "configuration" for alert in document.alerts):
        return None
    stamp, daemon = _stamp(path), document.daemon
    if stamp is None or (daemon is not None and daemon.read == stamp):
        return None
    if daemon is None and _was_accepted_since(stamp[0], places.state_url, document):
        return None
    if daemon is not None and daemon.state == "running" and daemon.read is None:
        return None  # an older drd
    error = None if has_only_places(path) else configuration_error(path)
    if error is not None:
        return broken(error, daemon)
    if daemon is None or daemon.state != "running":
        return None
    text = (
        f"{path} was edited, but not reloaded: the daemon still uses the settings that it "
        "read before"
    )
    return ConfigurationTrouble(text, "systemctl reload drd", broken=False)


def broken(error: DrdError, daemon: DaemonState | None) -> ConfigurationTrouble:
    """Return the trouble that drd.yaml has this error."""
    check = "drd config check"
    if daemon is None:
        text, command = "drd.yaml is broken, so drd cannot make backups", check
    elif daemon.state == "running":
        text = "drd.yaml is broken: the daemon keeps the settings that it read before"
        command = f"{check} && systemctl reload drd"
    else:
        text = "drd.yaml is broken, so the service cannot start"
        command = f"{check} && systemctl restart drd"
    return ConfigurationTrouble(f"{text}: {error.line}", command, broken=True)


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path)  # noqa: PTH116 (4 ms)
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size


def _was_accepted_since(mtime_ns: int, state_url: str, document: StatusDocument) -> bool:
    """Return whether a backup was made after drd.yaml was written: it needs the whole file. The
    commands of an incident write the catalogue, too, and go on without broken parts. With many
    plans, most of which are told in brief, any change of the catalogue has to do."""
    if not _was_written_since(mtime_ns, state_url):
        return False
    made = [p.backup.finished_at for p in document.plans if p.backup is not None]
    return bool(document.briefs) or any(at.timestamp() * 1e9 > mtime_ns for at in made)


def _was_written_since(mtime_ns: int, state_url: str) -> bool:
    """Return whether the catalogue was written after drd.yaml."""
    file = state_url.removeprefix("sqlite:///").partition("?")[0]
    for name in (file, f"{file}-wal"):
        stamp = _stamp(name)
        if stamp is not None and stamp[0] > mtime_ns:
            return True
    return False
