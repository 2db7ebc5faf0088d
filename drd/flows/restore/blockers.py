"""Collect what blocks a recovery: all of it is reported at once, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from drd.errors import DrdError, TargetError
from drd.flows.component_names import remedy_with_names
from drd.model.down import stop_first
from drd.model.plan import Plan
from drd.ports import Finding

_MOST_SPECIFIC = (12, 10, 13, 11, 2)
"""Exit codes, the most specific first: a wrong key, no repository, no point, a lock, usage."""


@contextmanager
def before_changes() -> Iterator[None]:
    """Mark the errors of the body as raised before any change."""
    try:
        yield
    except DrdError as error:
        error.untouched = True
        raise


class Blockers:
    """Collects the errors of several checks before `what` begins. The remedies about components of
    `plan` get their names."""

    def __init__(self, what: str = "recovery", plan: Plan | None = None) -> None:
        self._what = what
        self._plan = plan
        self._errors: list[DrdError] = []
        self._about: dict[int, str] = {}

    def collect(self, check: Callable[[], Iterable[Finding]], about: str = "") -> list[Finding]:
        """Run a check and return its result; keep its error, so that the next check runs as well.
        `about` is the component; the error begins with it."""
        before = len(self._errors)
        try:
            return self._run(check)
        finally:
            self._about |= dict.fromkeys(range(before, len(self._errors)), about)
            for error in self._errors[before:]:
                if self._plan is not None and about:
                    error.hint = remedy_with_names(error.hint, self._plan, about)

    def _run(self, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
        try:
            findings = list(check())
        except DrdError as error:
            self._errors.append(error)
            return []
        self._errors += [TargetError(f.text, hint=f.remedy) for f in findings if f.failed]
        return findings

    def kept(self, attempt: Callable[[], None], about: str = "") -> None:
        """The same for a check without a result."""
        try:
            attempt()
        except DrdError as error:
            self._about[len(self._errors)] = about
            self._errors.append(error)

    @property
    def none(self) -> bool:
        return not self._errors

    def refuse(self) -> None:
        """Raise the collected errors: a single error unchanged, several as one TargetError. Nothing
        was changed before."""
        if self._errors:
            with before_changes():
                raise joined(self._errors, self._about, self._what)


def joined(
    errors: Sequence[DrdError], about: Mapping[int, str], what: str = "recovery"
) -> DrdError:
    """Return one error that contains all errors, each with its remedy. Its exit code is the most
    specific of their exit codes (docs/commands.md)."""
    if len(errors) == 1:
        return errors[0]
    whole = _whole(errors, about, what)
    whole.exit_code = next(
        (code for code in _MOST_SPECIFIC if any(e.exit_code == code for e in errors)),
        TargetError.exit_code,
    )
    return whole


def _whole(errors: Sequence[DrdError], about: Mapping[int, str], what: str) -> TargetError:
    facts = dict.fromkeys(_named(e.message, about.get(n, "")) for n, e in enumerate(errors))
    hint = "\n".join(_hints(errors, about))
    if len(facts) == 1:
        return TargetError(next(iter(facts)), hint=hint)
    message = f"{len(facts)} problems block this {what}:"
    return TargetError(
        "\n  ".join([message, *facts]), hint=hint, line=f"{message} {'; '.join(facts)}"
    )


def _hints(errors: Sequence[DrdError], about: Mapping[int, str]) -> list[str]:
    """Return each remedy once: of several, one that is for a single component has its name. All
    units that must be stopped first are in one command."""
    units = dict.fromkeys(unit for error in errors for unit in _units(error))
    for_whom: dict[str, list[str]] = {}
    for n, error in enumerate(errors):
        hint = stop_first([*units]) if _units(error) else error.hint
        if hint:
            for_whom.setdefault(hint, []).append(about.get(n, ""))
    alone = len(for_whom) == 1
    return [h if alone or len(whom) > 1 else _named(h, whom[0]) for h, whom in for_whom.items()]


def _units(error: DrdError) -> tuple[str, ...]:
    return error.units if isinstance(error, TargetError) else ()


def _named(fact: str, about: str) -> str:
    return f"{about}: {fact}" if about else fact
