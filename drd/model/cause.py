"""Why something did not succeed: the fact and its remedy, separately. Where they are shown, they
become one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from drd.model.text import in_one_line, without_output


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run or a step ended without a result: the fact, a code if code depends on it, and the
    remedy. The fact is one line, or more if it ends with the output of a program; the remedies of
    several facts are a line each.
    """

    text: str
    code: str = ""
    remedy: str = ""

    def of(self, subject: str) -> Cause:
        """Return the same cause with a `subject`: a component, a point, a step."""
        return replace(self, text=f"{subject}: {self.text}")

    @property
    def shown(self) -> str:
        """The fact, and the remedies in lines of their own below it."""
        return with_remedy(self.text, self.remedy)

    @property
    def line(self) -> str:
        """The fact and the remedies in one line, for logs and tables."""
        return in_one_line(self.shown)

    @property
    def logged(self) -> dict[str, str]:
        """The keys of an event in the log, without those that are empty."""
        keys = {"why": self.text, "code": self.code, "remedy": self.remedy}
        return {key: text for key, text in keys.items() if text}


STOPPED = Cause("the service was stopped", "service-stopped")
"""The cause of a run that ended because the daemon was stopped."""

PROCESS_DIED = Cause("the process that did this run died")
"""The cause of a run whose process ended without a result, if the cause is not known."""


def with_remedy(fact: str, remedy: str | None) -> str:
    """Return a recorded fact with its remedies in separate lines, for people."""
    return "\n".join([fact, *(f"remedy: {line}" for line in (remedy or "").splitlines())])


def joined(causes: Mapping[str, Cause]) -> Cause | None:
    """Join the causes of several things, by name, into one cause; None if there are none."""
    if not causes:
        return None
    named = [cause.of(name) for name, cause in causes.items()]
    remedies = "\n".join(cause.remedy for cause in named if cause.remedy)
    output = [line for cause in named for line in cause.text.splitlines()[1:]]
    facts = "; ".join(without_output(cause.text) for cause in named)
    return Cause("\n".join([facts, *output]), remedy=remedies)
