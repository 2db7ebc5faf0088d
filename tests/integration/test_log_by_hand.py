"""How a person without drd chooses the snapshots of a log, and puts them in order."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from drd.kinds.server_logs import NEEDED, SUBTREE
from drd.model.log import LogBatch, LogMark, LogTarget, ranges

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def _batch(number: int, begin: int, end: int) -> LogBatch:
    return LogBatch(f"{number:x}-{end:x}", "server", "7", number, begin, LogMark(end, 1, NOW))


def _chosen(batches: list[LogBatch], start: int, seed: int = 0) -> list[str]:
    listed = [
        {
            "id": batch.snapshot,
            "time": f"2026-11-30T00:{59 - index}:00Z",  # the clock was set back each time
            "paths": [f"/work{batch.number}/push"],
            "tags": replace(batch, snapshot="").tags("shop"),
        }
        for index, batch in enumerate(batches)
    ]
    random.Random(seed).shuffle(listed)
    done = subprocess.run(
        ["jq", "-r", "--arg", "from", f"{start:x}", f"{NEEDED} | .[] | {SUBTREE}"],
        input=json.dumps(listed),
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("start", [1, 0xFE0, 0xFE1, 0xFFF, 0x1001, 0x1002, 0x10000])
def test_a_person_fetches_what_a_replay_of_drd_fetches(seed: int, start: int) -> None:
    batches = [
        _batch(9, 1, 0xFE0),
        _batch(0x10, 0xFE0, 0xFFF),
        _batch(0x10, 0xFE0, 0x1000),
        _batch(0x10, 0xFE0, 0x1001),
        _batch(0xFF, 0x1000, 0x1002),
        _batch(0x100, 0x1002, 0x10000),
    ]
    [part] = ranges(batches)
    expected = [
        f"{b.snapshot}:/work{b.number}/push" for b in part.up_to(start, LogTarget()) if b.snapshot
    ]
    assert _chosen(batches, start, seed) == expected


def test_thirty_pushes_of_a_batch_are_one_snapshot() -> None:
    former = [_batch(1, 0, 16 * n) for n in range(1, 90)]
    pushed = [_batch(2, 1424, 2000 + n) for n in range(30)]
    assert _chosen([*former, *pushed], 1500) == ["2-7ed:/work2/push"]


def test_no_snapshot_is_needed_if_the_log_ends_before_the_backup() -> None:
    assert _chosen([_batch(1, 0, 16)], 17) == []
    assert _chosen([], 0) == []
