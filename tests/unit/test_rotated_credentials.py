"""A recovery that brings back the file of a rotated credential brings back its former value, which
the attacker may know: the approval and the scope of the incident say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from drd.api.incident_scope import scope_document
from drd.cli.incident_scope import scope_lines
from drd.cli.recovery_plan import approval_text
from drd.flows.incidents.opening import open_incident
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.rotations import rotations
from drd.model.run import Decision, RunKind, RunState, StepState
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part
from drd.model.snapshot import FileEntry, TreeFingerprint
from drd.model.step_record import RESTORE
from drd.model.units import to_rfc3339
from tests.flow_support import NOON, World
from tests.records_support import ANNA
from tests.unit.test_clean_points import HOUR, Response, before

AUTHOR = Author("anna", NOON + HOUR, ANNA)


class Leak:
    """An incident of a plan with the credentials `pay`, whose file is in its component `conf`, and
    `mail`, whose file is in none."""

    def __init__(self, base: Path) -> None:
        pay = f"{{file: {base}/conf/pay.key}}"
        keys = f"{{name: pay, reference: {pay}, rotate_with: new-pay}}, "
        keys += f"{{name: mail, reference: {{file: {base}/conf-2/mail.key}}}}"
        self.world = World(base, copies=False, more=f"credentials: [{keys}]\n")
        self.world.stored("aaaaaaaa", NOON)
        self.number = open_incident(self.world.catalogue, AUTHOR, "x", plans=["shop"]).number

    def rotated(self, name: str, at: datetime) -> None:
        body = {"plans": ["shop"], "at": at, "credential": name}
        self.world.catalogue.incidents.add(
            self.number, lambda _: [draft(kinds.ROTATED, self.number, AUTHOR, body)]
        )

    def recovered(self, at: datetime, point: str, **asked: Any) -> str:
        """Record a recovery that succeeded; return its id."""
        detail = RecoveryDetail(target="in-place", point=point, **asked)
        runs, steps = self.world.catalogue.runs, self.world.catalogue.steps
        owned = runs.begin(
            self.world.plan, RunKind.RECOVERY, trigger="manual", detail=detail, at=at
        )
        for name in ("conf", "data"):
            steps.begin(owned, f"restore {name}", RESTORE, at, subject=name)
            steps.finish(owned, f"restore {name}", StepState.SUCCEEDED, at=at)
        runs.finish(owned, RunState.SUCCEEDED, at=at)
        owned.release()
        return owned.run.id

    def scope(self) -> dict[str, Any]:
        incidents = self.world.catalogue.incidents
        incident = incidents.get(self.number)
        entries = incidents.entries(incident)
        return scope_document(self.world.catalogue, incident, {"shop": self.world.plan}, entries)

    def told(self) -> tuple[list[str], list[str]]:
        """The credentials that are rotated, and those whose former value is back."""
        [plan] = self.scope()["plans"]
        return plan["rotated"], [one["credential"] for one in plan["returned"]]


@pytest.fixture
def leak(tmp_path: Path) -> Iterator[Leak]:
    made = Leak(tmp_path)
    yield made
    made.world.close()


def test_it_stays_in_the_approval_of_the_recovery(leak: Leak, tmp_path: Path) -> None:
    world = leak.world
    for name in ("pay", "mail"):
        leak.rotated(name, NOON + HOUR)

    def asked(**more: Any) -> str:
        planned = world.recovery(point="aaaaaaaa", clean_for=leak.number, **more)
        texts = [approval_text(planned, step) for step in planned.plan.runbook]
        return next((text for text in texts if text), "")

    assert asked().startswith(
        "The recovery brings back the former value of 1 credential: pay (rotated 2026-11-25 "
        "13:00 UTC, but component conf restores the file of before; rotate with new-pay). "
        "Rotate these credentials before the service is used"
    )
    assert asked(components=("data",)) == "", "the file is in the component conf"
    known = world.point("aaaaaaaa")
    for entries, wanted in (
        ({}, False),
        ({f"{tmp_path}/conf/pay.key": FileEntry("file", 0o600, 0, 0, 4, "0" * 64)}, True),
    ):
        rows = [replace(c, fingerprint=TreeFingerprint(entries)) for c in known.components]
        world.catalogue.points.record(replace(known, components=tuple(rows)))
        assert bool(asked()) is wanted, "the point says whether it contains the file"


@pytest.mark.parametrize(
    "body", [{"plans": "shop", "credential": "mail"}, {"plans": ["shop"], "credential": 7}]
)
def test_a_rotation_that_somebody_changed_has_no_effect(body: dict[str, Any]) -> None:
    made = Response()
    made.say(kinds.ROTATED, at=before(1), **body)
    assert rotations(made.entries) == ()


def test_the_scope_names_the_recovery_that_brought_it_back(leak: Leak, tmp_path: Path) -> None:
    for name in ("pay", "mail"):
        leak.rotated(name, NOON + 2 * HOUR)
    copy, other = Part(into="conf-3"), Part(paths=(f"{tmp_path}/conf/app.conf",))
    leak.recovered(NOON + HOUR, "aaaaaaaa")
    for part in (copy, other):
        leak.recovered(NOON + 3 * HOUR, "aaaaaaaa", part=part)
    assert leak.told() == (["pay", "mail"], [])

    run = leak.recovered(NOON + 3 * HOUR, "aaaaaaaa")
    scope = leak.scope()
    [plan] = scope["plans"]
    assert plan["rotated"] == ["mail"]
    assert plan["returned"] == [
        {
            "credential": "pay",
            "rotated_at": to_rfc3339(NOON + 2 * HOUR),
            "component": "conf",
            "run": run,
            "point": "aaaaaaaa",
            "restored_at": to_rfc3339(NOON + 3 * HOUR),
        }
    ]
    shown = list(scope_lines(scope))
    assert "  credentials to replace after a leak: pay" in shown
    assert "  rotated since the first sign: mail" in shown
    at = shown.index(
        f"    pay: rotated 2026-11-25 14:00 UTC, but later recovery {run} restored the old "
        "file (component conf, restore point aaaaaaaa). Rotate pay again, then record it:"
    )
    assert shown[at + 1] == f"    > drd incident rotated {leak.number} pay --plan shop"


def test_it_is_rotated_again_after_an_undo_a_later_point_or_another_rotation(leak: Leak) -> None:
    world = leak.world
    world.stored("bbbbbbbb", NOON + 4 * HOUR)
    for name in ("pay", "mail"):
        leak.rotated(name, NOON + 2 * HOUR)
    run = leak.recovered(NOON + 3 * HOUR, "aaaaaaaa")
    undo = Decision("", "undo", "anna", "", 0, NOON + 4 * HOUR)
    world.catalogue.decisions.add(run, undo)
    assert leak.told()[1] == [], "the undo put the rotated file back"

    world.clock.at = NOON + 6 * HOUR
    assert leak.recovered(NOON + 5 * HOUR, "aaaaaaaa") != run
    assert leak.told()[1] == ["pay"]
    leak.recovered(NOON + 6 * HOUR, "bbbbbbbb")
    assert leak.told()[1] == [], "a later point has the rotated file"
    leak.recovered(NOON + 7 * HOUR, "aaaaaaaa")
    assert leak.told() == (["mail"], ["pay"])
    leak.rotated("pay", NOON + 8 * HOUR)
    assert leak.told() == (["pay", "mail"], [])
