"""The fence between the data's own code and the host, in one drill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PARTS = ("files", "signals", "calls", "network")
"""All parts of a complete fence (docs/sandbox.md)."""


@dataclass(frozen=True, slots=True)
class RefusedAccess:
    """A refused access of a fenced command to something outside: what (tcp, dns, socket, …), and
    the destination, if it is known.
    """

    by: str
    what: str
    to: str

    @property
    def words(self) -> str:
        return f"{self.by}: {self.what} {self.to}".rstrip()


@dataclass(frozen=True, slots=True)
class FenceReport:
    """The fence of one drill. `held` are the parts that were active, `missing` the other parts with
    the reason. `fenced` names what ran behind the fence; `reach` and `read` are what the plan had
    declared.
    """

    held: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    limits: str = "rlimits"
    fenced: tuple[str, ...] = ()
    reach: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    tried: tuple[RefusedAccess, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not self.missing

    def words(self) -> str:
        """Return the fence in words for people."""
        if not self.held:
            return f"unfenced: {listed(self.missing)}"
        names = f"{parts_in_words(self.held)} ({limits_in_words(self.limits)})"
        return f"active: {names}; missing: {listed(self.missing)}" if self.missing else names

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON; `from_json` is the inverse."""
        return {
            "held": list(self.held),
            "missing": dict(self.missing),
            "limits": self.limits,
            "fenced": list(self.fenced),
            "reach": list(self.reach),
            "read": list(self.read),
            "tried": [{"by": a.by, "what": a.what, "to": a.to} for a in self.tried],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FenceReport:
        return cls(
            held=tuple(data["held"]),
            missing=dict(data["missing"]),
            limits=data["limits"],
            fenced=tuple(data["fenced"]),
            reach=tuple(data["reach"]),
            read=tuple(data["read"]),
            tried=tuple(RefusedAccess(a["by"], a["what"], a["to"]) for a in data["tried"]),
        )


_IN_WORDS = {"calls": "dangerous system calls", "signals": "signals to processes"}
"""Words for the parts whose names alone do not say what they prevent in a drill."""


def parts_in_words(parts: Iterable[str]) -> str:
    """Describe parts of the fence by what a drill then cannot use of the host."""
    return ", ".join(_IN_WORDS.get(part, part) for part in parts)


def limits_in_words(limits: str) -> str:
    """Describe what limits the memory of a drill, and what does not limit it."""
    if limits == "rlimits":
        return (
            "memory limited only per process, not in total and not for shared memory, because "
            "there is no control group"
        )
    return "memory and processes limited by a control group"


def listed(missing: Mapping[str, str]) -> str:
    """List the missing parts, each with the reason."""
    return "; ".join(f"{part}: {why}" for part, why in missing.items())
