"""What fields mean that nobody gave: nothing, but for those that are listed here."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal

from drd import checks, model
from drd.flows.components import repository_choice
from drd.flows.restore import blockers, point_choice, preflight, production_guard
from drd.flows.upkeep import forget_points, retention, retention_plan, retention_share
from drd.model.contacts import Hours
from drd.model.down import NO_EFFECT
from drd.model.incidents.approval import ApprovalRule
from drd.model.incidents.cadence import NO_CADENCE
from drd.model.incidents.investigation import Standing
from drd.model.incidents.messages import Fate
from drd.model.incidents.states import State
from drd.model.inventory import Inventory
from drd.model.job_history import JobHistory
from drd.model.manifest_signature import NO_SIGNATURE
from drd.model.obligations.regime import Recipient
from drd.model.obligations.rules import When
from drd.model.plan import KitPolicy, Limits, ReadinessPolicy, S3Access
from drd.model.policies import CopyPolicy, PrunePolicy, VerificationPolicy
from drd.model.run_details import RunDetail
from drd.model.step_results import StepResult
from drd.model.training import TrainingPolicy
from drd.model.verdicts import PlanState, Readiness, Verdict

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NOTHING: tuple[object, ...] = (None, "", b"", 0, 0.0, False, (), [], {}, set(), frozenset())

SOMETHING: dict[str, object] = {
    # a plan
    "Adopted.read_up_to": 1 << 30,
    "Objectives.window_s": 90 * DAY,
    "Hook.timeout_s": MINUTE,
    "Component.limits": Limits(),
    "S3Access.bucket_lookup": "auto",
    "RepositorySpec.s3": S3Access(),
    "Setting.secret": True,
    "Blackout.days": (0, 1, 2, 3, 4, 5, 6),
    "Times.timezone": "UTC",
    "Times.timeout_s": HOUR,
    "BackupPolicy.retries": 5,
    "CopyPolicy.timeout_s": 12 * HOUR,
    "PrunePolicy.every_s": 7 * DAY,
    "PrunePolicy.timeout_s": 6 * HOUR,
    "VerificationPolicy.every_s": 7 * DAY,
    "VerificationPolicy.timeout_s": 12 * HOUR,
    "VerificationPolicy.read_all_within_s": 90 * DAY,
    "DrillPolicy.timeout_s": 4 * HOUR,
    "DrillPolicy.random_each": 4,
    "DrillPolicy.scenarios": ("database-loss",),
    "DrillPolicy.fence": "best",
    "Heartbeat.on": ("backup",),
    "Heartbeat.every_s": MINUTE,
    "Heartbeat.timeout_s": 10.0,
    "Plan.copying": CopyPolicy(),
    "Plan.prune": PrunePolicy(),
    "Plan.verification": VerificationPolicy(),
    "Plan.kit": KitPolicy(),
    "Plan.readiness": ReadinessPolicy(),
    "Plan.inventory": Inventory(),
    "Plan.training": TrainingPolicy(),
    "Risk.treatment": "reduce",
    # copies of another tool
    "CommandTool.timeout_s": HOUR,
    "Stanza.repo": 1,
    "Stanza.timeout_s": DAY,
    # a runbook
    "Undo.timeout_s": 5 * MINUTE,
    "Notice.severity": "info",
    "Step.effect": NO_EFFECT,
    "Step.pause_s": 5.0,
    "Step.rehearse": "run",
    "Step.repeat": True,
    # the daemon
    "RunLimits.runs": 4,
    "RunLimits.drills": 1,
    "RunLimits.copies": 2,
    "RunLimits.maintenance": 1,
    "RunLimits.per_repository": 2,
    "RunLimits.per_host": 2,
    "Timing.timezone": "UTC",
    "Timing.timeout_s": HOUR,
    "Timing.retries": 3,
    "Situation.runs": JobHistory(),
    "Rules.hold_s": 5 * MINUTE,
    "Rules.remind_s": 4 * HOUR,
    "Rules.remind_critical_s": HOUR,
    "ChannelSpec.on": ("firing", "acknowledged", "resolved", "incident", "drill", "recovery"),
    "ChannelSpec.severities": ("critical", "warning", "info"),
    # whom to call
    "Contact.hours": Hours(),
    "Contact.language": "en",
    "Duty.hours": Hours(),
    "Hours.zone": "UTC",
    "Incident.cadence": NO_CADENCE,
    "Delivery.fate": Fate.DRAFTED,
    "IncidentMessage.intact": True,
    "Reach.gravest": "critical",
    "Addressed.language": "en",
    "Hypothesis.standing": Standing.OPEN,
    # what is known of runs, kits, data and people
    "Run.detail": RunDetail(),
    "CheckResult.looked_at_data": True,
    "FenceReport.limits": "rlimits",
    "StepRecord.result": StepResult(),
    "RetentionRequest.trigger": "manual",
    "ReadinessFinding.allows": Readiness.READY,
    "KitTry.there": True,
    "VerificationFacts.parts": 1,
    "Anchor.weak": True,
    "Difference.counted": ("table", "tables"),
    "Tolerance.share": Decimal(0),
    "TreeDifferences.owners": True,
    "Actor.login_known": True,  # a former version knew the login of everybody that it wrote down
    "Aside.former": True,
    # what status is shown of
    "PackageTrouble.severity": "warning",
    "PackageTrouble.remedy": "drd doctor",
    "RepositoryFacts.met": True,
    "ScenarioFacts.wanted": True,
    "AlertFacts.severity": "warning",
    "UnfinishedFacts.keeps": True,
    "PlanFacts.backup_timeout_s": HOUR,
    "NotLoaded.why": "not loaded",
    "Reason.at_least": PlanState.OK,
    "DrillAssessment.proven": Verdict.UNKNOWN,
    "Assessment.state": PlanState.UNKNOWN,
    # incidents and duties to report them
    "IntakeSettings.label": "plan",
    "IntakeSettings.open_at_most": 10,
    "IntakeSettings.per_minute": 60,
    "Mapped.resolved": ("resolved", "closed"),
    "Incident.state": State.DETECTED,
    "Manifest.signature": NO_SIGNATURE,
    "Line.count": 1,
    "Case.zone": "UTC",
    "ClockState.placed": True,
    "ContentItem.source": "ask",
    "Regime.when": When(),
    "Regime.recipient": Recipient(),
    "Period.when": When(),
    "NoNumber.when": When(),
    "Choice.when": When(),
    "Relief.when": When(),
    # incidents
    "Reach.approval": ApprovalRule(),
}


def records() -> Iterator[type]:
    """The classes of the modules that decide."""
    modules = [
        *(
            importlib.import_module(found.name)
            for package in (model, checks)
            for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        ),
        *(repository_choice, blockers, point_choice, preflight, production_guard),
        *(forget_points, retention, retention_plan, retention_share),
    ]
    for module in modules:
        for record in vars(module).values():
            if isinstance(record, type) and record.__module__ == module.__name__:
                yield record


def defaults() -> Iterator[tuple[str, object]]:
    for record in records():
        for name, value in getattr(record, "_field_defaults", {}).items():
            yield f"{record.__name__}.{name}", value
    for record in filter(is_dataclass, records()):
        for field in fields(record):
            if field.name not in inspect.get_annotations(record):
                continue  # of the class that it extends
            if field.default is not MISSING:
                yield f"{record.__name__}.{field.name}", field.default
            elif field.default_factory is not MISSING:
                yield f"{record.__name__}.{field.name}", field.default_factory()


def same(left: object, right: object) -> bool:
    return type(left) is type(right) and left == right


def test_a_field_that_nobody_gave_says_nothing_or_what_is_listed_here() -> None:
    given = {name: value for name, value in defaults() if not any(same(value, n) for n in NOTHING)}
    assert given == SOMETHING
    assert len(list(defaults())) > 600, "the records were not found"
