"""Which plans the daemon takes from a directory of many."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from drd.bootstrap import App
from drd.daemon.plans import PlanBook
from drd.flows.schedules import Agenda
from tests.integration.test_schedule_command import PLAN


def test_a_stop_waits_for_no_thousands_of_plans(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text("state: sqlite:///state/drd.db\nwork_dir: w\ncache_dir: c\n")
    for number in range(120):
        (tmp_path / f"plans/p{number}.yaml").write_text(PLAN.format(name=f"p{number}"))
    with closing(App(str(tmp_path / "drd.yaml"))) as app:
        book = PlanBook(app, Agenda(app.catalogue.queue))
        seen: list[tuple[int, int]] = []
        found = book.load(running=False, so_far=lambda *at: bool(seen.append(at)))
        assert seen == [(100, 120)]
        assert (len(found.accepted), found.removed, dict(found.refused)) == (100, (), {})
        assert len(book.load(running=False).accepted) == 120
