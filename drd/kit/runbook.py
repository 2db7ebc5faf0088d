"""Print the runbook of a plan: for the operator, and for each role."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from drd.config.daemon_schema import Person
from drd.config.paths import DEFAULT_CONFIG
from drd.flows.drill.host_loss import HOST_LOSS
from drd.kit.document import Block, Commands, Heading, Items, Paragraph, Table
from drd.kit.steps import printed_steps
from drd.model.kit import KitIndex, KitPlan, KitPoint
from drd.model.plan import Plan
from drd.model.units import format_duration, format_size, format_time


def roles_of(people: Sequence[Person]) -> tuple[str, ...]:
    """Return the roles in the order in which drd.yaml names them."""
    return tuple(dict.fromkeys(role for person in people for role in person.roles))


def slug(role: str) -> str:
    """A role as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", role.lower()).strip("-") or "role"


@dataclass(frozen=True, slots=True)
class LastDrill:
    """The last drill that passed: `took_s` by the names of its steps."""

    at: datetime
    scenario: str
    rta_s: float | None
    covered: str
    took_s: Mapping[str, float]


def runbook(
    plan: Plan,
    index: KitIndex,
    people: Sequence[Person],
    by_hand: Sequence[Block],
    rehearsal: LastDrill | None = None,
) -> list[Block]:
    """Everything on one page: for the operator."""
    known = index.plan(plan.name)
    return [
        *_head(plan, index, known, f"Recovery of {plan.name}"),
        *_rehearsed(rehearsal),
        *_people(people),
        *_state(known),
        *_order(plan, "", people, rehearsal),
        *_needs(known),
        *_with_drd(plan, index.config_place),
        *by_hand,
        *_versions(index.versions),
    ]


def for_members(
    plan: Plan, index: KitIndex, people: Sequence[Person], rehearsal: LastDrill | None = None
) -> list[Block]:
    """Return the page without what opens the repositories, and without commands for root."""
    return [
        *_head(plan, index, index.plan(plan.name), f"Recovery of {plan.name}"),
        *_rehearsed(rehearsal),
        *_people(people),
        *_state(index.plan(plan.name)),
        *_order(plan, "", people, rehearsal),
    ]


def for_role(
    plan: Plan,
    index: KitIndex,
    people: Sequence[Person],
    role: str,
    rehearsal: LastDrill | None = None,
) -> list[Block]:
    """Return the page for one role."""
    known = index.plan(plan.name)
    return [
        *_head(plan, index, known, f"Recovery of {plan.name}: {role}"),
        Paragraph(
            f"People with this role: {', '.join(p.name for p in people if role in p.roles)}."
        ),
        *_rehearsed(rehearsal),
        *_people(people),
        *_state(known),
        *_order(plan, role, people, rehearsal),
        Paragraph("The commands are on the page runbook in the same directory."),
    ]


def _head(plan: Plan, index: KitIndex, known: KitPlan, title: str) -> Iterator[Block]:
    yield Heading(1, title)
    yield Paragraph(
        f"Printed {format_time(index.made_at)} on {index.host}, from the plan with the hash "
        f"{known.digest[:12]}."
    )
    if plan.description:
        yield Paragraph(plan.description)
    goals = plan.objectives
    own = [f"{name}: {format_duration(rpo_s)}" for name, rpo_s in plan.own_objectives.items()]
    yield Table(
        (
            "responsible",
            "the service may be down for (RTO)",
            "the data of this time may be lost (RPO)",
        ),
        (
            (
                plan.owner or "nobody",
                format_duration(goals.rto_s),
                ", ".join([format_duration(goals.rpo_s), *own]),
            ),
        ),
    )


def _rehearsed(rehearsal: LastDrill | None) -> Iterator[Block]:
    if rehearsal is None:
        yield Paragraph(
            "No drill of this plan has passed yet: nobody knows how long the recovery takes."
        )
        return
    took = (
        f", recovered in {format_duration(rehearsal.rta_s)}" if rehearsal.rta_s is not None else ""
    )
    covered = f"; {rehearsal.covered}" if rehearsal.covered else ""
    yield Paragraph(
        f"Last drill: {format_time(rehearsal.at)} ({rehearsal.scenario}): passed{took}{covered}."
    )


def _people(people: Sequence[Person]) -> Iterator[Block]:
    yield Heading(2, "Who")
    if not people:
        yield Paragraph("drd.yaml lists no people.")
        return
    yield Table(
        ("name", "roles", "phone", "mail"),
        tuple((p.name, ", ".join(p.roles), p.phone or "", p.email or "") for p in people),
    )


def _state(known: KitPlan) -> Iterator[Block]:
    yield Heading(2, "State when this page was printed")
    rows = tuple(
        (
            r.name,
            r.url,
            (r.id or "unknown")[:12],
            f"a copy of {r.copy_of}" if r.copy_of else "received the backups",
        )
        for r in known.repositories
    )
    yield Table(("repository", "where", "id", "what"), rows)
    newest = known.newest
    if newest is None:
        yield Paragraph("drd knew no complete restore point.")
        return
    yield Paragraph(
        f"The newest complete restore point was {_point(newest)}. There may be newer restore "
        "points now."
    )
    yield Table(
        ("component", "kind", "size", "snapshot", "contains"),
        tuple(
            (
                c.component,
                f"{c.kind} {c.version}".rstrip(),
                format_size(c.bytes),
                (c.snapshot or "")[:12],
                ", ".join(f"{count:,} {what}" for what, count in c.summary.items()),
            )
            for c in newest.components
        ),
    )


def _point(point: KitPoint) -> str:
    proven = f"proven by drill {point.proven_by}" if point.proven_by else "not proven by a drill"
    return f"{point.id}, data of {format_time(point.data_time, seconds=True)}, {proven}"


def _order(
    plan: Plan, role: str, people: Sequence[Person], rehearsal: LastDrill | None
) -> Iterator[Block]:
    yield Heading(2, "Order of work")
    steps = printed_steps(plan)
    mine = tuple(f"{s.name}: {s.does}" for s in steps if role and s.role == role)
    if mine:
        yield Paragraph("You are needed for:")
        yield Items(mine)
    elif role:
        yield Paragraph(
            f"The steps of this runbook do not wait for the {role}. Make decisions, inform "
            "people, and make sure that the work continues."
        )
    took_s = rehearsal.took_s if rehearsal is not None else {}
    yield Table(
        ("", "step", "what", "who", "takes", "done at"),
        tuple(
            (
                str(number),
                step.name,
                step.does,
                _person_text(step.role, people),
                format_duration(took_s[step.name]) if step.name in took_s else "",
                "",
            )
            for number, step in enumerate(steps, 1)
        ),
        form=True,
    )
    yield Paragraph("The column 'takes' has the duration of each step in the last drill.")


def _person_text(role: str, people: Sequence[Person]) -> str:
    """Return the role, and whom to call."""
    if not role:
        return ""
    holders = [" ".join(filter(None, (p.name, p.phone))) for p in people if role in p.roles]
    return f"{role}: {', '.join(holders) or 'nobody has this role'}"


def _needs(known: KitPlan) -> Iterator[Block]:
    if not known.needs:
        return
    yield Heading(2, "Install first")
    yield Paragraph("The plan needs these things, but the kit does not contain them:")
    yield Items(known.needs)


def _with_drd(plan: Plan, config: str) -> Iterator[Block]:
    yield Heading(2, "With drd")
    yield Paragraph(
        "Run these commands as root, on a machine with drd, restic and the client programs of the "
        "databases. THE-KIT is the file of the kit, PASSPHRASE a file (mode 0600) with its "
        "passphrase. If the kit is encrypted for people, give --identity FILE instead; if it has "
        "shares, --share FILE for each share:"
    )
    target = next((f"--target {t}" for t in plan.targets), "--in-place")
    words = f"drd recover {plan.name} {target}{scenario_option(plan)}"
    usual = config == DEFAULT_CONFIG
    place = "" if usual else f"export DRD_CONFIG={shlex.quote(config)}\n"
    yield Commands(
        f"{place}drd bootstrap --kit THE-KIT --passphrase-file PASSPHRASE\n"
        f"{words} --dry-run\n{words}\n",
        shown=True,
    )
    yield Paragraph(
        "If the restore point is newer than this kit, drd asks you to type the id of this "
        "point. Check the restore point with --dry-run before you type the id. Or use a "
        "point that the kit lists: --point ID."
    )
    if not plan.targets:
        yield Paragraph("The plan has no target: --in-place restores to the original places.")


def scenario_option(plan: Plan) -> str:
    """Return the scenario option for a recovery after the loss of the host, if steps depend on
    it."""
    depends = any(step.when is not None and step.when.scenarios for step in plan.runbook)
    return f" --scenario {HOST_LOSS}" if depends else ""


def _versions(versions: Mapping[str, str]) -> Iterator[Block]:
    yield Heading(2, "Versions")
    yield Table(("what", "version"), tuple(versions.items()))
