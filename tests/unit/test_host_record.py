"""The facts about the host, which the daemon's loop and its monitor change at the same time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from drd.daemon.host_record import HostRecord

CHANGES = 3000


@pytest.fixture(autouse=True)
def threads_that_switch_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_changes_of_two_threads_at_the_same_time_are_all_kept() -> None:
    record = HostRecord()
    lost: list[str] = []

    def in_turn(name: str) -> Callable[[], None]:
        def change() -> None:
            for number in range(CHANGES):
                record.change(**{name: str(number)})
                if getattr(record.facts, name) != str(number):
                    lost.append(f"{name} {number}")

        return change

    names = ("catalogue_error", "state_wrong", "contested")
    threads = [threading.Thread(target=in_turn(name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert [getattr(record.facts, name) for name in names] == [str(CHANGES - 1)] * 3


def test_a_change_returns_the_facts_with_those_that_it_left_alone() -> None:
    record = HostRecord()
    record.change(catalogue_error="full")
    facts = record.change(contested="a copy")
    assert (facts.catalogue_error, facts.contested) == ("full", "a copy")
    assert facts == record.facts
