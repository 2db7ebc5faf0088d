"""A new password for a repository, with no moment at which no known key opens it.

The new key is added and proven first. The old one goes only when every plan that works with the
repository names the new password and is in force, and the new one was proven again. What was done
is read from the repository, and what has to be remembered stands in the run: after a kill at any
moment the same command goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drd import process
from drd.errors import RepositoryError, RepositoryMissing, SecretUnavailable, UsageError, WrongKey
from drd.flows import aftermath, custody
from drd.flows.identity import confirm
from drd.flows.runner import Runner, new_run
from drd.flows.services import Services
from drd.masking import MASK
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState, StepState
from drd.ports import Repository, RepositoryKey
from drd.secrets import edges

POLL_S = 1.0
BY_MASK = SecretRef("text", MASK)
"""The password of a repository that an older drd made with a masked secret."""

Missing = Callable[[], Sequence[str]]
"""What is still missing until every plan that names the repository works with the new password."""


@dataclass(frozen=True, slots=True)
class Rekey:
    """What is asked for. `new` None: what an earlier try was given. `old` is beside what the plan
    names and what earlier tries knew; `waits` until the plan is in force."""

    repository: RepositorySpec
    new: SecretRef | None
    old: SecretRef | None = None
    waits: bool = True


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """How far it came. `missing` says what it waits for; then the old password still opens.
    `others` are keys that neither password opens, which were left."""

    run: str
    new: SecretRef
    removed: tuple[str, ...]
    missing: tuple[str, ...]
    others: tuple[RepositoryKey, ...]
    by_mask: bool


class _Rekeying:
    """One repository on its way from its old passwords to a new one."""

    def __init__(
        self,
        services: Services,
        order: Rekey,
        new: SecretRef,
        resolve: Callable[[SecretRef], str],
    ) -> None:
        self._services = services
        self._order = order
        self.new = new
        self._resolve = resolve

    def opened(self, ref: SecretRef) -> Repository:
        """The repository with this password, which is read anew each time."""
        return self._services.open_repository(replace(self._order.repository, password=ref))

    def opens(self, ref: SecretRef) -> bool:
        """Whether it opens; a reference that leads nowhere any more opens nothing."""
        try:
            return self.opened(ref).opens()
        except SecretUnavailable:
            return False

    def require_new(self) -> str:
        """The new password. Raises UsageError for one that would not do."""
        value = self._resolve(self.new)
        cut_off = edges(value, self.new)
        if cut_off is not None:
            raise UsageError(
                f"the new password ({self.new.describe()}) {cut_off}",
                hint="restic reads it otherwise from a file or a command: write it without.",
            )
        return value

    def look(self, candidates: Sequence[SecretRef]) -> Mapping[str, Any]:
        """Which known passwords open it now. Raises WrongKey when none does."""
        value = self.require_new()
        old = [c for c in candidates if self.opens(c)]
        same = [c for c in old if c != BY_MASK and self._resolve(c) == value]
        if self._order.repository.password in same:
            raise self._already(BY_MASK in old)
        if same:
            raise UsageError(
                f"the new password ({self.new.describe()}) is the old one ({same[0].describe()})",
                hint="write another password to the new place.",
            )
        if not old and not self.opens(self.new):
            spec = self._order.repository
            raise WrongKey(
                f"no known password opens the repository at {spec.url}",
                hint="name the one that does: --old-password '{file: …}'.",
            )
        current = [k.id for c in old for k in self.opened(c).list_keys() if k.current]
        return {"old": [_written(c) for c in old], "keys": current}

    def require_change(self) -> None:
        """Raise UsageError for the reference that the plan has already, where that opens the repository
        and no other known password does: there is nothing to remove."""
        others = [r for r in (self._order.old, BY_MASK) if r is not None and r != self.new]
        if self.opens(self.new) and not any(self.opens(r) for r in others):
            raise self._already(by_mask=False)

    def _already(self, by_mask: bool) -> UsageError:
        spec = self._order.repository
        return UsageError(
            f"the new password is the one that the repository has already ({spec.password.describe()})",
            hint=f"without --password the key {MASK} of {spec.name} is removed."
            if by_mask
            else "write another password to a new place, and name that.",
        )

    def add(self, old: Sequence[SecretRef]) -> Mapping[str, Any]:
        if self.opens(self.new):
            return {"added": False}
        self.opened(old[0]).add_key(self.require_new())
        return {"added": True}

    def prove(self, expected: str) -> Mapping[str, Any]:
        """The new password opens the very repository, and reads what is in it."""
        repository = self.opened(self.new)
        actual = repository.identity()
        if actual != expected:
            raise RepositoryMissing(
                f"the new password opens repository {str(actual)[:8]}, expected is {expected[:8]}",
                hint="find out who replaced the repository.",
            )
        snapshots = len(repository.snapshots(fresh=True))
        key = next(k.id for k in repository.list_keys() if k.current)
        return {"key": key, "snapshots": snapshots}

    def remove(
        self, old: Sequence[SecretRef], keys: Sequence[str], expected: str
    ) -> Mapping[str, Any]:
        """The new password is proven once more, then every key that an old one opens goes."""
        proven = str(self.prove(expected)["key"])
        repository = self.opened(self.new)
        there = {k.id for k in repository.list_keys()}
        gone = [k for k in keys if k in there and k != proven]
        for key in gone:
            repository.remove_key(key)
        for ref in old:
            gone += self._remove_all(ref, proven)
        left = {k.id for k in repository.list_keys()}
        still = [k for k in gone if k in left]
        if still or any(self.opens(ref) for ref in old):
            raise RepositoryError(
                f"the old password still opens the repository at {repository.url}",
                hint="its server does not delete: remove the key with rights that may, see "
                "`restic key list`.",
            )
        if not self.opens(self.new):  # nothing that could be done here; be loud
            raise WrongKey(f"the new password does not open the repository at {repository.url}")
        return {"removed": gone}

    def _remove_all(self, ref: SecretRef, proven: str) -> list[str]:
        """Several keys may have the same password."""
        gone: list[str] = []
        while self.opens(ref):
            key = next(k.id for k in self.opened(ref).list_keys() if k.current)
            if key == proven or key in gone:
                break
            self.opened(self.new).remove_key(key)
            gone.append(key)
        return gone

    def others(self) -> tuple[RepositoryKey, ...]:
        return tuple(k for k in self.opened(self.new).list_keys() if not k.current)


def rekey(
    services: Services,
    plan: Plan,
    order: Rekey,
    resolve: Callable[[SecretRef], str],
    missing: Callable[[SecretRef], Sequence[str]],
) -> Rekeyed:
    """Give the repository a new password, as far as that can go now.

    Raises WrongKey when no known password opens it, UsageError for a new password that will not do,
    AlreadyRunning beside another rekey of the repository. Where this state may be a copy of another
    one's, nobody loses his key: UsageError.
    """
    why = custody.contested(services)
    if why is not None:
        raise UsageError(f"no password is changed here: {why}", hint=custody.HINT)
    aftermath.settle(services, plan)
    spec = order.repository
    earlier = _earlier(services, plan, spec)
    new = order.new or earlier.new or _own_for_mask(services, spec)
    if new is None:
        raise UsageError(
            "no new password given",
            hint="say where it is read from: --password '{credential: NAME}'.",
        )
    work = _Rekeying(services, order, new, resolve)
    if order.new == spec.password and earlier.new is None:
        work.require_change()
    detail = {"to": _written(new), "waits_for": []}
    with new_run(
        services, plan, RunKind.REKEY, trigger="manual", detail=detail, subject=spec.name
    ) as runner:
        return _carry_out(runner, work, order, earlier, lambda: missing(new))


def _own_for_mask(services: Services, spec: RepositorySpec) -> SecretRef | None:
    """Of a repository that opens with the mask, the plan's own password is what it is to get."""
    by_mask = services.open_repository(replace(spec, password=BY_MASK))
    return spec.password if by_mask.opens() else None


def _carry_out(
    runner: Runner, work: _Rekeying, order: Rekey, earlier: _Earlier, missing: Missing
) -> Rekeyed:
    services, spec = runner.services, order.repository
    given = (order.old, spec.password, earlier.new, *earlier.old, BY_MASK)
    candidates = dict.fromkeys(r for r in given if r is not None and r != work.new)
    looked = runner.step("look", "rekey", lambda: work.look(list(candidates)))
    old = [_read(r) for r in looked["old"]]
    expected = confirm(services, work.opened(old[0] if old else work.new))
    runner.step("add key", "rekey", lambda: work.add(old))
    runner.step("prove key", "rekey", lambda: work.prove(expected))
    keys = list(dict.fromkeys([*looked["keys"], *earlier.keys]))
    known = [r for r in dict.fromkeys([*old, *earlier.old]) if r != work.new]
    left = _wait(services, runner, missing, waits=order.waits)
    removed: tuple[str, ...] = ()
    if not left:
        done = runner.step("remove key", "rekey", lambda: work.remove(known, keys, expected))
        removed = tuple(done["removed"])
    others = work.others()
    services.catalogue.finish(
        runner.owned,
        RunState.INTERRUPTED if left else RunState.SUCCEEDED,
        at=services.clock.now(),
        error=f"waits for the plan: {'; '.join(left)}" if left else None,
        detail={"removed": list(removed)},
    )
    known_keys = set(keys)
    return Rekeyed(
        runner.run.id,
        work.new,
        removed,
        tuple(left),
        tuple(k for k in others if not left or k.id not in known_keys),
        BY_MASK in known,
    )


def _wait(services: Services, runner: Runner, missing: Missing, *, waits: bool) -> list[str]:
    """What is missing in the end: nothing when it was waited for."""
    left = list(missing())
    if not left or not waits:
        return left

    def effect() -> Mapping[str, Any]:
        services.warn(
            "waiting: Ctrl-C is safe, since both passwords open it, and the same command goes on"
        )
        told: list[str] = []
        while left := list(missing()):
            if left != told:
                services.warn(f"waiting until {'; and '.join(left)}")
                told = left
            process.check_cancelled()
            time.sleep(POLL_S)
        return {}

    runner.step("wait for plan", "rekey", effect)
    return []


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What tries that did not come to their end knew."""

    new: SecretRef | None
    old: tuple[SecretRef, ...]
    keys: tuple[str, ...]


def _earlier(services: Services, plan: Plan, spec: RepositorySpec) -> _Earlier:
    new: SecretRef | None = None
    old: list[SecretRef] = []
    keys: list[str] = []
    for run in services.catalogue.runs(plan.name, limit=1000, kind=RunKind.REKEY):
        if run.subject != spec.name:
            continue
        if run.state is RunState.SUCCEEDED:
            break
        steps = services.catalogue.steps(run.id)
        if any(s.name == "look" and s.state is StepState.FAILED for s in steps):
            continue  # it was refused, and has changed nothing
        new = new or _read(run.detail["to"])
        for step in steps:
            old += [_read(r) for r in step.result.get("old", ())]
            keys += step.result.get("keys", ())
    return _Earlier(new, tuple(dict.fromkeys(old)), tuple(dict.fromkeys(keys)))


def new_repository(plan: Plan, spec: RepositorySpec) -> list[str]:
    """The commands that bring a plan's points into a repository with a new master key."""
    name = f"{spec.name}-new"
    source = plan.primary.name if spec.copy_of is None else spec.copy_of
    lines = [
        f"1. in {plan.file}, below repositories, with a place and a password of its own:",
        f"     {name}: {{url: NEW-URL, password: {{credential: {plan.name}-{name}}}, copy_of: {source}}}",
        "2. systemctl reload drd    (restart, if the password is a new credential)",
        f"3. drd copy {plan.name} --repository {name}",
        f"4. drd verify {plan.name} --repository {name} && drd drill {plan.name} --repository {name}",
    ]
    if spec.copy_of is not None:
        return [
            *lines,
            f"5. remove {spec.name} from {plan.file}, reload, and delete with all its versions:",
            f"     {spec.url}",
        ]
    return [
        *lines,
        f"5. in {plan.file}: take copy_of from {name} and remove {spec.name} (its other copies get",
        f"     copy_of: {name}), reload, then: drd backup {plan.name}",
        f"6. delete {spec.url} with all its versions",
    ]


def _written(ref: SecretRef) -> dict[str, Any]:
    value = ref.value
    return {"source": ref.source, "value": list(value) if isinstance(value, tuple) else value}


def _read(data: Mapping[str, Any]) -> SecretRef:
    value = data["value"]
    return SecretRef(data["source"], tuple(value) if isinstance(value, list) else str(value))
