"""`drd repository`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from drd import secrets
from drd.cli import output
from drd.cli.in_force import in_force_with, keepers_of
from drd.cli.session import session
from drd.config.references import reference_of_text
from drd.errors import UsageError
from drd.flows.components.repository_choice import repository_spec
from drd.flows.upkeep.rekey import Rekey, Rekeyed, rekey
from drd.model.new_repository import new_repository
from drd.model.plan import Plan, RepositorySpec, SecretRef


def run(args: argparse.Namespace) -> int:
    with session(args) as app:
        plan = app.plans.load(args.plan)
        spec = repository_spec(plan, args.repository or plan.primary.name)
        order = Rekey(
            spec,
            _reference("--password", args.password),
            _reference("--old-password", args.old_password),
            waits=not args.no_wait,
            cuts_off=args.cut_off_others,
        )
        done = rekey(
            app.services(plan), plan, order, secrets.resolve, in_force_with(app, plan, spec)
        )
        to_do = _afterwards(plan, spec, done, *keepers_of(app, plan, spec))
    if args.json:
        output.print_json(_document(plan, spec, done, to_do))
    elif not args.quiet:
        _print(plan, spec, done, to_do)
    return 0


def _reference(option: str, text: str | None) -> SecretRef | None:
    """Return a reference as in a plan. Text that cannot be parsed is not repeated: it may be the
    secret."""
    if text is None:
        return None
    try:
        return reference_of_text(text)
    except ValueError as error:
        raise UsageError(
            f"{option}: {error}",
            hint=f"write a reference, for example: {option} '{{credential: NAME}}'.",
        ) from None


class ToDo:
    """Something that a person still has to do. `details` are lines below its text."""

    def __init__(self, text: str, *details: str) -> None:
        self.text = text
        self.details = details


def _document(
    plan: Plan, spec: RepositorySpec, done: Rekeyed, to_do: Sequence[ToDo]
) -> dict[str, Any]:
    return {
        "plan": plan.name,
        "repository": spec.name,
        "run": done.run,
        "password": done.new.describe(),
        "complete": not done.missing,
        "removed_keys": list(done.removed),
        "waits_for": list(done.missing),
        "other_keys": [
            {"key": k.id, "made_by": k.made_by, "made_at": k.made_at} for k in done.others
        ],
        "was_masked": done.by_mask,
        "to_do": [line for one in to_do for line in (one.text, *(f"  {d}" for d in one.details))],
    }


def _print(plan: Plan, spec: RepositorySpec, done: Rekeyed, to_do: Sequence[ToDo]) -> None:
    where = f"{plan.name}: {spec.name}"
    if done.missing:
        output.say(
            f"{where}: the new password ({done.new.describe()}) opens the repository, and the "
            "old password opens it, too"
        )
        output.say("  drd can remove the old password when all of this is true:")
    else:
        output.say(f"{where}: the new password ({done.new.describe()}) opens the repository")
        keys = ", ".join(k[:8] for k in done.removed)
        removed = f"drd removed key {keys}" if keys else "the key for it was removed earlier"
        output.say(f"  the old password no longer opens this repository: {removed}")
    for line in done.missing:
        output.say(f"  - {line}")
    for key in done.others:
        output.say(
            f"  another key also opens this repository: {key.id[:8]}, made by "
            f"{key.made_by} {key.made_at}"
        )
    for one in to_do:
        for line in (one.text, *one.details):
            output.say(f"  {line}")


def _afterwards(
    plan: Plan,
    spec: RepositorySpec,
    done: Rekeyed,
    keepers: Sequence[tuple[Plan, RepositorySpec]],
    unreadable: Sequence[str],
) -> list[ToDo]:
    """Return what people have left to do, and what a new password does not change."""
    if done.missing:
        return [ToDo(f"then: drd repository rekey {plan.name} --repository {spec.name}")]
    why = "the old password was ***" if done.by_mask else "the old password has leaked"
    kits = [f"- the recovery kit: drd kit export {p.name} --to FILE" for p, _ in keepers]
    unread = [
        f"plan {name} also stores in this repository, but drd cannot read the file of {name}: "
        f"check that first: drd plan check {name}"
        for name in unreadable
    ]
    return [
        ToDo(
            "replace everything that still contains the old password:",
            *kits,
            "- kits and shares that other people have: give these people the new files, and "
            "destroy the old files",
            "- copies of the password elsewhere: replace them",
        ),
        ToDo(
            "a new password does not change restic's master key. Anyone who could",
            "open the repository before, or gets an old version of the key file (a bucket with "
            "versions",
            "or Object Lock keeps it), can still read what is stored later.",
        ),
        ToDo(
            f"if {why}, make a new repository and copy into it:",
            *new_repository(keepers),
            *unread,
        ),
    ]
