"""The code that `drd approve`, `done`, `retry` and `skip` share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from drd.api.answers import said_document
from drd.api.caller import require_own_name
from drd.bootstrap import App
from drd.cli import output
from drd.cli.enduring import app_of
from drd.cli.remote import Remote
from drd.cli.session import tell_of_daemon
from drd.config.daemon import DaemonSettings
from drd.errors import UsageError
from drd.flows.runbook.permissions import Deciding, RecordedDecision
from drd.model.actor import Actor
from drd.model.playbook_names import playbook_of
from drd.model.runbook import ROLLBACK
from drd.model.text import escaped
from drd.process import actor_here


def agreed(args: argparse.Namespace, action: str, words: str) -> int:
    """Record that one of the people did `action`: `approve` or `done`."""
    return decided(
        args,
        lambda deciding, settings: deciding.agree(
            args.step, action, _name(args, deciding, settings), args.comment, settings.roles
        ),
        words,
        action=action,
        body={"by": args.by, "comment": args.comment},
    )


def _name(args: argparse.Namespace, deciding: Deciding, settings: DaemonSettings) -> str:
    """The name from `--by`, else the person of the logged-in user. Raises UsageError if there is
    none."""
    actor = deciding.actor
    _require_own(args, actor, settings)
    name = args.by or settings.users.get(actor.login_user or actor.user)
    if not name:
        raise UsageError(
            f"--by is missing: who makes the decision about step {args.step}?",
            hint="give --by NAME, one of `people` in drd.yaml, or map your user there: user: USER.",
        )
    return str(name)


def decided(
    args: argparse.Namespace,
    decide: Callable[[Deciding, DaemonSettings], RecordedDecision],
    words: str,
    *,
    action: str,
    body: dict[str, Any],
) -> int:
    """Record a decision, and print what happens now. For a user who does not own the state, the
    daemon records it: `body` is the request."""
    with app_of(args) as opened:
        if opened.state.is_ours:
            tell_of_daemon(opened, args)
            said = _directly(opened, args, decide)
        else:
            path = f"/v1/runs/{args.run}/steps/{quote(args.step)}/{action}"
            said = Remote(opened).post(path, **body)
    if args.json:
        output.print_json(said)
    elif not args.quiet:
        own = (
            f", who started this {said.get('kind', 'recovery')}"
            if said["started_the_run"] == "same"
            else ""
        )
        by = escaped(said["by"]) + (own if action == "approve" else "")
        of = playbook_of(said["plan"]) or said["plan"]
        output.say(f"{of}: step {said['step']} {words} by {by}")
        if not said["alive"]:
            verb = "rollback" if str(said["step"]).startswith(f"{ROLLBACK} ") else "resume"
            output.say(
                f"no process is executing run {said['run']}; to continue the run: drd {verb} "
                f"{said['run']}"
            )
    return 0


def _directly(
    app: App,
    args: argparse.Namespace,
    decide: Callable[[Deciding, DaemonSettings], RecordedDecision],
) -> dict[str, Any]:
    run = app.catalogue.runs.get(args.run)
    plan = app.runbook_of(run)
    actor = actor_here(by=args.by or "")
    deciding = Deciding(app.row_trust()[0], plan, run, app.clock.now(), actor)
    return said_document(decide(deciding, app.settings))


def who(args: argparse.Namespace, settings: DaemonSettings) -> dict[str, Any]:
    """Return `by` and `actor` of a decision that is made here: the name from `--by`, else the name
    of the logged-in user, and the kernel's facts about this process. Raises UsageError if drd's own
    user gives the name of a person whom drd.yaml maps to another user."""
    actor = actor_here(by=args.by or "")
    _require_own(args, actor, settings)
    return {"by": args.by or actor.login_user or actor.user, "actor": actor}


def _require_own(args: argparse.Namespace, actor: Actor, settings: DaemonSettings) -> None:
    if args.by and actor.uid != 0:
        require_own_name(args.by, settings, actor.user, actor.login_user)
