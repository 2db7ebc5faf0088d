"""restic and the program whose output it stores keep to the limits of a component."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.model.limits import Limits
from drd.ports import Stream
from drd.process import Command
from drd.repositories.restic import runner as running
from tests.repository_support import founded_anywhere, local_repository

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_backup_and_a_fetch_keep_to_rates_and_priority(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = founded_anywhere(local_repository(tmp_path), request)
    seen: list[Command] = []
    real = running.process.gated_pipe

    def pipe(producer: Command, consumer: Command, **more: object) -> object:
        seen.extend((producer, consumer))
        return real(producer, consumer, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(running.process, "gated_pipe", pipe)
    limits = Limits(upload=64 << 20, download=32 << 20, nice=10, ionice="idle")
    # The program says at which priority it runs.
    says = Command(["sh", "-c", "cut -d' ' -f19 /proc/self/stat; ionice"], name="says")
    stored = repository.store(Stream(says, "said"), host="h", tags=["drd"], time=AT, limits=limits)
    (into := tmp_path / "into").mkdir()
    repository.restore(stored.snapshot, into, limits=limits)
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert (into / "said").read_text().split() == [str(min(19, mine + 10)), "idle"]
    producer, consumer = seen
    assert producer.title == "says"
    words = [str(word) for word in consumer.argv]
    assert words[:3] == ["nice", "-n", "10"]
    assert {"--limit-upload=65536", "--limit-download=32768"} <= set(words)
