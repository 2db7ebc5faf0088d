"""What a plan requires of people: training, and that somebody reviews the plan. These keys are
not part of the plan's hash."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from drd.config.readiness import day
from drd.fields import Duration, Name, Settings
from drd.model.training import AwarenessRule, OperatorsRule, ReviewPolicy, TrainingPolicy


class AwarenessSettings(Settings):
    """Which texts people must have read, and how often."""

    every: Duration = Field(
        description="How often each person must read the texts and attest this, for example `365d`."
    )
    texts: list[Name] = Field(
        default_factory=list,
        description="Names of the texts, as `drd training texts` lists them. Default: all texts.",
    )
    roles: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Only people with one of these roles in drd.yaml must attest the texts. "
        "Default: all people of drd.yaml.",
    )


class OperatorSettings(Settings):
    """How many people must have passed an operator drill, and how long that counts."""

    people: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        1, description="The number of people."
    )
    within: Duration = Field(
        description="How long a passed operator drill counts, for example `180d`."
    )


class PlanTraining(Settings):
    """What the people behind this service must have practised and read. Not part of the plan's
    hash."""

    operators: OperatorSettings | None = Field(
        None,
        description="People who have passed an operator drill of this plan (`drd drill PLAN "
        "--scenario operator`).",
    )
    awareness: AwarenessSettings | None = Field(
        None,
        description="Texts on how to recognise and report an incident, which people attest to "
        "have read (`drd training attest`).",
    )


class PlanReview(Settings):
    """When somebody last read the whole plan and found it right. Not part of the plan's hash."""

    every: Duration = Field(description="How often the plan must be reviewed, for example `180d`.")
    last: Annotated[str, AfterValidator(day)] | None = Field(
        None,
        description="The day of the last review, like 2026-11-28. Set this day after each review.",
    )


def training_policy(training: PlanTraining) -> TrainingPolicy:
    """Return what a plan requires of people."""
    drills, texts = training.operators, training.awareness
    return TrainingPolicy(
        OperatorsRule(drills.people, drills.within) if drills is not None else None,
        AwarenessRule(texts.every, tuple(texts.texts), tuple(texts.roles))
        if texts is not None
        else None,
    )


def review_policy(review: PlanReview | None) -> ReviewPolicy | None:
    """Return how often a plan is reviewed; None if the plan does not say that."""
    if review is None:
        return None
    return ReviewPolicy(review.every, date.fromisoformat(review.last) if review.last else None)
