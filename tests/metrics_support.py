"""Figures for the tests of metrics: everything that drd can say, at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from drd.metrics import DaemonFigures, render
from drd.model.compliance import assess
from drd.model.figures import (
    AlertFigures,
    CatalogueFigures,
    CopyFigures,
    IncidentFigures,
    RunFigures,
    VerificationFigures,
)
from drd.model.verdicts import Assessment
from tests.status_support import NOW, healthy

STARTED = NOW - timedelta(days=3)


def daemon(at: datetime = NOW) -> DaemonFigures:
    return DaemonFigures(
        version="0.1.0",
        started_at=at - (NOW - STARTED),
        at=at,
        tick_duration_s=0.012,
        running={"backup": 2},
        queued=1,
        channels={"webhook": True, "smtp": False},
    )


def rendered(of: Sequence[Assessment], about: DaemonFigures, beside: CatalogueFigures) -> bytes:
    return b"".join(render(of, about, beside))


def kept(now: datetime = NOW) -> CatalogueFigures:
    minute = timedelta(minutes=1)
    return CatalogueFigures(
        runs=(
            RunFigures("orders-api", "backup", "", now - 4 * minute, now - 4 * minute, "succeeded",
            12.5, 1000, 0),
            RunFigures("orders-api", "copy", "second", now - minute, now - 60 * minute, "failed",
            3.0, 900, 2),
            RunFigures("orders-api", "prune", "primary", None, None, None, None, None, 0),
        ),
        copies=(
            CopyFigures("orders-api", "second", now - 64 * minute),
            CopyFigures("orders-api", "third", None),
        ),
        verifications=(
            VerificationFigures("orders-api", "primary", now - 1440 * minute, damaged=False),
            VerificationFigures("orders-api", "second", None, damaged=True),
        ),
        alerts=(
            AlertFigures("orders-api", "copy-behind", "warning", "firing", 1),
            AlertFigures("", "clock-jumped", "warning", "acknowledged", 1),
        ),
        incidents=(
            IncidentFigures(3, "contained", "high", False, now + 60 * minute),
            IncidentFigures(4, "reported", "", True, None),
        ),
    )  # fmt: skip


def plans() -> Sequence[Assessment]:
    return [assess(healthy(), NOW)]


def shifted(now: datetime) -> Sequence[Assessment]:
    """The healthy plan, as if it was assessed at `now`."""
    return [assess(_later(healthy(), now - NOW), now)]


def _later(facts: Any, by: timedelta) -> Any:
    """Facts in which everything happened so much later."""
    if isinstance(facts, datetime):
        return facts + by
    if not isinstance(facts, tuple):
        return facts
    moved = [_later(each, by) for each in facts]
    return type(facts)(*moved) if hasattr(facts, "_fields") else tuple(moved)


class Read:
    """A text of figures as Prometheus would read it."""

    def __init__(self, text: bytes) -> None:
        self.families = list(text_string_to_metric_families(text.decode()))

    @property
    def names(self) -> set[str]:
        return {family.name for family in self.families}

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of a metric, by the values of their labels in the labels' order."""
        found = {}
        for sample in (s for f in self.families if f.name == name for s in f.samples):
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert labels not in found
            found[labels] = sample.value
        return found

    def one(self, name: str) -> float | None:
        """The only sample of a metric; None when there is none."""
        samples = list(self.of(name).values())
        assert len(samples) <= 1
        return samples[0] if samples else None

    def holds(self, name: str) -> set[tuple[str, ...]]:
        """The labels of those samples that are 1, all others being 0."""
        samples = self.of(name)
        assert set(samples.values()) <= {0.0, 1.0}
        return {labels for labels, value in samples.items() if value == 1.0}
