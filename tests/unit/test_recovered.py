"""What a person is told to do after a recovery, in order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.model.plan import IN_PLACE
from drd.model.recovered import Ended, tasks
from drd.model.restored import RestoredPlace, Task, Usage
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part

ANALYZE = Task(code="analyze", component="db", text="collect statistics", command="vacuumdb")
ENDED = Ended(
    run="4f2a",
    plan="shop",
    file="/etc/drd/plans/shop.yaml",
    detail=RecoveryDetail(target="standby", tasks=(ANALYZE,)),
    back=True,
    failed=False,
)


def codes(ended: Ended) -> list[str | None]:
    return [task.code for task in tasks(ended)]


def test_the_application_comes_first_then_statistics_kit_and_kept_copies() -> None:
    assert codes(replace(ENDED, keeps=True)) == ["application", "analyze", "kit", "done"]
    there, _, kit = tasks(ENDED)
    assert there.text == "point the application to these places, start it, and check that it works"
    assert kit.command == "drd kit export shop --to FILE"
    assert "`components` of /etc/drd/plans/shop.yaml" in str(kit.text)


def test_an_older_state_is_backed_up_since_the_newest_point_has_what_was_replaced() -> None:
    older = replace(ENDED, outlived=True, plan="shop", keeps=True)
    assert codes(older) == ["application", "analyze", "backup", "kit", "done"]
    [backup] = [task for task in tasks(older) if task.code == "backup"]
    assert backup.command == "drd backup shop"
    one = RecoveryDetail(target=IN_PLACE, part=Part(("orders",), (), "orders_old"))
    assert "backup" not in codes(replace(older, detail=one))


def test_production_is_backed_up_after_its_recovery_unless_a_check_failed() -> None:
    here = replace(ENDED, plan="shop", detail=RecoveryDetail(target=IN_PLACE), unbacked=True)
    assert codes(here) == ["application", "backup", "kit"]
    [backup] = [task for task in tasks(here) if task.code == "backup"]
    assert backup.text == "back up the restored data, and see that drd can read everything of it"
    assert backup.command == "drd backup shop"
    assert "backup" not in codes(replace(here, failed=True))


def test_in_place_nothing_has_to_be_pointed_anywhere() -> None:
    here = replace(ENDED, detail=RecoveryDetail(target=IN_PLACE))
    start, kit = tasks(here)
    assert start.text == (
        "start the application, if it is stopped, and check that it works. Its data is at the "
        "same place as before"
    )
    assert "components" not in str(kit.text)
    beside = replace(ENDED, detail=RecoveryDetail(target="standby", in_place=True))
    assert [task.text for task in tasks(beside)] == [start.text, kit.text]
    (started, _) = tasks(replace(here, started=("start-web",)))
    assert started.text == (
        "check that the application works. The runbook has started it (step start-web)"
    )


def test_a_unit_that_does_not_start_is_looked_at_before_the_recovery_goes_on() -> None:
    stuck = replace(ENDED, back=False, not_started=("shop.service",))
    first, then = tasks(stuck)
    assert first.text == "find out why shop.service does not start, and correct the cause"
    assert first.command == "journalctl -u shop.service -n 20"
    assert then.command == "drd resume 4f2a"


def test_where_the_data_cannot_be_restored_the_next_older_point_comes_first() -> None:
    detail = replace(ENDED.detail, point="restic-2", overwrite=True, components=("db",))
    older, on = tasks(replace(ENDED, back=False, older="restic-1", detail=detail))
    assert older.command == (
        "drd recover shop --target standby --point restic-1 --component db --overwrite"
    )
    assert str(older.text).endswith("To see all restore points: drd points shop")
    assert on.command == "drd resume 4f2a"
    assert on.text == "continue with the same restore point, once its data is repaired"


def test_a_copy_is_compared_and_dropped_and_needs_no_kit() -> None:
    copy = RecoveryDetail(target=IN_PLACE, part=Part(("orders",), (), "orders_old"))
    assert codes(replace(ENDED, detail=copy)) == ["compare", "drop"]
    inside = RecoveryDetail(target=IN_PLACE, part=Part((), ("/etc/app.conf",)))
    assert codes(replace(ENDED, detail=inside, keeps=True)) == ["application", "done"]


@pytest.mark.parametrize(
    ("table", "into"),
    [("orders", "orders"), ("public.orders", "orders"), ("a.orders", "a.orders")],
)
def test_a_dropped_table_under_its_own_name_is_not_a_copy_to_delete(table: str, into: str) -> None:
    back = RecoveryDetail(target=IN_PLACE, part=Part((table,), (), into), tasks=(ANALYZE,))
    found = tasks(replace(ENDED, detail=back))
    assert [task.code for task in found] == ["application", "analyze"]
    assert (
        "add the foreign keys and triggers that the notes of this recovery name as left out"
        in str(found[0].text)
    )


@pytest.mark.parametrize("into", ["archive.orders", "orders_old", "public.orders"])
def test_another_schema_or_name_is_a_copy(into: str) -> None:
    copy = RecoveryDetail(target=IN_PLACE, part=Part(("a.orders",), (), into))
    assert codes(replace(ENDED, detail=copy)) == ["compare", "drop"]


def test_what_uses_data_that_a_part_replaced_is_started_again() -> None:
    part = RecoveryDetail(target=IN_PLACE, part=Part(("conf/a",), (), None))
    [task, *_] = tasks(replace(ENDED, detail=part))
    assert task.text == "restart or reload the programs that use this data"


def test_a_failed_check_beside_a_live_application_is_not_a_reason_to_undo() -> None:
    live = Usage(component="db", what='database "shop"', by=("1 session of app",))
    detail = RecoveryDetail(target=IN_PLACE, usage=(live,))
    first = tasks(replace(ENDED, detail=detail, failed=True))[0]
    assert first.code == "checks"
    assert first.text == (
        "find out why the check failed, before you keep or undo the restored data. If there is "
        "more data than at the backup, the application has probably written it after the restore "
        '(database "shop" is '
        "in use by 1 session of app): that is no reason to undo"
    )


def test_a_program_with_the_replaced_data_has_to_be_restarted() -> None:
    former = Usage(
        component="app",
        what="/srv/a.db.drd_4f2a_before",
        by=("web (process 7, web.service)",),
        units=("web.service",),
        former=True,
    )
    first = tasks(replace(ENDED, detail=RecoveryDetail(target=IN_PLACE, usage=(former,))))[0]
    assert (first.code, first.component) == ("restart", "app")
    assert first.command == "systemctl restart web.service"
    by_hand = RecoveryDetail(target=IN_PLACE, usage=(replace(former, units=()),))
    assert tasks(replace(ENDED, detail=by_hand))[0].command is None
    removed = replace(former, what="/srv/a.db (removed)")
    both = tasks(replace(ENDED, detail=RecoveryDetail(target=IN_PLACE, usage=(former, removed))))
    [once] = [task.text for task in both if task.code == "restart"]
    assert once is not None
    assert once.endswith(": /srv/a.db.drd_4f2a_before, /srv/a.db (removed)"), once
    now = replace(
        ENDED, detail=RecoveryDetail(target=IN_PLACE, usage=(replace(former, former=False),))
    )
    assert "restart" not in codes(now)


def test_a_recovery_that_is_not_back_has_the_resume_as_its_only_task() -> None:
    (only,) = tasks(replace(ENDED, back=False, failed=True))
    assert (only.code, only.command) == ("resume", "drd resume 4f2a")


def test_the_end_of_a_recovery_is_read_as_it_was_written() -> None:
    place = RestoredPlace(component="db", kind="postgres", places=("database x",), address="x")
    detail = RecoveryDetail(target="standby", places=(place,), tasks=(ANALYZE,))
    assert RecoveryDetail.from_json(detail.to_json()) == detail
    assert detail.request().places == ()
    assert detail.outcome().places == (place,)


def test_the_owners_of_the_data_are_made_once_before_the_application_starts() -> None:
    made = [
        Task(code="accounts", component=c, text="make user tick", command="useradd tick")
        for c in ("conf", "db")
    ]
    ended = replace(ENDED, detail=RecoveryDetail(target="standby", tasks=(ANALYZE, *made)))
    assert codes(ended) == ["accounts", "application", "analyze", "kit"]
    assert tasks(ended)[0].component is None


def test_units_that_the_runbook_stopped_and_did_not_start_are_named_with_the_command() -> None:
    stopped = ("tick.service", "`docker stop web`")
    ended = replace(ENDED, stopped=stopped, started=("other",))
    [task] = [t for t in tasks(ended) if t.code == "application"]
    assert task.command == "systemctl start tick.service"
    assert task.text == (
        "start what the runbook has stopped, and check that it works: tick.service, what "
        "`docker stop web` stopped"
    )


def test_giving_the_application_write_access_is_the_first_task() -> None:
    chown = Task(code="target-directory", component="db", text="let tick write", command="chown x")
    ended = replace(ENDED, detail=RecoveryDetail(target="standby", tasks=(ANALYZE, chown)))
    assert codes(ended) == ["target-directory", "application", "analyze", "kit"]
    assert tasks(ended)[0].command == "chown x"


def test_a_service_that_a_step_started_is_nobody_from_before() -> None:
    started = {"go": ("shop.service",), "again": ("tick.service",), "run": ()}
    used = Usage(what="/srv/shop.db", by=("shop",), units=("shop.service",))
    assert used.started_by(started) == ("go",)
    assert replace(used, units=("shop.service", "tick.service")).started_by(started) == (
        "go",
        "again",
    )
    assert replace(used, units=("shop.service", "other.service")).started_by(started) == ()
    assert replace(used, units=()).started_by(started) == ()
    assert replace(used, former=True).started_by(started) == ()
    assert used.started_by({}) == ()
