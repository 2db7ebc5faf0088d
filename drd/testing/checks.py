"""What every kind of check promises: it passes on a healthy restore, fails on a damaged one, and
never guesses.

Who makes a kind of check derives a class from `CheckContract`, gives it a fixture `case`, and runs
pytest:

    class TestContains(CheckContract):
        @pytest.fixture
        def case(self, tmp_path: Path) -> CheckCase:
            …
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd import process
from drd.checks.settings import CheckSettings
from drd.errors import Cancelled
from drd.model.plan import CheckSpec, DrillPolicy, Objectives, Plan
from drd.model.policies import BackupPolicy, RetentionPolicy
from drd.model.run import CheckResult, CheckVerdict
from drd.model.snapshot import ComponentSnapshot, RestorePoint
from drd.ports import CheckContext, Inspector
from drd.ports.by_hand import ByHand
from drd.ports.check import CheckKind
from drd.testing.described import undescribed

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""The time at which everything happens in the contract."""

PLAN = Plan(
    name="orders",
    owner="",
    description="",
    objectives=Objectives(rpo_s=900.0, rto_s=1800.0),
    components={},
    repositories={},
    backup=BackupPolicy(),
    retention=RetentionPolicy(),
    checks=(),
    runbook=(),
    targets={},
    drill=DrillPolicy(),
    digest="d",
    proof="p",
    file="/etc/drd/plans/orders.yaml",
)


def context(
    inspectors: Mapping[str, Inspector],
    *snapshots: ComponentSnapshot,
    is_root: bool = False,
    last_observed: Mapping[str, Any] | None = None,
    directory: Path = Path("/"),
) -> CheckContext:
    """Return the context of a check, for a point with these components."""
    return CheckContext(
        plan=PLAN,
        point=RestorePoint("7c1e", "orders", AT, AT, True, "d", snapshots),
        inspectors=inspectors,
        now=AT,
        is_root=is_root,
        last_observed=last_observed or {},
        directory=directory,
    )


@dataclass
class CheckCase:
    """A restored component called `it` without damage (`inspector`, and its part of the restore
    point), a check of it, and a function `damage` that damages the component so that the check has
    to notice.
    """

    kind: CheckKind
    settings: CheckSettings
    snapshot: ComponentSnapshot
    inspector: Inspector
    damage: Callable[[], object]

    def run(self, *, restored: bool = True, **more: Any) -> list[CheckResult]:
        spec = CheckSpec(self.settings.name, self.kind.name, "it", self.settings)
        inspectors = {"it": self.inspector} if restored else {}
        return self.kind.check.run(spec, context(inspectors, self.snapshot, **more))


class CheckContract:
    """Derive a class whose name begins with `Test`, with a fixture `case`."""

    @pytest.fixture
    def case(self) -> CheckCase:
        raise NotImplementedError("the class lacks a fixture `case`")

    def test_every_key_of_the_settings_has_a_description(self, case: CheckCase) -> None:
        assert case.kind.settings.__doc__
        assert undescribed(case.kind.settings) == []

    def test_the_settings_have_no_contradictions(self, case: CheckCase) -> None:
        assert isinstance(case.settings, case.kind.settings)
        assert list(case.settings.contradictions()) == []
        assert all(words for _, words in case.settings.all_commands())

    def test_a_healthy_restore_passes_and_its_data_was_read(self, case: CheckCase) -> None:
        own, *parts = case.run(is_root=True)
        assert own.verdict is CheckVerdict.PASSED, own.observed
        assert own.looked_at_data
        assert not own.part
        assert (own.name, own.component) == (case.settings.name, "it")
        assert parts == []

    def test_a_damaged_restore_fails_and_names_the_damage(self, case: CheckCase) -> None:
        case.damage()
        own = case.run(is_root=True)[0]
        assert own.verdict is CheckVerdict.FAILED
        assert own.observed
        assert own.expected

    def test_a_missing_component_is_not_run(self, case: CheckCase) -> None:
        (own,) = case.run(restored=False)
        assert own.verdict is CheckVerdict.NOT_RUN
        assert "was not restored" in own.observed

    def test_a_cancel_ends_a_check(self, case: CheckCase) -> None:
        """Programs of the check end, and `check_cancelled` raises."""
        process.cancel()
        try:
            with pytest.raises(Cancelled):
                case.run()
        finally:
            process.reset_cancel()

    def test_instructions_by_hand_are_a_sentence(self, case: CheckCase) -> None:
        passage = case.kind.by_hand(case.settings, ByHand((), ask="ask", change="change"))
        assert passage is None or passage.text
