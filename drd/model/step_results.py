"""What the steps of runs have reported: a class for each kind of step.

The row of a step contains it as one JSON object. A step that waits for a person writes its request;
its end writes the result, so the fields of both are optional here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drd.model import stored
from drd.model.actor import Actor
from drd.model.aside import Aside
from drd.model.malformed import Malformed
from drd.model.run import CheckResult
from drd.model.snapshot import ComponentSnapshot
from drd.model.stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult(Stored):
    """The fields that all kinds share. `reason` is why a step was left out. A step that waits for a
    person, or waited, has since when (`asked_at`), for what (`wanted`), and the `command` that
    answers."""

    reason: str | None = stored.text()
    asked_at: datetime | None = stored.time()
    wanted: str | None = stored.text()
    command: str | None = stored.text()

    def given(self, _: str) -> Any:
        """Return the value for `${steps.NAME.KEY}`; None if this kind of step returns none."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightStepResult(StepResult):
    """The id of the `repository` that was confirmed, or the names of a recovery's `findings`."""

    repository: str | None = stored.text()
    findings: tuple[str, ...] = stored.texts()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureStepResult(StepResult):
    """One component of a restore point, without its fingerprint."""

    component: str | None = stored.text()
    kind: str | None = stored.text()
    state: str | None = stored.text()
    data_time: datetime | None = stored.time()
    snapshot: str | None = stored.text()
    bytes: int | None = stored.count()
    added_bytes: int | None = stored.count()
    duration_s: float | None = stored.seconds()
    error: str | None = stored.text()
    facts: Mapping[str, Any] = stored.mapping()
    observations: Mapping[str, Any] = stored.mapping()

    @classmethod
    def of(cls, snapshot: ComponentSnapshot) -> CaptureStepResult:
        return cls.from_json(snapshot.to_json(with_fingerprint=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestStepResult(StepResult):
    """The `snapshot` that has the manifest."""

    snapshot: str | None = stored.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceStepResult(StepResult):
    """The `point` that a drill restores."""

    point: str | None = stored.text()


@dataclass(frozen=True, slots=True, kw_only=True)
class KitStepResult(StepResult):
    """The recovery kit that a drill made a host from: its file, and how many `points` its
    repositories gave."""

    kit: str | None = stored.text()
    sha256: str | None = stored.text()
    made_at: datetime | None = stored.time()
    plan_digest: str | None = stored.text()
    points: int | None = stored.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreStepResult(StepResult):
    """A step of a runbook has the names of the components that it `restored`. The step of one
    component has its times (`ahead_s` of its fetch passed before the step began), and what the kind
    reports (`drd.ports.Restored`)."""

    restored: tuple[str, ...] = stored.texts()
    ahead_s: float | None = stored.seconds()
    fetch_s: float | None = stored.seconds()
    restore_s: float | None = stored.seconds()
    bytes: int | None = stored.count()
    notes: tuple[str, ...] = stored.texts()
    differences: tuple[str, ...] = stored.texts()
    not_restored: tuple[str, ...] = stored.texts()
    reached: str | None = stored.text(sparse=True)
    data_time: datetime | None = stored.time(sparse=True)
    overtaken: bool = stored.flag(sparse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStepResult(StepResult):
    """The rows of the checks; empty for a step that checks a repository."""

    checks: tuple[CheckResult, ...] = stored.values(CheckResult.from_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonStepResult(StepResult):
    """What an approval or a manual step asks: `text`, who may answer (`role`, `two_person`) and
    until when. Then who answered: the name given (`by`), the `actor`, and whether that person had
    started the run (`self_approved`). A drill `granted` an approval itself."""

    expires_at: datetime | None = stored.time()
    role: str | None = stored.text()
    text: str | None = stored.text()
    two_person: bool = stored.flag()
    by: str | None = stored.text()
    comment: str | None = stored.text()
    granted: bool = stored.flag()
    self_approved: bool = stored.flag()
    actor: Actor | None = stored.value(Actor.from_json)

    def given(self, key: str) -> Any:
        return {"by": self.by, "comment": self.comment}.get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyStepResult(StepResult):
    """The channels that took the message (`told`)."""

    told: tuple[str, ...] = stored.texts()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitStepResult(StepResult):
    """A result without fields: only the time has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideStepResult(StepResult):
    """The kept copies of a recovery, as they were last seen. `unseen` are the components whose
    places could not be looked at when the recovery ended: they may have such a copy."""

    aside: tuple[Aside, ...] = stored.values(Aside.of_json)
    unseen: tuple[str, ...] = stored.texts(sparse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyStepResult(StepResult):
    """The `points` that arrived in the copy, and their size; no point for drd's own snapshot."""

    points: tuple[str, ...] = stored.texts()
    bytes: int | None = stored.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetStepResult(StepResult):
    """How many `snapshots` were forgotten."""

    snapshots: int | None = stored.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneStepResult(StepResult):
    """restic's `summary`, and how many bytes it removed."""

    summary: str | None = stored.text()
    bytes: int | None = stored.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class RekeyStepResult(StepResult):
    """The steps of a rekey. `old`: digests of the references that open the repository, `keys` their
    keys with a `seal`. Whether a key was `added`; the `key` of the new password, and the number of
    `snapshots` that it reads; the keys that were `removed`.

    Root reads the first three from rows of others, and judges them itself."""

    old: Any = stored.anything()
    keys: Any = stored.anything()
    seal: Any = stored.anything()
    added: bool = stored.flag()
    key: str | None = stored.text()
    snapshots: int | None = stored.count()
    removed: tuple[str, ...] = stored.texts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStepResult(StepResult):
    """What an action reports, under keys of its own choice: the only result that is read by key,
    since plans name the keys (`${steps.NAME.KEY}`).

    Under `says` it may have a sentence that drd shows, under `checks` rows of checks. If a value
    under one of drd's names has another type, it belongs only to the action."""

    lenient = True

    says: str | None = stored.text()
    checks: tuple[CheckResult, ...] = stored.values(CheckResult.from_json)

    @classmethod
    def of(cls, reported: Mapping[str, Any]) -> ActionStepResult:
        """Return the result of what an action reports now. Raises Malformed for values that drd
        would not show."""
        made = cls.from_json(reported)
        for name, value in (("says", made.says), ("checks", made.checks)):
            if reported.get(name) and not value:
                raise Malformed(f"{name} cannot be {reported[name]!r}")
        return made

    def given(self, key: str) -> Any:
        return self._json.get(key)


_CLASSES: Mapping[str, type[StepResult]] = {
    "preflight": PreflightStepResult,
    "capture": CaptureStepResult,
    "manifest": ManifestStepResult,
    "choose": ChoiceStepResult,
    "kit": KitStepResult,
    "restore": RestoreStepResult,
    "check": CheckStepResult,
    "approve": PersonStepResult,
    "manual": PersonStepResult,
    "notify": NotifyStepResult,
    "wait": WaitStepResult,
    "aside": AsideStepResult,
    "copy": CopyStepResult,
    "forget": ForgetStepResult,
    "prune": PruneStepResult,
    "rekey": RekeyStepResult,
}

OWN_KINDS = frozenset(_CLASSES)
"""The kinds of steps that drd records itself: all others are actions."""


def read(kind: str, data: Mapping[str, Any]) -> StepResult:
    """Return the result in the row of a step of this kind. Raises Malformed for a value of another
    type, except in the result of an action."""
    return _CLASSES.get(kind, ActionStepResult).from_json(data)
