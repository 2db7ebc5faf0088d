"""What drd.yaml and plans say about recovery kits."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from drd.fields import Settings
from drd.model.plan import Sharing


def _recipient(text: str) -> str:
    if not text.startswith(("age1", "ssh-")):
        raise ValueError(f'"{text}" is no public key; write one that begins with age1 or ssh-')
    return text


Recipient = Annotated[str, AfterValidator(_recipient)]


def _shares(text: str) -> str:
    Sharing.parse(text)
    return text


Shares = Annotated[str, AfterValidator(_shares)]

SHARES = "Split the passphrase instead: `3/5` makes five shares, any three of which open the kit."

RECIPIENTS = "For whom `drd kit export` encrypts unless it is told: public keys, age1… or ssh-…."


def _one_way(kit: DaemonKit | PlanKit) -> DaemonKit | PlanKit:
    """age encrypts for a passphrase or for recipients, never for both."""
    if kit.recipients and kit.shares is not None:
        raise ValueError("has both recipients and shares; keep one of them")
    return kit


class DaemonKit(Settings):
    """Recovery kits, for all plans that say nothing themselves."""

    required: bool = Field(
        False, description="A plan without a kit that is current and was opened is not in order."
    )
    recipients: list[Recipient] = Field(default_factory=list, description=RECIPIENTS)
    shares: Shares | None = Field(None, description=SHARES)

    _either = model_validator(mode="after")(_one_way)


class PlanKit(Settings):
    """The recovery kit of this plan. No part of the plan's hash."""

    required: bool | None = Field(
        None,
        description="Whether a kit that is current and was opened has to be there; else as drd.yaml "
        "says.",
    )
    recipients: list[Recipient] = Field(default_factory=list, description=RECIPIENTS)
    shares: Shares | None = Field(None, description=SHARES)

    _either = model_validator(mode="after")(_one_way)


def sharing(kit: DaemonKit | PlanKit) -> Sharing | None:
    return Sharing.parse(kit.shares) if kit.shares is not None else None
