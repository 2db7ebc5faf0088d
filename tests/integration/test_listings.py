"""A listing is a look at the past: what is stored and recorded meanwhile is not judged by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drd.bootstrap import App, app
from drd.flows.repository import rebuild
from drd.flows.services import Services
from drd.flows.upkeep.retention_plan import plan_forgetting
from drd.ports import Listing
from tests.e2e.site import Site, small_site


class ListsBeforeManifest:
    """A repository in which a backup is in its last moments when it is first listed: `back_up`
    carries one out, and its manifest is not there yet."""

    def __init__(self, real: Any, back_up: Callable[[], object]) -> None:
        self._real = real
        self._still_to_come = [back_up]

    def snapshots(self, **which: Any) -> Any:
        if not self._still_to_come:
            return self._real.snapshots(**which)
        before = {s.id for s in self._real.snapshots(**which)}
        self._still_to_come.pop()()
        after = self._real.snapshots(**which)
        return Listing(s for s in after if s.id in before or "manifest" not in s.tags)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    site.drd("backup", "shop")
    return site


@pytest.fixture
def here(site: Site) -> Iterator[App]:
    with app(str(site.base / "drd.yaml")) as opened:
        yield opened


def services_during_a_backup(site: Site, here: App) -> Services:
    services = here.services(here.plans.load("shop"))
    real = services.open_repository

    def open_repository(spec: Any) -> Any:
        return ListsBeforeManifest(real(spec), lambda: site.drd("backup", "shop"))

    return replace(services, open_repository=open_repository)


def test_retention_spares_what_a_backup_that_ends_meanwhile_stored(site: Site, here: App) -> None:
    found = plan_forgetting(services_during_a_backup(site, here), here.plans.load("shop"))
    assert len(here.catalogue.points.of_plan("shop")) == 2
    assert (found.snapshots, found.vanished, found.hollow) == (0, (), {})
    assert found.shares[0].vanished == ()


def test_rebuild_misses_no_point_that_is_recorded_meanwhile(site: Site, here: App) -> None:
    services = services_during_a_backup(site, here)
    found = rebuild.rebuild(services, here.plans.load("shop"))
    assert (found.unknown, found.vanished) == ((), ())
    assert [set(p.repositories) for p in here.catalogue.points.of_plan("shop")] == [{"primary"}] * 2
