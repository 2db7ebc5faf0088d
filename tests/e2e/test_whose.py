"""Whose room, which person, which text of a plan: what a finding or a refusal has to name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.site import Site, small_site


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def test_room_on_a_disk_is_of_a_component(site: Site) -> None:
    found = site.drd("doctor", "shop", "--json", code=None).json["items"]
    rooms = {(f["subject"], f["name"]) for f in found if f["code"] == "disk-space"}
    assert rooms == {("db", "db: disk space"), ("conf", "conf: disk space")}
