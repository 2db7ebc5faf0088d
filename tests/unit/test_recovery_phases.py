"""How the time of a recovery is divided: every second belongs to one phase."""

from __future__ import annotations

from drd.model.recovery_phases import Span, split

NONE = {"fetch_s": 0.0, "restore_s": 0.0, "validate_s": 0.0}


def test_time_without_work_is_idle() -> None:
    assert split([], 10, 15, idle="decide") == {"decide_s": 5.0, **NONE}
    assert split([], 10, 10, idle="decide") == NONE
    assert split([Span("fetch", 8, 12)], 10, 9, idle="decide") == NONE


def test_phases_add_up_to_the_whole() -> None:
    spans = [
        Span("fetch", 1, 4),
        Span("restore", 3, 6),
        Span("validate", 8, 9),
        Span("serve", 9, 10),
    ]
    assert split(spans, 0, 10, idle="decide") == {
        "decide_s": 3.0,
        "fetch_s": 3.0,
        "restore_s": 2.0,
        "validate_s": 1.0,
        "serve_s": 1.0,
    }


def test_where_phases_overlap_the_first_in_precedence_counts() -> None:
    every = [
        Span(p, 0, 6 - n)
        for n, p in enumerate(("detect", "decide", "serve", "validate", "restore", "fetch"))
    ]
    assert split(every, 0, 6, idle="decide") == {
        "detect_s": 1.0,
        "decide_s": 1.0,
        "fetch_s": 1.0,
        "restore_s": 1.0,
        "validate_s": 1.0,
        "serve_s": 1.0,
    }


def test_work_outside_of_the_time_does_not_count() -> None:
    spans = [
        Span("fetch", -5, 1),
        Span("serve", 9, 15),
        Span("restore", 11, 12),
        Span("serve", 3, 3),
    ]
    assert split(spans, 0, 10, idle="decide") == {
        "decide_s": 8.0,
        "fetch_s": 1.0,
        "restore_s": 0.0,
        "validate_s": 0.0,
        "serve_s": 1.0,
    }


def test_seconds_are_rounded_to_thousandths() -> None:
    for took_s, shown in ((1.00049, 1.0), (1.2344, 1.234)):
        assert split([Span("fetch", 0, took_s)], 0, took_s, idle="serve")["fetch_s"] == shown
