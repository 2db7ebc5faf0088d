"""Measure a first backup against the same dump streamed directly into restic; and drd's own
memory.
"""

from __future__ import annotations

from bench import measure
from bench.table import Row, cpu, mb
from bench.workshop import Workshop

_ALLOWED_RATIO = 1.05
_ALLOWED_START_S = 2.5
_ALLOWED_MEMORY = 120 * 1000 * 1000

_BASELINE = 'pg_dump -Fc -Z0 -d "$1" | restic backup -q --stdin --stdin-filename shop.dump'


def rows(workshop: Workshop, size: str, times: int, *, ratio: float = _ALLOWED_RATIO) -> list[Row]:
    """Measure both sides; each run stores into a new repository that is initialised already."""

    def ours() -> measure.Run:
        repository = workshop.new_repository()
        done = workshop.drd("backup", workshop.new_plan(repository), memory=True)
        workshop.remove(repository)
        return done

    def theirs() -> measure.Run:
        repository = workshop.new_repository()
        done = workshop.bash(_BASELINE, workshop.restic(repository), [workshop.conninfo])
        workshop.remove(repository)
        return done

    left, right = measure.in_turn(ours, theirs, times)
    drd, plain = measure.seconds(left), measure.seconds(right)
    allowed = ratio * plain + _ALLOWED_START_S
    peak = max(run.peak_bytes for run in left)
    return [
        Row(
            f"backup, {size}, against pg_dump | restic",
            f"{drd:.2f} s",
            f"{plain:.2f} s",
            drd / plain,
            f"<= {allowed:.2f} s ({ratio}x + 2.5 s)",
            drd <= allowed,
        ),
        *cpu("it", left, right),
        Row(
            f"  drd's own memory in it, {size}",
            mb(peak),
            "",
            None,
            f"<= {mb(_ALLOWED_MEMORY)}",
            0 < peak <= _ALLOWED_MEMORY,
        ),
    ]
