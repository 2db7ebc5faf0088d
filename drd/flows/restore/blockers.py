"""Collect what blocks a recovery: all of it is reported at once, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from drd.errors import DrdError, TargetError
from drd.ports import Finding


class Blockers:
    """Collects the errors of several checks."""

    def __init__(self) -> None:
        self._errors: list[DrdError] = []
        self._about: dict[int, str] = {}

    def collect(self, check: Callable[[], Iterable[Finding]], about: str = "") -> list[Finding]:
        """Run a check and return its result; keep its error, so that the next check runs as well.
        `about` is the component, which stands before the error."""
        before = len(self._errors)
        try:
            return self._run(check)
        finally:
            self._about |= dict.fromkeys(range(before, len(self._errors)), about)

    def _run(self, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
        try:
            findings = list(check())
        except DrdError as error:
            self._errors.append(error)
            return []
        self._errors += [TargetError(f.text, hint=f.remedy) for f in findings if f.failed]
        return findings

    def kept(self, attempt: Callable[[], None]) -> None:
        """The same for a check without a result."""
        try:
            attempt()
        except DrdError as error:
            self._errors.append(error)

    @property
    def none(self) -> bool:
        return not self._errors

    def refuse(self) -> None:
        """Raise the collected errors: one as it is, several as one TargetError."""
        if self._errors:
            raise joined(self._errors, self._about)


def joined(errors: Sequence[DrdError], about: Mapping[int, str]) -> DrdError:
    """One error that contains all of them, each with its remedy."""
    if len(errors) == 1:
        return errors[0]
    facts = dict.fromkeys(_named(e.message, about.get(n, "")) for n, e in enumerate(errors))
    hints = dict.fromkeys(e.hint for e in errors if e.hint)
    hint = "\n".join(hints)
    if len(facts) == 1:
        return TargetError(next(iter(facts)), hint=hint)
    message = f"{len(facts)} problems block this recovery:"
    return TargetError(
        "\n  ".join([message, *facts]), hint=hint, line=f"{message} {'; '.join(facts)}"
    )


def _named(fact: str, about: str) -> str:
    return f"{about}: {fact}" if about else fact
