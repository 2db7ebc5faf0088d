"""The code that verbs with long work share: an App, a console, and Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from drd import log, process
from drd.bootstrap import App, Console, app
from drd.cli import output
from drd.cli.follow import is_alive
from drd.cli.members_output import members_print_beside
from drd.cli.progress import ProgressLine
from drd.cli.unresponsive import Unresponsive
from drd.errors import CatalogueError, DrdError, NotOwner, UsageError
from drd.model.plan import Plan
from drd.process.actors import as_root_types_it


@contextmanager
def session(args: argparse.Namespace, *, reading: bool = False, acts: bool = True) -> Iterator[App]:
    """An App whose runs are cancelled by SIGINT and SIGTERM, with progress on a terminal. A command
    that `acts` tells root of a running daemon; a dry run does not act."""
    quiet = bool(args.quiet or getattr(args, "json", False))
    _configure_log(args)
    progress = ProgressLine(enabled=sys.stderr.isatty() and not quiet)

    output.over(progress.clear)

    def warn(message: str) -> None:
        if not args.quiet:
            output.warn(message)

    def note(message: str) -> None:
        if not quiet and sys.stderr.isatty():
            progress.clear()
            print(output.shown(message), file=sys.stderr)

    console = Console(progress, warn, note)
    beside = members_print_beside(bool(getattr(args, "json", False)))
    with beside, _cancelled_by_signals(args), app(args.config, console, reading=reading) as opened:
        if acts and not reading and not getattr(args, "dry_run", False):
            tell_of_daemon(opened, args)
        try:
            yield opened
        finally:
            progress.clear()


def require_owner(app: App, command: str) -> None:
    """Raise NotOwner for users who may not work on the state, with the commands that
    they may use."""
    if not app.state.is_ours:
        raise NotOwner(
            f"drd {command} needs root: drd's state belongs to {app.state.owner}",
            hint=f"{as_root_types_it()}. Members of the group {app.settings.read_group} "
            "may use drd status, runs, points, alerts, schedule and readiness.",
        )


def tell_of_daemon(app: App, args: argparse.Namespace) -> None:
    """Tell root, whose command works on its own, about a running daemon."""
    if os.getuid() != 0 or not app.state.is_ours or args.quiet or getattr(args, "json", False):
        return
    database = app.settings.database
    with suppress(CatalogueError):
        if (database is None or database.is_file()) and is_alive(app):
            words = (
                "a daemon runs on this host, but commands of root do the work themselves and do "
                "not ask it"
            )
            print(f"drd: note: {words}", file=sys.stderr)


def loaded_plans(app: App, name: str | None) -> Iterator[tuple[str, Plan | DrdError]]:
    """The plan of that name, or every plan of the plans directory: loaded, or its error. Raises
    UsageError if there is none, and the error of the requested one."""
    names = [name] if name else app.plans.names()
    if not names:
        where = app.settings.plans_dir
        raise UsageError(f"there is no plan in {where}", hint="write one with `drd plan new`.")
    for each in names:
        try:
            loaded: Plan | DrdError = app.plans.load(each)
        except DrdError as error:
            if name:
                raise
            loaded = error
        yield each, loaded


@contextmanager
def without_host(args: argparse.Namespace) -> Iterator[None]:
    """The same for verbs that must work without a configuration, or with a broken one."""
    _configure_log(args)
    with _cancelled_by_signals(args):
        yield


def _configure_log(args: argparse.Namespace) -> None:
    """`DRD_LOG` chooses what a command logs."""
    usual = "error" if args.quiet else "warning"
    chosen = os.environ.get("DRD_LOG", "")
    log.configure(level=chosen if chosen in log.LEVELS else usual)


@contextmanager
def _cancelled_by_signals(args: argparse.Namespace) -> Iterator[None]:
    unresponsive = Unresponsive(as_json=bool(getattr(args, "json", False)))

    def handler(_: int, __: FrameType | None) -> None:
        process.cancel()
        unresponsive.asked_to_end()

    process.reset_cancel()
    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        unresponsive.close()
        for number, old in before.items():
            signal.signal(number, old)
