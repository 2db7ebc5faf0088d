"""The code that verbs with long work share: an App, a console, and Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from shlex import quote
from types import FrameType

from drd import process, secrets
from drd.bootstrap import App, Console
from drd.cli import output
from drd.cli.enduring import app_of
from drd.cli.follow import is_alive
from drd.cli.members_output import members_print_beside
from drd.cli.progress import ProgressLine
from drd.cli.tell_ends import tell_ends
from drd.cli.unresponsive import Unresponsive
from drd.config.plan_search import names_a_file
from drd.errors import Cancelled, CatalogueError, DrdError, NotOwner, UsageError
from drd.flows.services import say_nothing
from drd.model.finding import Finding
from drd.model.plan import Plan
from drd.model.text import by_file
from drd.process.actors import as_root_types_it


@contextmanager
def session(
    args: argparse.Namespace, *, reading: bool = False, acts: bool = True, records: bool = False
) -> Iterator[App]:
    """An App whose runs are cancelled by SIGINT and SIGTERM, with progress on a terminal. If the
    command `acts`, root is told about a running daemon; a dry run does not act. A command that does
    not act puts no plan in force, unless it `records` what it finds."""
    quiet = bool(args.quiet or getattr(args, "json", False))
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
    with beside, _cancelled_by_signals(args), app_of(args, console, reading=reading) as opened:
        acts = acts and not reading and not getattr(args, "dry_run", False)
        if acts:
            tell_of_daemon(opened, args)
        opened.only_tries = not (acts or reading or records)
        try:
            yield opened
        finally:
            progress.clear()
            if acts:
                tell_ends(opened)


def require_owner(app: App, command: str, why: str = "", instead: str = "") -> None:
    """Raise NotOwner for users who may not work on the state, with the commands that they may use;
    `why` and `instead` replace the usual reason and command."""
    if not app.state.is_ours:
        reason = why or f"drd's state belongs to {app.state.owner}"
        usual = (
            f"Members of the group {app.settings.read_group} may use drd status, runs, points, "
            "alerts, schedule and readiness."
        )
        raise NotOwner(
            f"drd {command} needs root: {reason}",
            hint=f"{as_root_types_it()}. {_runs_it(app) if why else ''}{instead or usual}",
        )


def _runs_it(app: App) -> str:
    owner = app.state.owner
    return "" if owner == "root" else f"The user {owner}, who owns drd's state, may run it too. "


def tell_of_daemon(app: App, args: argparse.Namespace) -> None:
    """Tell root, whose command works on its own, about a running daemon."""
    if os.getuid() != 0 or not app.state.is_ours or args.quiet or getattr(args, "json", False):
        return
    database = app.settings.database
    with suppress(CatalogueError):
        if (database is None or database.is_file()) and is_alive(app):
            words = (
                "root runs this command directly: drd does not use the daemon that runs on "
                "this host"
            )
            print(f"drd: note: {words}", file=sys.stderr)


def loaded_plans(
    app: App, name: str | None, *, refreshing: bool
) -> Iterator[tuple[str, Plan | DrdError]]:
    """Yield the plan of this name, or every plan of the plans directory and every plan whose file
    is gone; instead of a plan that cannot be read, its error. With `refreshing`, the present text
    of a plan that is in force is put in force. No other plan is put in force. Raises UsageError if
    there is none, and the error of the requested one."""
    names = [name] if name else app.plans.names() + app.plans.names_without_file()
    if not names:
        where = app.settings.plans_dir
        raise UsageError(f"there is no plan in {where}", hint="write a plan with `drd plan new`.")
    known = frozenset(app.catalogue.plans.names())
    for each in names:
        only_reads = not refreshing or each not in known
        try:
            plans = replace(app.plans, only_reads=only_reads, copy=None)
            loaded: Plan | DrdError = plans.load(each)
        except DrdError as error:
            if name:
                raise
            loaded = error
        yield each, loaded


@contextmanager
def as_if_in_force(app: App, name: str, plan: Plan) -> Iterator[bool]:
    """Try a plan, which a person called by this `name`: if it is not in force, or was named by its
    file, as if it were, without a trace. Gives whether it is in force. A plan whose credentials
    were changed since the service started is in force with these texts after its restart."""
    in_force = app.plans.has_in_force(plan) and not secrets.differs_from_service(plan)
    if in_force and not names_a_file(name):
        yield True
        return
    with app.trying():
        replace(app.plans, warn=say_nothing).load(name)  # it was told at the first reading
        yield False


def found_by_file(app: App, name: str, plan: Plan) -> Callable[[Finding], Finding]:
    """Return what gives a finding commands that find the plan: if a person called it by its file,
    and no file of the plans directory has its name, they call it by its file, too."""
    if not names_a_file(name) or plan.name in app.plans.names():
        return lambda finding: finding

    def by_its_file(finding: Finding) -> Finding:
        text, remedy = (by_file(t, plan.name, quote(name)) for t in (finding.text, finding.remedy))
        return replace(finding, text=text, remedy=remedy)

    return by_its_file


@contextmanager
def without_host(args: argparse.Namespace) -> Iterator[None]:
    """The same for verbs that must work without a configuration, or with a broken one."""
    with _cancelled_by_signals(args):
        yield


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


@contextmanager
def cancelled_as(words: Callable[[], str], then: str = "") -> Iterator[None]:
    """Report what a cancelled command leaves behind, instead of the program that was interrupted,
    and in `then` the command that continues.
    """
    try:
        yield
    except Cancelled as cancelled:
        cancelled.message, cancelled.hint, cancelled.program = words(), then, ""
        raise
