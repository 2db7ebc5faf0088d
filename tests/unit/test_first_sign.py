"""The first sign of an incident: the earliest known time, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drd.model.incidents.first_sign import INDICATOR, OPENED, FirstSign, first_sign
from drd.model.incidents.incident import Incident
from drd.model.incidents.indicators import IndicatorType, Value
from drd.model.incidents.investigation import Indicator, Investigation

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def indicator(entry: int, seen: datetime | None, *, withdrawn: bool = False) -> Indicator:
    value = Value(next(iter(IndicatorType)), "x")
    return Indicator(entry, "h", NOON, NOON, "anna", value, seen=seen, withdrawn=withdrawn)


@pytest.mark.parametrize(
    ("sign", "words"),
    [
        (FirstSign(NOON, INDICATOR, 5), "the indicator of entry 5 was seen then"),
        (FirstSign(NOON, OPENED), "the incident was opened then, and no earlier sign is recorded"),
        (FirstSign(NOON, "occurred"), "moment occurred"),
    ],
)
def test_a_first_sign_is_told_with_what_happened_then(sign: FirstSign, words: str) -> None:
    assert sign.words() == f"2026-11-28 12:00:00 UTC ({words})"


def test_withdrawn_indicators_and_unknown_times_are_no_signs() -> None:
    nothing = Incident(1)
    assert first_sign(nothing, Investigation()) is None
    found = Investigation(
        indicators=(
            indicator(4, NOON - 2 * HOUR, withdrawn=True),
            indicator(5, None),
            indicator(6, NOON - HOUR),
        )
    )
    seen = FirstSign(NOON - HOUR, INDICATOR, 6)
    assert first_sign(nothing, found) == seen
    assert first_sign(replace(nothing, opened_at=NOON), found) == seen
    earlier = NOON - 3 * HOUR
    assert first_sign(replace(nothing, opened_at=earlier), found) == FirstSign(earlier, OPENED)
