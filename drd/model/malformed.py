"""The error of parsers."""

from __future__ import annotations


class Malformed(ValueError):
    """A malformed value: the `fact`, and the `remedy` without a full stop."""

    def __init__(self, fact: str, remedy: str = "") -> None:
        super().__init__(f"{fact}; {remedy}" if remedy else fact)
        self.fact = fact
        self.remedy = remedy

    def hint(self, otherwise: str = "") -> str:
        """Return the remedy as a sentence; `otherwise` if the parser knows none."""
        remedy = self.remedy or otherwise
        return remedy if remedy.endswith("?") else f"{remedy}."

    @classmethod
    def of(cls, error: Exception) -> Malformed:
        """Convert any error of a parser; errors of other classes get no remedy."""
        return error if isinstance(error, cls) else cls(str(error))
