"""Runs that another process executes: ask the daemon for one, watch one to its end."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from typing import Any

from drd import process
from drd.api import documents
from drd.bootstrap import App
from drd.cli import output
from drd.cli.remote import Remote
from drd.errors import Cancelled, NotOwner
from drd.flows.status.daemon_alive import daemon_lives
from drd.model.run import RunKind
from drd.model.units import format_duration, from_rfc3339

_LOOK_S = 0.5
_OF_PEOPLE = tuple(str(kind) for kind in RunKind if kind.is_peoples)
_FINAL = ("succeeded", "incomplete", "failed", "cancelled", "interrupted")

Document = dict[str, Any]


class RunSource(ABC):
    """The source from which runs are read: the state, or the daemon."""

    @abstractmethod
    def run(self, prefix: str) -> Document:
        """Return the document of `drd run show`."""

    @abstractmethod
    def require_daemon(self, what: str, hint: str) -> None:
        """Raise NotOwner if no process would start a waiting run."""

    @abstractmethod
    def has_daemon(self) -> bool:
        """Return whether a daemon works, which cleans up after a run whose process died."""

    @staticmethod
    def of(app: App) -> RunSource:
        """Return the state for its owner and root."""
        return _StateSource(app) if app.state.is_ours else _DaemonSource(Remote(app))


class _StateSource(RunSource):
    def __init__(self, app: App) -> None:
        self._app = app

    def run(self, prefix: str) -> Document:
        return documents.run(self._app, prefix)

    def require_daemon(self, what: str, hint: str) -> None:
        if not is_alive(self._app):
            raise NotOwner(
                f"{what}, but the daemon, which would start this run, is not running", hint=hint
            )

    def has_daemon(self) -> bool:
        return is_alive(self._app)


class _DaemonSource(RunSource):
    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def run(self, prefix: str) -> Document:
        return self._remote.get(f"/v1/runs/{prefix}")

    def require_daemon(self, what: str, hint: str) -> None:
        """The daemon has just answered, so it runs."""

    def has_daemon(self) -> bool:
        return True


def is_alive(app: App) -> bool:
    """Return whether a daemon works on this state."""
    return daemon_lives(app.catalogue, app.clock.now())


def asked(app: App, plan: str, kind: str, *, quiet: bool, **options: Any) -> Document:
    """Ask the daemon for what this user may not do, and watch it; returns the result at the end:
    the document of `/v1/runs/RUN/outcome`. A run that is under way is watched as it is.

    Raises NotOwner without a daemon, Answered for what it refuses."""
    remote = Remote(app)
    run = remote.post(f"/v1/plans/{plan}/{kind}", **options)
    is_blind = bool(options.get("blind"))
    if is_blind:
        _say(f"blind drill: run {run['run']}. Follow the printed runbook above", quiet=False)
    follow(_DaemonSource(remote), run["run"], quiet=quiet or is_blind)
    return {**remote.get(f"/v1/runs/{run['run']}/outcome"), "run": run["run"], "plan": plan}


def follow(source: RunSource, run: str, *, quiet: bool) -> Document:
    """Show the run until it is over, with its steps on stderr as they end. Raises Cancelled when
    the person stops watching; the run itself continues."""
    now = source.run(run)
    told: set[tuple[str, str]] = set()
    which = now["run"]
    _say(f"following {now['kind']} {which} of {now['plan']}; Ctrl-C does not stop it", quiet=quiet)
    while True:
        now = source.run(which)
        for step in now["steps"]:
            at = (step["name"], step["state"])
            if step["state"] == "waiting" and at not in told:
                told.add(at)
                wanted = "  ".join(filter(None, (step["wanted"], step["command"])))
                _say(f"  {step['name']}  waits: {wanted}", quiet=quiet)
            elif step["state"] not in ("running", "waiting") and at not in told:
                told.add(at)
                ended = from_rfc3339(step["finished_at"] or step["started_at"])
                took_s = (ended - from_rfc3339(step["started_at"])).total_seconds()
                _say(f"  {step['name']}  {step['state']}  {format_duration(took_s)}", quiet=quiet)
        if now["state"] in _FINAL and not _is_settling(source, now):
            return now
        if now["state"] == "pending":
            source.require_daemon(
                f"run {which} waits",
                f"start the daemon: `systemctl start drd`; or end the run: `drd cancel {which}`",
            )
        if process.cancelled():
            raise Cancelled(f"run {which} continues; end it with: drd cancel {which}")
        time.sleep(_LOOK_S)


def _is_settling(source: RunSource, run: Document) -> bool:
    """Return whether the process of the run died, and the daemon has not found out yet how the run
    ended: a backup may have stored everything. For a recovery, a person decides."""
    if run["finished_at"] is not None or run["kind"] in _OF_PEOPLE:
        return False
    return source.has_daemon()


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        print(output.shown(text), file=sys.stderr)
