"""What earlier attempts of a rekey have left in their runs.

The state's owner can write all of this, and root reads it. So only digests are used, and compared
with references that root's plan or command names; references in the runs are never used."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drd.flows.services import Services
from drd.masking import MASK
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState, StepState
from drd.model.run_details import RekeyDetail
from drd.model.step_results import RekeyStepResult

BY_MASK = SecretRef("text", MASK)
"""The password of a repository that an older drd made with a masked secret."""

TRY_PASSWORDS = "try passwords"
"""The step that tries the old passwords."""

_TRIED = frozenset({TRY_PASSWORDS, "look"})
"""The names of this step: drd 0.1.0 recorded it as `look`."""

_KEY = re.compile(r"[0-9a-f]{8,64}")
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Earlier:
    """What unfinished attempts recorded: digests of the references to the new password and to old
    passwords, and keys of old passwords, each with a seal. The state's owner can write all of this.
    """

    to: str | None
    old: frozenset[str]
    keys: tuple[tuple[tuple[str, ...], str], ...]

    def among(self, named: Sequence[SecretRef]) -> list[SecretRef]:
        """Return the named references that an earlier attempt used."""
        known = {self.to, *self.old}
        return [r for r in dict.fromkeys((*named, BY_MASK)) if digest_of(r) in known]


def earlier_tries(services: Services, plan: Plan, spec: RepositorySpec) -> Earlier:
    to: str | None = None
    old: set[str] = set()
    keys: dict[tuple[tuple[str, ...], str], None] = {}
    for run in services.catalogue.runs.newest(plan.name, limit=_TRIES, kind=RunKind.REKEY):
        if run.subject != spec.name:
            continue
        if run.state is RunState.SUCCEEDED:
            break
        steps = services.catalogue.steps.of_run(run.id)
        if any(s.name in _TRIED and s.state is StepState.FAILED for s in steps):
            continue  # it was refused, and has changed nothing
        to = to or _digest_in(run.detail.to if isinstance(run.detail, RekeyDetail) else None)
        for step in steps:
            tried = step.result
            if step.name in _TRIED and isinstance(tried, RekeyStepResult):
                old |= {d for r in _list(tried.old) if (d := _digest_in(r))}
                ids = tuple(k for k in _list(tried.keys) if _is_key(k))
                if ids:
                    keys[ids, _text(tried.seal)] = None
    return Earlier(to, frozenset(old), tuple(keys))


def digest_of(ref: SecretRef) -> str:
    """Return the digest of the reference, not of the secret: a run keeps only that."""
    value = list(ref.value) if isinstance(ref.value, tuple) else ref.value
    return _digest(ref.source, value)


def _digest(source: object, value: object) -> str:
    return hashlib.sha256(json.dumps([source, value]).encode()).hexdigest()


def _digest_in(found: object) -> str | None:
    """Return a reference in a run; an older drd wrote the reference itself."""
    if isinstance(found, Mapping):
        return _digest(found.get("source"), found.get("value"))
    return found if isinstance(found, str) else None


def _list(found: object) -> Sequence[Any]:
    return found if isinstance(found, list) else ()


def _text(found: object) -> str:
    return found if isinstance(found, str) and found.isascii() else ""


def _is_key(found: object) -> bool:
    return isinstance(found, str) and _KEY.fullmatch(found) is not None
