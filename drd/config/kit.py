"""The settings of recovery kits in drd.yaml and plans."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from drd.config.paths import place
from drd.fields import AbsolutePath, Duration, Secret, Settings
from drd.model.malformed import Malformed
from drd.model.plan import KitWatch
from drd.model.sharing import Sharing


def _recipient(text: str) -> str:
    if not text.startswith(("age1", "ssh-")):
        raise Malformed(
            f'"{text}" is not a public key', "write a public key: it begins with age1 or ssh-"
        )
    return text


Recipient = Annotated[str, AfterValidator(_recipient)]


def _shares(text: str) -> str:
    Sharing.parse(text)
    return text


Shares = Annotated[str, AfterValidator(_shares)]

SHARES = (
    "Split the passphrase of the kit into shares: `3/5` makes five shares, and any "
    "three of them open the kit. Not together with `recipients`."
)

RECIPIENTS = "The public keys that `drd kit export` encrypts for by default: age1… or ssh-…."


FILE = (
    "Path of a copy of the kit on this host. drd tests this copy on a schedule, as `drd kit "
    "verify` does, and uses it in drills of `host-loss`."
)

OPENED_BY = (
    "The passphrase that opens `file`. Give either `passphrase` or `identity`. Not possible "
    "with `shares`, because no single person then has the passphrase."
)

TESTED = "How often drd tests that it can open the kit that `file` names. Default: every 7 days."

OPENED_BY_KEY = "The age identity or SSH key that opens `file`, if it is encrypted for recipients."


class KitVerify(Settings):
    """How often drd tries the kit."""

    every: Duration = Field(
        7 * 86400.0, description="Time between two tests of the kit that `file` names."
    )


def _one_way(kit: DaemonKit | PlanKit) -> DaemonKit | PlanKit:
    """age encrypts for a passphrase or for recipients, never for both."""
    if kit.recipients and kit.shares is not None:
        raise Malformed("has both `recipients` and `shares`", "keep only one of the two keys")
    if kit.file is not None and kit.shares is not None:
        raise Malformed(
            "has both `file` and `shares`: drd cannot test a kit with shares alone, because only "
            "several people together can open such a kit",
            "remove `file`, and let these people test the kit with drd kit verify",
        )
    openers = [ref for ref in (kit.passphrase, kit.identity) if ref is not None]
    if kit.file is None and (openers or kit.verify is not None):
        raise Malformed(
            "has `passphrase`, `identity` or `verify`, but no `file`",
            "add `file`, the path of the kit that drd tests; or remove the other keys",
        )
    if kit.file is not None and len(openers) != 1:
        if openers:
            raise Malformed(
                "has both `passphrase` and `identity`", "keep only the key that opens the kit"
            )
        raise Malformed(
            "has `file`, but neither `passphrase` nor `identity`",
            "add the one of these keys that opens the kit",
        )
    return kit


class DaemonKit(Settings):
    """Recovery kits, for all plans without settings of their own."""

    required: bool = Field(
        False,
        description="If true, a plan without a good kit is not ready (`drd readiness`). A kit is "
        "good if it is current, and `drd kit verify` or the scheduled test of the kit could open "
        "it.",
    )
    recipients: list[Recipient] = Field(default_factory=list, description=RECIPIENTS)
    shares: Shares | None = Field(None, description=SHARES)
    file: Annotated[str, Field(min_length=1)] | None = Field(None, description=FILE)
    passphrase: Secret | None = Field(None, description=OPENED_BY)
    identity: Secret | None = Field(None, description=OPENED_BY_KEY)
    verify: KitVerify | None = Field(None, description=TESTED)

    _either = model_validator(mode="after")(_one_way)


class PlanKit(Settings):
    """The recovery kit of this plan. Not part of the plan's hash."""

    required: bool | None = Field(
        None,
        description="If true, this plan is not ready (`drd readiness`) without a good kit. A kit "
        "is good if it is current, and `drd kit verify` or the scheduled test of the kit could "
        "open it. Default: as in drd.yaml.",
    )
    recipients: list[Recipient] = Field(default_factory=list, description=RECIPIENTS)
    shares: Shares | None = Field(None, description=SHARES)
    file: AbsolutePath | None = Field(None, description=FILE)
    passphrase: Secret | None = Field(None, description=OPENED_BY)
    identity: Secret | None = Field(None, description=OPENED_BY_KEY)
    verify: KitVerify | None = Field(None, description=TESTED)

    _either = model_validator(mode="after")(_one_way)


def sharing(kit: DaemonKit | PlanKit) -> Sharing | None:
    return Sharing.parse(kit.shares) if kit.shares is not None else None


def watch(kit: DaemonKit | PlanKit, base: str = "") -> KitWatch | None:
    """Return the copy that drd tries; `base` is the directory for a relative path."""
    if kit.file is None:
        return None
    every_s = (kit.verify or KitVerify()).every
    return KitWatch(
        place(kit.file, base) if base else kit.file, every_s, kit.passphrase, kit.identity
    )
