"""How a person without drd puts the snapshots of a log in order."""

from __future__ import annotations

import json
import random
import subprocess
from datetime import UTC, datetime

import pytest

from drd.kinds.server_logs import IN_ORDER, SUBTREE
from drd.model.log import LogBatch, LogMark

NOW = datetime(2026, 11, 30, tzinfo=UTC)
BATCHES = [(9, 0xFE0), (0x10, 0xFFF), (0x10, 0x1000), (0x10, 0x1001), (0xFF, 0x1002), (0x100, 1)]
"""In the order of the log: numbers of batches, and their ends."""


@pytest.mark.parametrize("seed", range(5))
def test_snapshots_of_a_log_are_put_in_order_whatever_their_times_are(seed: int) -> None:
    listed = [
        {
            "id": f"{number:x}-{end:x}",
            "time": f"2026-11-30T00:{59 - index}:00Z",  # the clock was set back each time
            "paths": [f"/work{index}/push"],
            "tags": LogBatch("", "server", "7", number, 0, LogMark(end, 1, NOW)).tags("shop"),
        }
        for index, (number, end) in enumerate(BATCHES)
    ]
    random.Random(seed).shuffle(listed)
    done = subprocess.run(
        ["jq", "-r", f"{IN_ORDER} | .[] | {SUBTREE}"],
        input=json.dumps(listed),
        capture_output=True,
        check=True,
        text=True,
    )
    expected = [f"{number:x}-{end:x}:/work{i}/push" for i, (number, end) in enumerate(BATCHES)]
    assert done.stdout.split() == expected
