"""What a request may contain: names, declared options and bounded text; everything else
is refused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from drd.model.incidents.entries import LONGEST_TEXT as LONGEST_ENTRY
from drd.model.plan import DRILL_SCENARIOS

LONGEST_TEXT = 1000
"""Limit in characters of a comment or reason."""

PLAN = r"^[a-z0-9-]{1,40}$"
RUN = r"^[0-9a-f]{1,8}$"
ALERT = r"^[0-9a-f]{1,8}$"
STEP = r"^[a-z0-9-]{1,40}$"
NAME = r"^[a-z0-9-]{1,40}$"
POINT = r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,127}$"

EVIDENCE = r"^[0-9a-f]{1,8}(-[0-9a-f]{0,8})?$"
INCIDENT = r"^(only|[1-9][0-9]{0,14})$"
MESSAGE = r"^[1-9][0-9]{0,8}$"
EXERCISE = r"^[1-9][0-9]{0,14}$"

PARTS = {
    "plan": PLAN,
    "run": RUN,
    "alert": ALERT,
    "step": STEP,
    "evidence": EVIDENCE,
    "incident": INCIDENT,
    "message": MESSAGE,
    "exercise": EXERCISE,
    "name": NAME,
}
"""The names in paths, and their allowed forms."""

PlanName = Annotated[str, Field(pattern=PLAN, description="Name of a plan.")]
ComponentName = Annotated[str, Field(pattern=NAME)]
BoundedText = Annotated[str, Field(max_length=LONGEST_TEXT)]
LongText = Annotated[str, Field(max_length=LONGEST_ENTRY)]
"""A text of an incident: what `drd.flows.incidents.texts` takes."""
PersonName = Annotated[str, Field(min_length=1, max_length=200)]


class Request(BaseModel):
    """A request body. Values are not converted, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Nothing(Request):
    """No options."""


class OptionalPlanQuery(Request):
    plan: PlanName | None = Field(
        None, description="Show only what belongs to this plan (default: to any plan)."
    )


class RunsQuery(OptionalPlanQuery):
    limit: int = Field(20, ge=1, le=1000, description="The number of results, the newest first.")


class AlertsQuery(OptionalPlanQuery):
    all: bool = Field(False, description="Whether to list the newest resolved alerts as well.")


class BackupBody(Request):
    components: list[ComponentName] = Field(
        default_factory=list,
        max_length=200,
        description="Back up only these components; the restore point is then incomplete.",
    )
    accept_size: bool = Field(
        False, description="Whether to store a component even if it shrank to almost nothing."
    )


class DrillBody(Request):
    point: str | None = Field(
        None,
        pattern=POINT,
        description="The restore point: its id or the name of its copy, `latest` or `random`.",
    )
    scenario: Literal[DRILL_SCENARIOS] | None = Field(  # type: ignore[valid-type]
        None,
        description="What the drill assumes to be lost; `operator`: people answer the approvals "
        "and do the manual steps.",
    )
    by: PersonName | None = Field(
        None,
        description="Your name, with the scenario `operator`. The drill counts for your user only.",
    )
    blind: bool = Field(
        False,
        description="With the scenario `operator`: drd shows nothing of the steps while it runs. "
        "People follow the printed runbook.",
    )
    repository: str | None = Field(
        None, pattern=NAME, description="Name of the only repository that the drill reads from."
    )
    components: list[ComponentName] = Field(
        default_factory=list, max_length=200, description="Restore only these components."
    )


class AnswerBody(Request):
    by: PersonName | None = Field(
        None,
        description="Name of the person who answers, if drd.yaml maps no person to your user. "
        "drd records the name but does not verify it.",
    )
    comment: BoundedText = Field("", description="A comment, which drd keeps with the decision.")


class RetryBody(Request):
    by: PersonName | None = Field(
        None,
        description="Name of the person who made this decision. drd records the name but does not "
        "verify it.",
    )


class SkipBody(RetryBody):
    reason: BoundedText = Field(
        min_length=1, description="Why the step is skipped; drd keeps this with the decision."
    )


class AckBody(Request):
    by: PersonName | None = Field(
        None,
        description="Name of the person who takes care of the alert. drd records the name but does "
        "not verify it, unless drd.yaml maps your user to this person.",
    )
    until: str | None = Field(
        None,
        max_length=40,
        description="When the silence ends: a duration like `8h`, or a time in RFC 3339.",
    )
    reason: BoundedText | None = Field(
        None, description="A note for the next person who reads the alert."
    )


class ReportBody(Request):
    text: BoundedText = Field(
        min_length=1, description="What you have seen; drd keeps this in its records."
    )
    plans: list[PlanName] = Field(
        default_factory=list, max_length=20, description="The plans that the suspicion may concern."
    )
    by: PersonName | None = Field(
        None,
        description="Name of the person who reports it, if drd.yaml maps no person to your user. "
        "drd records the name but does not verify it.",
    )
