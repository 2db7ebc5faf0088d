"""Do the same work in several repositories: an error in one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from drd.cli import output
from drd.errors import DrdError

T = TypeVar("T")


@dataclass
class Done(Generic[T]):
    """What was done, in order, and, by repository, why something failed."""

    outcomes: list[T] = field(default_factory=list)
    errors: dict[str, DrdError] = field(default_factory=dict)

    def exit_code(self, *more: DrdError | None) -> int:
        """Return the exit code of the first error, of these or in an outcome."""
        bad = [error for error in (*self.errors.values(), *more) if error is not None]
        return bad[0].exit_code if bad else 0

    def errors_document(self) -> list[dict[str, Any]]:
        return [
            {
                "repository": name,
                **output.error_document(error.message, error.hint, error.exit_code),
            }
            for name, error in self.errors.items()
        ]

    def complain(self) -> None:
        for name, error in self.errors.items():
            output.complain(f"repository {name}: {error.message}", error.hint)


def each(names: Iterable[str], do: Callable[[str], T]) -> Done[T]:
    """Call `do` with each name. Raises the error if there is only one name."""
    names = list(names)
    done: Done[T] = Done()
    for name in names:
        try:
            done.outcomes.append(do(name))
        except DrdError as error:
            if len(names) == 1:
                raise
            done.errors[name] = error
    return done
