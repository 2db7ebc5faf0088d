"""The kept copies of a component, until the operator is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from drd.model.aside import Aside
from drd.model.restored import Usage


class KeptCopies(Protocol):
    """The kept copies of one component of one run. Everything is read from the names at the place
    itself, so that no files of the run are needed. Raises TargetError with the words of the place.
    """

    def held(self) -> list[Aside]: ...

    def require_exchangeable(self, *, back: bool) -> None:
        """Raise TargetError if `swap` cannot do its work now, because what it would exchange is in
        use or may not be changed. Changes nothing, and ignores places that have the wanted state
        already."""

    def swap(self, *, back: bool) -> Sequence[str] | None:
        """Exchange the kept copy and what is at its place: with `back` the state before the
        recovery takes the place, else the state that the recovery restored. Nothing changes when
        the place has that state already. After a kill, calling it again completes it. Returns
        sentences about what a person has to bring to that state by hand."""

    def discard(self) -> None:
        """Remove the kept copies. Raises TargetError while a swap is half done."""

    def close(self) -> None: ...


@runtime_checkable
class KnowsUsers(Protocol):
    """Kept copies that know which programs use them, or use what is at their place."""

    def in_use(self) -> list[Usage]:
        """Return the programs that use what `swap` would exchange; programs that have a kept copy
        open use `former` data. It changes nothing."""
