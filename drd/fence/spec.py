"""The specification of a fence, passed in arguments of a command line: none of it is secret."""

from __future__ import annotations

import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_LONGEST = 100_000
"""The kernel refuses a longer argument than 131,071 bytes."""

MOST = 1_500_000
"""The length of all arguments together: the kernel refuses 2 MiB of them with the environment."""


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

    def to_arguments(self) -> list[str]:
        text = marshal.dumps(self.__dict__).hex()
        return [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Spec:
        return cls(**marshal.loads(bytes.fromhex("".join(arguments))))  # noqa: S302 - our own, a moment ago
