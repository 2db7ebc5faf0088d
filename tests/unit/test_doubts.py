"""What is said of an incident with entries that cannot be read or were changed."""

from __future__ import annotations

import pytest

from drd.model.incidents.doubts import doubts, unread
from drd.model.incidents.incident import Incident


@pytest.mark.parametrize(("sealed", "words"), [(1, "1 entry"), (2, "2 entries")])
def test_encrypted_entries_are_counted_with_the_command_that_reads_them(
    sealed: int, words: str
) -> None:
    incident = Incident(4, sealed=sealed)
    told = f"{words} of incident 4 cannot be read on this host, so drd may not know all deadlines"
    assert unread(incident) == told
    assert list(doubts(incident, ())) == [
        f"{told}. To read encrypted entries: drd records unseal --identity FILE"
    ]


@pytest.mark.parametrize(
    ("changed", "begin"),
    [
        ((3,), "entry 3 was changed after it was recorded, so drd ignores"),
        ((3, 5), "entries 3, 5 were changed after they were recorded, so drd ignores"),
    ],
)
def test_changed_entries_are_named(changed: tuple[int, ...], begin: str) -> None:
    [told] = doubts(Incident(4), changed)
    assert told.startswith(begin)
    assert told.endswith("To check the records: drd records verify")


def test_ten_changed_entries_are_named_and_the_others_counted() -> None:
    [ten] = doubts(Incident(4), range(1, 11))
    assert ten.startswith("entries 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 were")
    [eleven] = doubts(Incident(4), range(1, 12))
    assert " 10 " in eleven
    assert "11 were" not in eleven


def test_an_incident_that_can_be_read_as_it_was_written_has_no_doubts() -> None:
    assert unread(Incident(4)) == ""
    assert list(doubts(Incident(4), ())) == []
