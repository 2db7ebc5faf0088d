"""Attack: whoever holds a repository's key removes snapshots, or forges ones that are newer than
all, so that drd's own rules finish the work. A listing that is smaller than what drd knows, or that
holds something of the future, pauses retention and prune; a server that refuses in silence is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd.bootstrap import App, app
from drd.errors import RepositoryError
from drd.flows.upkeep.pauses import reasons_to_wait
from drd.flows.upkeep.retention import RetentionRequest
from drd.flows.upkeep.retention import retention as flow
from drd.model.holds import GivenUp
from tests.e2e.site import Site, small_site
from tests.retention_support import (
    DAY,
    backup,
    codes,
    kept,
    policy,
    retention,
    snapshots_of,
)


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


@pytest.fixture
def here(site: Site) -> Iterator[App]:
    with app(str(site.base / "drd.yaml")) as opened:
        yield opened


def test_a_listing_that_shrank_pauses_retention_and_prune(site: Site) -> None:
    policy(site, "{last: 2}")
    points = [backup(site) for _ in range(4)]
    site.restic("forget", *snapshots_of(site, points[3]))
    told = retention(site)
    assert (codes(told), told["forgotten"]) == (["listing-shrank"], [])
    assert kept(site) == set(points[:3])
    assert codes(retention(site)) == ["listing-shrank"], "it stays so until somebody sees to it"
    [pruned] = site.drd("prune", "shop", "--json").json["repositories"]
    assert (pruned["state"], pruned["pruned"]) == ("paused", None)

    site.drd("points", "forget", points[3], code=2)
    site.drd("points", "forget", points[3], "--reason", "removed by hand, ticket 12")
    [row] = site.catalogue("select reason, actor from points_given_up where point = ?", points[3])
    assert row[0] == "removed by hand, ticket 12"
    assert '"uid"' in row[1]
    assert retention(site)["state"] == "succeeded"
    assert site.drd("prune", "shop", "--json").json["repositories"][0]["state"] == "succeeded"


def test_points_forgotten_by_drd_do_not_shrink_the_listing(site: Site) -> None:
    """The healthy twin; also where the run that did it was killed before it could say so."""
    policy(site, "{last: 1}")
    points = [backup(site) for _ in range(2)]
    site.killed_at("undone:forget", "retention", "shop")
    told = retention(site)
    assert (told["state"], told["pauses"]) == ("succeeded", [])
    assert kept(site) == {points[1]}
    points.append(backup(site))
    assert retention(site)["forgotten"] == [points[1]]
    assert retention(site)["state"] == "succeeded"


def test_a_sound_point_is_not_given_up_by_mistake(site: Site) -> None:
    point = backup(site)
    refused = site.drd("points", "forget", point, "--reason", "typing error", code=2)
    assert (
        f"drd does not forget restore point {point}, because drd has not found damage in this point"
        in refused.err
    )
    assert kept(site) == {point}


def test_forged_future_snapshots_remove_no_point(site: Site) -> None:
    policy(site, "{last: 1}")
    points = [backup(site) for _ in range(3)]
    tomorrow = f"{datetime.now(UTC) + DAY:%Y-%m-%d %H:%M:%S}"
    for number in range(3):
        site.restic(
            "backup", "--host", "shop", "--time", tomorrow, "--tag",
            f"drd,plan:shop,run:feed000{number},manifest", str(site.base / "etc"),
        )  # fmt: skip
    told = retention(site)
    assert (codes(told), told["forgotten"]) == (["future"], [])
    assert set(points) <= kept(site)
    runs = [r["state"] for r in site.runs() if r["kind"] == "retention"]
    assert runs == ["paused"]


class RefusesInSilence:
    """An append-only server: restic says that it forgot, and everything is still there."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def forget(self, snapshots: Any) -> None:
        """Exit code 0."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_a_silent_refusal_by_the_server_is_reported(site: Site, here: App) -> None:
    policy(site, "{last: 1}")
    points = [backup(site) for _ in range(2)]
    plan = here.plans.load("shop")
    services = here.services(plan)
    refusing = replace(
        services, open_repository=lambda spec: RefusesInSilence(services.open_repository(spec))
    )
    with pytest.raises(RepositoryError, match="still lists 3 of 3") as caught:
        flow(refusing, plan, RetentionRequest())
    assert "append-only" in caught.value.hint
    assert kept(site) == set(points)
    assert {p["point"] for p in site.points()} == set(points)
    assert flow(services, plan, RetentionRequest()).forgotten == (points[0],)


class HasAClock:
    """A repository on a server whose clock differs."""

    def __init__(self, real: Any, ahead_s: float) -> None:
        self._real = real
        self._ahead_s = ahead_s

    def clock_ahead_s(self) -> float:
        return self._ahead_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize(("ahead_s", "state"), [(-121.0, "paused"), (119.0, "succeeded")])
def test_two_minutes_between_the_clocks_pause(
    site: Site, here: App, ahead_s: float, state: str
) -> None:
    policy(site, "{last: 1}")
    backup(site)
    plan = here.plans.load("shop")
    services = here.services(plan)
    differing = replace(
        services,
        open_repository=lambda spec: HasAClock(services.open_repository(spec), ahead_s),
    )
    outcome = flow(differing, plan, RetentionRequest())
    assert str(outcome.state) == state
    assert [p.code for p in outcome.forgetting.pauses] == (
        ["clock-differs"] if state == "paused" else []
    )


def test_damage_pauses_until_it_is_mended_or_given_up(site: Site) -> None:
    policy(site, "{last: 1}")
    old = backup(site)
    with (site.base / "etc/app.conf").open("a") as file:
        file.write("only in the newest\n")
    new = backup(site)
    packs = [p for p in Path(site.repository, "data").rglob("*") if p.is_file()]
    sound = {pack: pack.read_bytes() for pack in packs}
    for pack, data in sound.items():
        pack.chmod(0o600)
        pack.write_bytes(data[: len(data) // 2] + b"\0" * 8 + data[len(data) // 2 + 8 :])
    site.drd("verify", "shop", code=None)
    told = retention(site)
    assert (codes(told), told["forgotten"]) == (["damage"], [])
    assert {old, new} <= kept(site)
    for pack, data in sound.items():
        pack.write_bytes(data)
    site.drd("verify", "shop", code=None)
    assert retention(site)["forgotten"] == [old]


def test_giving_up_in_one_repository_leaves_damage_elsewhere_alone(here: App, site: Site) -> None:
    """A damaged copy that is given up says nothing of the damage where backups go."""
    point = backup(site)
    plan = here.plans.load("shop")
    services = here.services(plan)
    services.catalogue.health.record_damage(
        "shop", "primary", "pack 1 is bad", [point], services.clock.now()
    )

    def waits() -> list[str]:
        return [pause.code for pause in reasons_to_wait(services, plan)]

    def give_up(repository: str) -> None:
        given = GivenUp(point, "shop", "its disk broke", services.clock.now(), None, repository)
        services.catalogue.keeping.give_up([given])

    give_up("offsite")
    assert waits() == ["damage"]
    give_up("primary")
    assert waits() == []
