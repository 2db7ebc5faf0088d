"""Give a repository a new password, so that at every moment a known key opens it.

The new key is added and proven first. The old one is removed only when every plan that uses the
repository names the new password and is in force, and the new one was proven again. The state is
read from the repository, and notes are kept in the run: after a kill at any moment, the same
command continues. Only digests are read from a run, and compared with what root's plan and command
name: anyone who may write to the state can name no file and no command. Keys that a run names are
removed only if the run is sealed with the new password."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from drd import process
from drd.errors import RepositoryError, RepositoryMissing, SecretUnavailable, UsageError, WrongKey
from drd.flows.durable_steps import Runner, new_run
from drd.flows.log.repository import stored_beside
from drd.flows.repository import adopted, contested
from drd.flows.repository.identity import confirm
from drd.flows.repository.shared import plans_of_others
from drd.flows.services import Services
from drd.flows.state import crash_cleanup
from drd.flows.upkeep.rekey_history import (
    BY_MASK,
    TRY_PASSWORDS,
    Earlier,
    digest_of,
    earlier_tries,
)
from drd.masking import MASK
from drd.model.plan import Plan, RepositorySpec, SecretRef
from drd.model.run import RunKind, RunState
from drd.model.run_details import RekeyDetail
from drd.model.step_results import RekeyStepResult
from drd.model.text import noun
from drd.ports import Repository, RepositoryKey
from drd.secrets import EDGES_HINT, edges

POLL_S = 1.0
MissingCopies = Callable[[], Sequence[str]]
"""Returns what is still missing until every plan that names the repository works with the new
password."""


@dataclass(frozen=True, slots=True)
class Rekey:
    """The request. `new` None: the password of an earlier try, if the plan names it by now. `old`
    are other old passwords; `waits` until the plan is in force. `cuts_off`: other hosts that store
    there have the new password, or may lose access."""

    repository: RepositorySpec
    new: SecretRef | None
    old: SecretRef | None = None
    waits: bool = True
    cuts_off: bool = False


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """The result. `missing` says what is still missing; until then the old password still opens the
    repository. `others` are keys that neither password opens, and that were left."""

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
        self.old: list[SecretRef] = []

    @property
    def order(self) -> Rekey:
        return self._order

    def on(self, repository: RepositorySpec) -> _Rekeying:
        """Return the same work on another repository."""
        order = replace(self._order, repository=repository)
        return _Rekeying(self._services, order, self.new, self._resolve)

    def opened(self, ref: SecretRef) -> Repository:
        """Return the repository with this password, which is read anew each time."""
        return self._services.open_repository(replace(self._order.repository, password=ref))

    def opens(self, ref: SecretRef) -> bool:
        """Return whether it opens; a reference that no longer resolves opens nothing."""
        try:
            return self.opened(ref).opens()
        except SecretUnavailable:
            return False

    def require_new(self) -> str:
        """Return the new password. Raises UsageError for an unsuitable one."""
        value = self._resolve(self.new)
        cut_off = edges(value, self.new)
        if cut_off is not None:
            raise UsageError(
                f"the new password ({self.new.describe()}) {cut_off}",
                hint=EDGES_HINT,
            )
        return value

    def try_candidates(self, candidates: Sequence[SecretRef]) -> RekeyStepResult:
        """Find which known passwords open it now. Raises WrongKey if none does."""
        value = self.require_new()
        old = [c for c in candidates if self.opens(c)]
        same = [c for c in old if c != BY_MASK and self._resolve(c) == value]
        if self._order.repository.password in same:
            raise self._already(BY_MASK in old)
        if same:
            raise UsageError(
                f"the new password ({self.new.describe()}) is the same as the old one "
                f"({same[0].describe()})",
                hint="write another password to the place that --password names.",
            )
        if not old and not self.opens(self.new):
            spec = self._order.repository
            raise WrongKey(
                f"drd does not know a password that opens the repository at {spec.url}",
                hint="give the place of the right password: --old-password '{file: PATH}'",
            )
        self.old = old
        current = [k.id for c in old for k in self.opened(c).list_keys() if k.current]
        return RekeyStepResult(
            old=[digest_of(c) for c in old],
            keys=current,
            seal=self.seal(current) if current else "",
        )

    def seal(self, keys: Sequence[str]) -> str:
        """Return a seal that only a process with the new password can make of these keys; as slow
        to guess as restic's own."""
        password = self._resolve(self.new).encode("utf-8", "surrogateescape")
        said = json.dumps([self._order.repository.url, *keys]).encode()
        return hashlib.scrypt(
            password, salt=said, n=1 << 15, r=8, p=1, maxmem=1 << 27, dklen=32
        ).hex()

    def require_change(self) -> None:
        """Raise UsageError for the reference that the plan has already, if that opens the
        repository and no other known password does: there is nothing to remove."""
        others = [r for r in (self._order.old, BY_MASK) if r is not None and r != self.new]
        if self.opens(self.new) and not any(self.opens(r) for r in others):
            raise self._already(by_mask=False)

    def _already(self, by_mask: bool) -> UsageError:
        spec = self._order.repository
        return UsageError(
            f"the new password is the repository's current one ({spec.password.describe()})",
            hint=f"without --password, drd removes the key {MASK} of {spec.name}."
            if by_mask
            else "write another password to a new place, and give a reference to that place.",
        )

    def add(self, old: Sequence[SecretRef]) -> RekeyStepResult:
        if self.opens(self.new):
            return RekeyStepResult(added=False)
        self.opened(old[0]).add_key(self.require_new())
        return RekeyStepResult(added=True)

    def prove(self, expected: str) -> RekeyStepResult:
        """Check that the new password opens this very repository, and reads its content."""
        repository = self.opened(self.new)
        actual = repository.identity()
        if actual != expected:
            raise RepositoryMissing(
                f"the new password opens repository {str(actual)[:8]}, but {expected[:8]} "
                "was expected",
                hint="find out who replaced the repository.",
            )
        snapshots = len(repository.snapshots(fresh=True))
        key = next(k.id for k in repository.list_keys() if k.current)
        return RekeyStepResult(key=key, snapshots=snapshots)

    def remove(
        self, old: Sequence[SecretRef], keys: Sequence[str], expected: str
    ) -> RekeyStepResult:
        """Prove the new password once more, then remove every key that an old one opens."""
        proven = str(self.prove(expected).key)
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
                hint="the repository's server refuses to delete: remove the key with an account "
                "that may delete (see `restic key list`).",
            )
        if not self.opens(self.new):  # nothing that could be done here; be loud
            raise WrongKey(f"the new password does not open the repository at {repository.url}")
        return RekeyStepResult(removed=tuple(gone))

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
    """Give the repository a new password, as far as that is possible now. Raises WrongKey when no
    known password opens it, UsageError for an unsuitable new password, AlreadyRunning during
    another rekey of the repository. If this state may be a copy of another state, no key is
    removed: UsageError."""
    adopted.refuse(plan, "change their password")
    why = contested.contested(services)
    if why is not None:
        raise UsageError(f"drd did not change the password: {why}", hint=contested.HINT)
    crash_cleanup.settle(services, plan)
    spec = order.repository
    earlier = earlier_tries(services, plan, spec)
    new = order.new or _named_before(plan, spec, earlier) or _own_for_mask(services, spec)
    if new is None:
        raise UsageError(
            "no new password given",
            hint="give a reference to the new password: --password '{credential: NAME}'.",
        )
    work = _Rekeying(services, order, new, resolve)
    of_logs = stored_beside(services, plan, spec.name)
    logs = work.on(of_logs) if of_logs is not None else None
    if order.new == spec.password and earlier.to is None and (logs is None or logs.opens(new)):
        work.require_change()
    detail = RekeyDetail(to=digest_of(new), waits_for=())
    with new_run(
        services, plan, RunKind.REKEY, trigger="manual", detail=detail, subject=spec.name
    ) as runner:
        before = earlier.among([s.password for s in plan.repositories.values()])
        return _carry_out(runner, (work, logs), (earlier, before), lambda: missing(new))


def _own_for_mask(services: Services, spec: RepositorySpec) -> SecretRef | None:
    """A repository that opens with the mask gets the plan's own password."""
    by_mask = services.open_repository(replace(spec, password=BY_MASK))
    return spec.password if by_mask.opens() else None


def _carry_out(
    runner: Runner,
    works: tuple[_Rekeying, _Rekeying | None],
    known_before: tuple[Earlier, Sequence[SecretRef]],
    missing: MissingCopies,
) -> Rekeyed:
    earlier, before = known_before
    work, logs = works
    services, order = runner.services, work.order
    given = (order.old, order.repository.password, *before, BY_MASK)
    candidates = dict.fromkeys(r for r in given if r is not None and r != work.new)
    tried = runner.step(TRY_PASSWORDS, "rekey", lambda: _tried(works, list(candidates)))
    old = work.old
    expected = confirm(services, work.opened(old[0] if old else work.new))
    runner.step("add key", "rekey", lambda: work.add(old))
    runner.step("prove key", "rekey", lambda: work.prove(expected))
    expected_of_logs = _added_to_logs(runner, logs) if logs is not None else ""
    keys = list(dict.fromkeys([*tried.keys, *_sealed(services, work, earlier, tried.keys)]))
    known = [r for r in dict.fromkeys([*old, *before]) if r != work.new]
    left = _wait(services, runner, missing, waits=order.waits)
    if not left and not order.cuts_off:
        left = [
            f"confirm that the host of plan {name} has the new password, too: add "
            "--cut-off-others (that plan also stores in this repository, but the drd of "
            "this host does not have that plan)"
            for name in plans_of_others(services, work.opened(work.new))
        ]
    removed: tuple[str, ...] = ()
    if not left and logs is not None:
        remove = partial(logs.remove, [*known, *logs.old], keys, expected_of_logs)
        runner.step("remove key of the logs", "rekey", remove)
    if not left:
        done = runner.step("remove key", "rekey", lambda: work.remove(known, keys, expected))
        removed = done.removed
    others = work.others()
    services.catalogue.runs.finish(
        runner.owned,
        RunState.INTERRUPTED if left else RunState.SUCCEEDED,
        at=services.clock.now(),
        error=f"the run waits for a change of the plan: {'; '.join(left)}" if left else None,
        detail=RekeyDetail(removed=removed),
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


def _tried(
    works: tuple[_Rekeying, _Rekeying | None], candidates: Sequence[SecretRef]
) -> RekeyStepResult:
    """Find which known passwords open the repository, and the repository of its logs."""
    work, logs = works
    tried = work.try_candidates(candidates)
    if logs is None:
        return tried
    keys = [*tried.keys, *logs.try_candidates(candidates).keys]
    return replace(tried, keys=keys, seal=work.seal(keys) if keys else "")


def _added_to_logs(runner: Runner, logs: _Rekeying) -> str:
    """Give the repository of the logs the new password; return the id of this repository."""
    expected = confirm(runner.services, logs.opened(logs.old[0] if logs.old else logs.new))
    runner.step("add key to the logs", "rekey", lambda: logs.add(logs.old))
    runner.step("prove key of the logs", "rekey", lambda: logs.prove(expected))
    return expected


def _wait(services: Services, runner: Runner, missing: MissingCopies, *, waits: bool) -> list[str]:
    """Return what is missing at the end: nothing if it waited."""
    left = list(missing())
    if not left or not waits:
        return left

    def effect() -> RekeyStepResult:
        services.warn(
            "drd waits until the plan names the new password. You may press Ctrl-C: both passwords "
            "open the repository, and the same command continues later"
        )
        told: list[str] = []
        while left := list(missing()):
            if left != told:
                services.warn(f"drd is waiting until {'; and '.join(left)}")
                told = left
            process.check_cancelled()
            time.sleep(POLL_S)
        return RekeyStepResult()

    runner.step("wait for plan", "rekey", effect)
    return []


def _named_before(plan: Plan, spec: RepositorySpec, earlier: Earlier) -> SecretRef | None:
    """The new password of an earlier try, if the plan names it; None if there was none. Raises
    UsageError if the plan does not: the state proves nothing."""
    if earlier.to is None:
        return None
    named = (spec.password, *(s.password for s in plan.repositories.values()))
    reference = next((r for r in named if digest_of(r) == earlier.to), None)
    if reference is None:
        raise UsageError(
            f"{plan.file} does not name the new password that an earlier try gave repository "
            f"{spec.name}",
            hint="give the reference to that password again: --password '{credential: NAME}'.",
        )
    return reference


def _sealed(
    services: Services, work: _Rekeying, earlier: Earlier, tried: Sequence[str]
) -> list[str]:
    """Return the keys of earlier tries that were sealed with the new password."""
    sealed_keys: list[str] = []
    for keys, seal in earlier.keys:
        if hmac.compare_digest(work.seal(keys), seal):
            sealed_keys += keys
        elif not set(keys) <= set(tried):
            services.warn(
                f"drd did not remove {noun(len(keys), 'key')} {', '.join(k[:8] for k in keys)}, "
                "which an earlier try added, because drd does not know the password of that try. "
                "To remove the key, run the command again with --old-password and a reference to "
                "the password of that try"
            )
    return sealed_keys
