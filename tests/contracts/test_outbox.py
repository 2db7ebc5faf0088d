"""The outbox: nothing is lost, nothing is doubled, nothing grows without end."""

from __future__ import annotations

from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from drd.catalogue import outbox as rows
from drd.catalogue.daemon_tables import outbox
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.errors import CatalogueError
from drd.model.clock import LONGEST_WAIT
from drd.model.digest import digest
from drd.model.run import RunKind, RunState
from drd.ports.notify import UNROUTED, ChannelFacts
from tests.catalogue_support import at, plan
from tests.notify_support import message


def kept(catalogue: SqlCatalogue) -> int:
    with catalogue.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(outbox)).scalar_one())


def facts(catalogue: SqlCatalogue, name: str = "hook") -> ChannelFacts:
    return next(f for f in catalogue.outbox.channels() if f.name == name)


def test_messages_wait_in_the_outbox_in_order_until_they_are_delivered(
    catalogue: SqlCatalogue,
) -> None:
    box = catalogue.outbox
    first, second = message("first caf\udce9 \0"), message("second", details={"a": None})
    box.add([("hook", first), ("mail", first), ("hook", second)], at(0))
    assert box.due_channels(at(0)) == ["hook", "mail"]
    one, two = box.waiting("hook")
    assert [one.message, two.message] == [first, second]
    assert (one.tries, one.created_at, one.next_try_at) == (0, at(0), at(0))
    assert [row.message for row in box.waiting("hook", limit=1)] == [first]

    box.delivered(one, "webhook", at(1))
    assert [row.message for row in box.waiting("hook")] == [second]
    assert facts(catalogue) == ChannelFacts(
        "hook", "webhook", last_tried_at=at(1), last_delivered_at=at(1), waiting=1
    )
    assert facts(catalogue, "mail") == ChannelFacts("mail", "", waiting=1)


def test_nothing_is_sent_for_unrecorded_changes(catalogue: SqlCatalogue) -> None:
    with suppress(RuntimeError), catalogue.database.write() as connection:
        rows.insert(connection, [("hook", message())], at(0))
        raise RuntimeError
    assert catalogue.outbox.due_channels(at(1)) == []
    with catalogue.database.write() as connection:
        rows.insert(connection, [("hook", message())], at(0))
    assert catalogue.outbox.due_channels(at(0)) == ["hook"]


def test_a_failed_delivery_delays_channel_and_message(catalogue: SqlCatalogue) -> None:
    box = catalogue.outbox
    box.add([("hook", message())], at(0))
    for minute in (1, 2):
        (row,) = box.waiting("hook")
        box.failed(row, "webhook", at=at(minute), error="no route", next_try_at=at(minute + 5))
    (row,) = box.waiting("hook")
    assert (row.tries, row.error, row.next_try_at) == (2, "no route", at(7))
    assert box.due_channels(at(6)) == []
    assert box.due_channels(at(7)) == ["hook"]
    ailing = facts(catalogue)
    assert (ailing.tries, ailing.failing_since, ailing.error) == (2, at(1), "no route")
    assert ailing.last_delivered_at is None

    box.delivered(row, "webhook", at(7))
    assert facts(catalogue) == ChannelFacts(
        "hook", "webhook", last_tried_at=at(7), last_delivered_at=at(7)
    )


def test_a_channel_is_dead_after_a_quarter_of_an_hour_or_many_tries(
    catalogue: SqlCatalogue,
) -> None:
    box = catalogue.outbox
    box.tried("hook", "webhook", at=at(0), error="no")
    assert not facts(catalogue).is_dead(at(15))
    assert facts(catalogue).is_dead(at(15.1))
    for _ in range(4):
        box.tried("hook", "webhook", at=at(1), error="no")
    assert not facts(catalogue).is_dead(at(1))
    box.tried("hook", "webhook", at=at(1), error="no")
    assert facts(catalogue).is_dead(at(1))
    box.tried("hook", "webhook", at=at(2), error=None)
    assert not facts(catalogue).is_dead(at(60))


def test_a_given_up_message_leaves_the_channel_failing(
    catalogue: SqlCatalogue,
) -> None:
    box = catalogue.outbox
    box.add([("hook", message())], at(0))
    (row,) = box.waiting("hook")
    box.failed(row, "webhook", at=at(1), error="404", next_try_at=None)
    assert box.waiting("hook") == []
    assert box.due_channels(at(9999)) == []
    assert facts(catalogue).failing_since == at(1)


def test_a_digest_replaces_several_messages_or_none(catalogue: SqlCatalogue) -> None:
    box = catalogue.outbox
    box.add([("hook", message(str(n))) for n in range(3)], at(0))
    box.add([("mail", message("x"))], at(0))
    waiting = box.waiting("hook")
    box.failed(waiting[0], "webhook", at=at(1), error="no", next_try_at=at(30))
    waiting = box.waiting("hook")
    summary = digest([row.message for row in waiting], at(2))
    replaced = box.replace(waiting, summary, at(2))
    assert (replaced.message, replaced.tries, replaced.created_at) == (summary, 0, at(2))
    assert replaced.next_try_at == at(30), "as late as the other side asked for"
    assert box.waiting("hook") == [replaced]
    assert len(box.waiting("mail")) == 1

    with pytest.raises(CatalogueError, match="another drd process is delivering"):
        box.replace([replaced, *waiting], summary, at(3))
    assert box.waiting("hook") == [replaced]


def test_a_clock_that_was_set_back_silences_no_message(catalogue: SqlCatalogue) -> None:
    box = catalogue.outbox
    box.add([("hook", message())], at(0) + timedelta(days=365))
    assert box.due_channels(at(0)) == ["hook"]
    assert box.waiting("hook")[0].is_due(at(0))
    box.add([("mail", message())], at(0) + LONGEST_WAIT)
    assert box.due_channels(at(0)) == ["hook"]
    assert not box.waiting("mail")[0].is_due(at(0))


def test_pruning_removes_old_messages_and_removed_channels(catalogue: SqlCatalogue) -> None:
    box = catalogue.outbox
    catalogue.plans.load(plan("orders-api"), file_digest="f", at=at(0))
    box.add([("hook", message(str(n))) for n in range(4)], at(0))
    box.add([("gone", message())], at(0))
    old, given_up, new, waiting = box.waiting("hook")
    box.delivered(old, "webhook", at(1))
    box.failed(given_up, "webhook", at=at(2), error="no", next_try_at=None)
    box.delivered(new, "webhook", at(60))
    for name in ("beat", "plan/orders-api", "plan/gone"):
        box.tried(name, "heartbeat", at=at(1), error=None)

    box.prune(at(30), channels=["hook", "beat"])
    assert kept(catalogue) == 2
    assert [row.id for row in box.waiting("hook")] == [waiting.id]
    assert [f.name for f in box.channels()] == ["beat", "hook", "plan/orders-api"]


def test_the_history_of_messages_is_bounded(
    catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "HISTORY", 10)
    box = catalogue.outbox
    box.add([("hook", message(str(n))) for n in range(25)], at(0))
    for row in box.waiting("hook")[:-1]:
        box.delivered(row, "webhook", at(1))
    box.prune(at(0), channels=["hook"])
    assert kept(catalogue) == 10 + 1
    assert [row.message.title for row in box.waiting("hook")] == ["24"]


def test_the_end_of_a_run_by_hand_waits_until_it_is_routed(catalogue: SqlCatalogue) -> None:
    """It is no channel's before, so nothing takes it for one of a channel that is gone."""
    box, end = catalogue.outbox, message("recovered")
    box.add([(UNROUTED, end)], at(0))
    box.prune(at(9), channels={"hook"})
    assert box.due_channels(at(1)) == []
    assert box.channels() == []
    [row] = box.waiting(UNROUTED)
    box.send_on(row, [("hook", end), ("mail", end)], at(1))
    assert box.waiting(UNROUTED) == []
    assert box.due_channels(at(1)) == ["hook", "mail"]
    box.send_on(row, [("hook", end)], at(2))
    assert [w.message for w in box.waiting("hook")] == [end]


def test_only_the_end_of_a_run_by_hand_leaves_a_message(
    catalogue: SqlCatalogue, catalogue_url: str, tmp_path: Path
) -> None:
    by_hand = open_catalogue(catalogue_url, create=False, state_dir=tmp_path / "state", tells=True)
    with closing(by_hand):
        for kind, trigger in ((RunKind.DRILL, "manual"), (RunKind.BACKUP, "schedule")):
            owned = by_hand.runs.begin(plan(), kind, trigger=trigger, at=at(0))
            by_hand.runs.finish(owned, RunState.FAILED, at=at(1), error="no room")
            by_hand.runs.finish(owned, RunState.FAILED, at=at(2), error="again")
        [row] = by_hand.outbox.waiting(UNROUTED)
    assert (row.message.event, row.message.plan, row.message.text) == (
        "drill",
        plan().name,
        "no room",
    )
