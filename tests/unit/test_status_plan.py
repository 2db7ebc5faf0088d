"""`drd status PLAN`: everything that is known of one plan, on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from drd.cli.render import NO_LIMIT
from drd.cli.status_plan import render_plan
from drd.errors import CatalogueError
from drd.flows.status.overview import collect
from drd.model.drd_facts import DaemonFacts
from drd.model.facts import BackupFacts, CopyFacts, HoldFacts, NotLoaded, PlanFacts, StatusFacts
from drd.model.units import format_time
from drd.plan_files import FoundPlanFile
from tests.status_support import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ago,
    drill,
    failures,
    healthy,
    point,
    repository,
    scenario,
)

DUES = [
    {"kind": "backup", "repository": None, "due_at": "2026-11-25T00:33:00Z"},
    {"kind": "verification", "repository": "primary", "due_at": "2026-11-25T00:30:00Z"},
]
WORKS = DaemonFacts(NOW, False, "1")

THE_SCREEN = """\
orders-api: ok                                              2026-11-25 00:31 UTC

Owner         payments team
Would lose    4m 12s (RPO 15m); the RPO was kept for 99.86 % of the last 30d
Comes back    in 1m 34s (RTO 30m); the last passed drill took 1m 34s
Last backup   2026-11-25 00:26 UTC (4m 12s ago), took 20s, 1000 B in all, 11.8
              MiB added
Points        12 complete restore points, the newest is 7c1e
Next runs     backup in 2m, verification primary now
More          drd points orders-api, drd runs orders-api, drd evidence list
              orders-api

COMPONENT  KIND      SIZE    DATA OF
orders-db  postgres  1000 B  2026-11-25 00:26 UTC (4m 12s ago)

REPOSITORY  STATE  COPY OF  NEWEST DATA
primary     ok     -        2026-11-25 00:26 UTC (4m 12s ago)

DRILL          RESULT  STEPS   TOOK    POINT  EVIDENCE  ENDED
database-loss  passed  5 of 7  1m 34s  7c1e   e1        2d ago

Notes
  p1 is held until 2026-11-26 00:31 UTC: audit (by anna)
  > drd points orders-api"""


def screen(
    facts: PlanFacts,
    *,
    width: int = 80,
    colour: bool = False,
    daemon: DaemonFacts | None = WORKS,
    dues: Sequence[Mapping[str, Any]] = DUES,
) -> list[str]:
    document = collect(lambda: StatusFacts([facts], daemon=daemon), [], NOW)
    return render_plan(document, lambda: dues, width, colour)


def test_a_plan_says_what_it_is_for() -> None:
    told = screen(healthy()._replace(description="Takes orders and pays"))
    assert told[2:4] == ["Description   Takes orders and pays", "Owner         payments team"]


def test_the_screen_of_one_plan_has_everything_that_is_known_of_it() -> None:
    facts = healthy(
        missed=((ago(2 * DAY), ago(2 * DAY - HOUR)),),
        backup=BackupFacts("7c1e", ago(252), ago(232), 12_345_678),
        last_drill=drill(rehearsed=(5, 7)),
        holds=(HoldFacts("p1", "audit", ago(-DAY), "anna"),),
    )
    assert "\n".join(screen(facts)) == THE_SCREEN


def test_the_time_of_a_plan_with_instant_drills_is_that_of_the_last_whole_one() -> None:
    told = screen(healthy()._replace(drill_full_every_s=30 * DAY), width=NO_LIMIT)
    [back] = [line for line in told if line.startswith("Comes back")]
    assert back.endswith("; the last whole drill took 1m 34s")


def test_a_plan_with_trouble_shows_the_worst_first_and_then_all_the_rest() -> None:
    facts = healthy(
        newest=point(HOUR),
        failures=failures(2),
        digest="another",
        copies=(CopyFacts("offsite", "primary", ago(3 * HOUR), ago(2 * HOUR)),),
        repositories=(
            repository(newest=point(HOUR)),
            repository("offsite", copy_of="primary", lost="shut", lost_since=ago(MINUTE)),
        ),
    )
    lines = screen(facts, width=NO_LIMIT)
    assert lines[0].startswith("orders-api: breached ")
    assert lines[1].startswith("  RPO exceeded: ")
    assert lines[2] == "  > drd run show 4f2a"
    assert "offsite     wrong password  primary  nothing can be read" in lines
    assert lines[3:5] == ["", "Also"], "before the tables, where a tired reader looks"
    also = lines[5 : lines.index("", 5)]
    assert also == [
        (
            "  not ready: repository offsite does not open with the password of the plan (drd saw "
            "this first at 2026-11-25 00:30:00 UTC)"
        ),
        "  > drd doctor orders-api",
        "  needs drill: the plan changed since its last drill",
        "  > drd drill orders-api",
        (
            "  at risk: copy offsite of primary does not open with the password of the plan: "
            "drd cannot read data there"
        ),
        "  > drd doctor orders-api",
    ]


def test_a_repository_that_was_never_made_is_not_ok() -> None:
    """A new copy has no repository before its first run, and one without a point is not damaged."""
    facts = healthy(
        repositories=(
            repository(newest=None, sound=None),
            repository("offsite", copy_of="primary", met=False, newest=None, sound=None),
        ),
    )
    lines = screen(facts)
    assert "primary     ok               -        nothing stored yet" in lines
    assert "offsite     not created yet  primary  nothing stored yet" in lines


def test_a_failing_backup_is_shown_while_it_is_unknown_whether_the_plan_can_be_restored() -> None:
    backup = BackupFacts("7c1e", ago(252), ago(232), 12_345_678)
    facts = healthy(
        failures=failures(1), backup=backup, scenarios=(scenario(last=None, passed=None),)
    )
    lines = screen(facts, width=NO_LIMIT)
    assert lines[0].startswith("orders-api: unknown ")
    [last] = [line for line in lines if line.startswith("Last backup")]
    assert facts.failures is not None
    assert last.endswith(
        f"; the backup of {format_time(facts.failures.at)} failed: {facts.failures.error}"
    )
    also = lines[lines.index("Also") + 1 :]
    assert also[0].startswith(f"  at risk: the last backup failed: {facts.failures.error} (tried ")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width: int) -> None:
    facts = healthy(
        plan="a-plan-with-a-long-name",
        failures=failures(1, "x" * 130),
        scenarios=(scenario(), scenario("host-loss", last=None, passed=None)),
    )
    lines = screen(facts, width=width)
    assert max(len(line) for line in lines if not line.startswith("  > ")) <= width
    assert all(before or after for before, after in pairwise(lines))
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    wide = [line for line in screen(facts, width=NO_LIMIT) if not line.startswith("  > ")]
    words = {word.lower() for line in wide for word in line.split() if len(word) < 20}
    assert words - {word.lower() for word in text.split()} == set()
    assert "host-loss" in text
    coloured = "\n".join(screen(facts, width=width, colour=True))
    assert "\x1b[31munknown\x1b[0m" in coloured


def test_runs_that_nobody_starts_are_called_so() -> None:
    [told] = [line for line in screen(healthy(), width=NO_LIMIT, daemon=None) if "Next" in line]
    assert told.endswith("no run starts by itself, because the daemon is not running")
    [told] = [line for line in screen(healthy(), width=NO_LIMIT, dues=[]) if "Next" in line]
    assert told.endswith(
        "no run: the plan does not have a schedule, or the daemon has not loaded the plan yet"
    )


def test_a_part_of_the_status_that_cannot_be_read_hides_no_other_part() -> None:
    def refused() -> Sequence[Mapping[str, Any]]:
        raise CatalogueError("the disk is full", hint="df -h")

    document = collect(lambda: StatusFacts([healthy()], daemon=WORKS), [], NOW)
    lines = render_plan(document, refused, NO_LIMIT, colour=False)
    assert "Next runs     unknown: the disk is full" in lines
    assert any(line.startswith("orders-db ") for line in lines)


def test_a_plan_that_was_never_loaded_shows_why_and_its_file() -> None:
    file = FoundPlanFile("/nowhere/new.yaml", 1, 1)
    document = collect(lambda: StatusFacts([]), [file], NOW)
    assert isinstance(document.plans[0].load_error, str)
    assert NotLoaded.__name__  # the subject behind it
    lines = render_plan(document, lambda: DUES, NO_LIMIT, colour=False)
    assert lines[0].startswith("new: unknown ")
    assert lines[2] == "  > drd backup new"
    assert "Plan file     /nowhere/new.yaml" in lines
