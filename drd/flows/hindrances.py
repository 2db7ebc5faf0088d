"""What stands in the way of a recovery: all of it is told at once, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from drd.errors import DrdError, TargetError
from drd.ports import Finding


class Hindrances:
    """Collects what went wrong while several things were looked at."""

    def __init__(self) -> None:
        self._errors: list[DrdError] = []

    def tried(self, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
        """What was found; an error is kept, so that the next thing is looked at all the same."""
        try:
            found = list(look())
        except DrdError as error:
            self._errors.append(error)
            return []
        self._errors += [TargetError(f.detail, hint=f.hint) for f in found if not f.ok]
        return found

    def kept(self, attempt: Callable[[], None]) -> None:
        """The same for what finds nothing when it goes well."""
        try:
            attempt()
        except DrdError as error:
            self._errors.append(error)

    @property
    def none(self) -> bool:
        return not self._errors

    def refuse(self) -> None:
        """Raise what was found: one error as it is, several as one TargetError."""
        if self._errors:
            raise joined(self._errors)


def joined(errors: Sequence[DrdError]) -> DrdError:
    """One error that tells them all, each with its remedy."""
    if len(errors) == 1:
        return errors[0]
    facts = dict.fromkeys(e.message for e in errors)
    hints = dict.fromkeys(e.hint for e in errors if e.hint)
    message = f"{len(facts)} things stand in the way of this recovery:"
    return TargetError(
        "\n  ".join([message, *facts]) if len(facts) > 1 else next(iter(facts)),
        hint="\n      ".join(hints),
    )
