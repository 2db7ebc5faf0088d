"""Which incident a command is about."""

from __future__ import annotations

from drd.errors import UsageError
from drd.model.text import some
from drd.ports import Catalogue


def chosen(catalogue: Catalogue, number: int | None) -> int:
    """Return the number; without a number, the number of the only open incident. Raises UsageError
    if there is none, or if there are several."""
    if number is not None:
        return number
    numbers = catalogue.incidents.open_numbers()
    if not numbers:
        raise UsageError(
            "no incident is open", hint='to open an incident: drd incident open "TITLE"'
        )
    if len(numbers) > 1:
        raise UsageError(
            f"{len(numbers)} incidents are open: {some(numbers, 10)}",
            hint="give the number of the incident first; to see them: drd incident list",
        )
    return numbers[0]
