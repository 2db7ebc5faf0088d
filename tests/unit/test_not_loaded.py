"""What a plan whose file is not in force says, and the command that leads out of it."""

from __future__ import annotations

from typing import Any

import pytest

from drd.model.not_loaded import not_loaded
from drd.model.verdicts import PlanState, Verdict
from tests.status_support import healthy

SHOW = "drd plan show orders-api --loaded"
FORGET = "drd plan forget orders-api"
RELOAD, RESTART = "systemctl reload drd", "systemctl restart drd"
CHECK = "drd plan check"
GONE: dict[str, Any] = {"load_error": "x.yaml is gone", "file_gone": True}
PACKAGE: dict[str, Any] = {"load_error": "package p is another", "package_changed": True}
SERVED: dict[str, Any] = {"served": True}
USES = "drd still uses the plan that it loaded at 2026-11-24 00:31 UTC"


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({"load_error": "line 3"}, f"{CHECK} orders-api"),
        ({"load_error": "line 3", "file": "x.yaml"}, f"{CHECK} x.yaml"),
        ({"load_error": "line 3", **SERVED}, f"{CHECK} orders-api && {RELOAD}"),
        (
            {"load_error": "line 3", **SERVED, "needs_restart": True},
            f"{CHECK} orders-api && {RESTART}",
        ),
        ({"load_error": "x", "edited": True}, "drd backup orders-api"),
        ({"load_error": "x", "edited": True, **SERVED}, RELOAD),
        ({"file": "x.yaml", "twin": "y.yaml"}, CHECK),
        ({"file": "x.yaml", "twin": "y.yaml", **SERVED}, f"{CHECK} && {RELOAD}"),
        (PACKAGE, "drd backup orders-api"),
        ({**PACKAGE, **SERVED}, RESTART),
        ({**PACKAGE, "package_missing": True, **SERVED}, "drd doctor orders-api"),
        (GONE, SHOW),
        ({**GONE, "renamed": True}, SHOW),
        ({**GONE, "renamed": True, "complete_points": 0}, FORGET),
        ({**GONE, "complete_points": 0}, SHOW),
        # The file is gone, whatever else was wrong before.
        ({**PACKAGE, **GONE}, SHOW),
    ],
)
def test_a_plan_that_is_not_loaded_names_the_command_that_loads_it(
    changes: dict[str, Any], command: str
) -> None:
    [reason] = not_loaded(healthy(**changes))
    assert reason.remedy == command


@pytest.mark.parametrize(
    ("changes", "verdict", "at_least"),
    [
        ({"load_error": "line 3"}, Verdict.AT_RISK, PlanState.AT_RISK),
        (PACKAGE, Verdict.AT_RISK, PlanState.NEEDS_DRILL),
        ({**PACKAGE, "package_missing": True}, Verdict.UNKNOWN, PlanState.NEEDS_DRILL),
        ({"file": "x.yaml", "twin": "y.yaml"}, Verdict.AT_RISK, PlanState.OK),
    ],
)
def test_a_plan_that_is_not_loaded_is_at_risk(
    changes: dict[str, Any], verdict: Verdict, at_least: PlanState
) -> None:
    [reason] = not_loaded(healthy(**changes))
    assert (reason.verdict, reason.at_least) == (verdict, at_least)


def test_two_files_with_one_plan_name_are_both_named() -> None:
    [reason] = not_loaded(healthy(file="x.yaml", twin="y.yaml"))
    assert reason.text == (
        "y.yaml has the same plan name as x.yaml: drd loads neither of these files. A component "
        f"that only one of them has is not backed up; {USES}"
    )


def test_a_plan_as_it_was_loaded_gives_no_reason() -> None:
    assert not_loaded(healthy()) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            GONE,
            (
                f"x.yaml is gone; {USES}, but does not start backups or drills of this plan. If "
                f"the service does not exist any more: {FORGET}"
            ),
        ),
        (
            {**GONE, **SERVED},
            (
                "x.yaml is gone. After a reload or restart of the service, drd does not start "
                f"backups or drills of this plan any more; until then {USES}. If the service "
                f"does not exist any more: {FORGET}"
            ),
        ),
        ({**GONE, "renamed": True, "complete_points": 0}, f"x.yaml is gone; {USES}"),
        (
            {**GONE, "renamed": True, "complete_points": 1},
            (
                f"x.yaml is gone; {USES}. Restore points are stored under the name of their plan: "
                "if this is the same plan with a new name, write `plan: orders-api` again. If "
                f"nobody needs its 1 restore point any more: {FORGET}"
            ),
        ),
    ],
)
def test_a_plan_without_a_file_says_what_drd_still_does(changes: dict[str, Any], text: str) -> None:
    [reason] = not_loaded(healthy(**changes))
    assert reason.text == text
