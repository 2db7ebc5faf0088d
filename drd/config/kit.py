"""What drd.yaml and plans say about recovery kits."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from drd.fields import Settings


def _recipient(text: str) -> str:
    if not text.startswith(("age1", "ssh-")):
        raise ValueError(f'"{text}" is no public key; write one that begins with age1 or ssh-')
    return text


Recipient = Annotated[str, AfterValidator(_recipient)]

RECIPIENTS = "For whom `drd kit export` encrypts unless it is told: public keys, age1… or ssh-…."


class DaemonKit(Settings):
    """Recovery kits, for all plans that say nothing themselves."""

    required: bool = Field(
        False, description="A plan without a kit that is current and was opened is not in order."
    )
    recipients: list[Recipient] = Field(default_factory=list, description=RECIPIENTS)


class PlanKit(Settings):
    """The recovery kit of this plan. No part of the plan's hash."""

    required: bool | None = Field(
        None,
        description="Whether a kit that is current and was opened has to be there; else as drd.yaml "
        "says.",
    )
    recipients: list[Recipient] = Field(default_factory=list, description=RECIPIENTS)
