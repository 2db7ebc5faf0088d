"""The specification of a fence, passed as one argument of a command line: none of it is secret."""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Spec:
    """`reads` may be read and executed, `writes` also changed, all by their real paths; `devices`
    are files of /dev. `parts` are the parts of a fence to set up; if one fails, the command does
    not start. `reach` has addresses with ports and the host's names. `user` as uid, gid and groups;
    `groups` are control groups to join. `record` is the number of the record's descriptor.
    """

    argv: tuple[str, ...]
    by: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    devices: tuple[str, ...]
    sockets: tuple[str, ...]
    reach: tuple[tuple[str, int, str], ...]
    parts: tuple[str, ...]
    record: int
    death_signal: int
    user: tuple[int, int, tuple[int, ...]] | None
    kept_capabilities: int
    memory_bytes: int | None
    processes: int | None
    lifetime_s: float | None
    groups: tuple[str, ...]

    def __init__(self, **given: Any) -> None:
        for name in Spec.__annotations__:
            setattr(self, name, given[name])

    def to_text(self) -> str:
        return marshal.dumps(self.__dict__).hex()

    @classmethod
    def from_text(cls, text: str) -> Spec:
        return cls(**marshal.loads(bytes.fromhex(text)))  # noqa: S302 - our own, a moment ago
