"""A recovery kit that several people open together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from drd.model.malformed import Malformed


@dataclass(frozen=True, slots=True)
class Sharing:
    """The number of shares `needed` to open a kit, and the number that exist."""

    needed: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Sharing:
        """Parse `3/5`. Raises ValueError."""
        match = re.fullmatch(r"(\d{1,2})\s*/\s*(\d{1,2})", text.strip())
        if match is None or not 2 <= int(match[1]) <= int(match[2]):
            raise Malformed(
                f'"{text}" is not a valid number of shares',
                "write a number like 3/5: any three of five people can open the kit",
            )
        return cls(int(match[1]), int(match[2]))
