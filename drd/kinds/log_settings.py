"""The key of a plan about the log of a server that drd receives."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from drd.fields import Contradiction, Duration, Settings

_SHORTEST_S = 5.0


class LogSettings(Settings):
    """drd receives the log of the server all the time, and stores it between the backups."""

    every: Duration = Field(
        30.0,
        description="How often drd stores the received log in the repository. At least 5s. "
        "If the server is lost, you lose at most the data of one interval, and of the time that "
        "storing it takes.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.every < _SHORTEST_S:
            text = f"is {self.every:g}s: storing the log itself takes a few seconds"
            yield Contradiction(("every",), text, "write at least 5s.")


def within(key: str, settings: LogSettings | None) -> Iterator[Contradiction]:
    """Yield what is wrong with the settings of a log, which are below this key of a component."""
    for contradiction in settings.contradictions() if settings is not None else ():
        yield contradiction._replace(path=(key, *contradiction.path))
