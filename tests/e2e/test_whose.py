"""Whose room, which person, which text of a plan: what a finding or a refusal has to name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.site import Site, small_site

PEOPLE = "people:\n  - {name: Anna B., roles: [commander]}\n  - {name: Bert}\n"
CONTROL = (
    "controls:\n  - {name: old-key, kind: http, url: 'http://127.0.0.1:9/orders', expect: 401}\n"
)
ITEM = ("incident", "action", "1", "add", "rotate the key", "--due", "1d", "--owner")


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def test_room_on_a_disk_is_of_a_component(site: Site) -> None:
    found = site.drd("doctor", "shop", "--json", code=None).json["items"]
    rooms = {(f["subject"], f["name"]) for f in found if f["code"] == "disk-space"}
    assert rooms == {("db", "db: disk space"), ("conf", "conf: disk space")}


def test_a_person_whom_drd_does_not_know_is_named(site: Site) -> None:
    with (site.base / "drd.yaml").open("a") as file:
        file.write(PEOPLE)
    site.drd("incident", "open", "orders leak")
    unknown = (
        'drd: warning: there is no person "Brt" under `people` in drd.yaml (did you mean Bert?). '
        "The entry has the name as it was given\n"
    )
    for words in ((*ITEM, "Brt"), ("incident", "assign", "Brt"), ("incident", "role", "x", "Brt")):
        assert site.drd(*words).err == unknown, words
    assert 'no person "Eve"' in site.drd(*ITEM, "Eve").err
    for known in ("bert", "Anna B."):
        assert site.drd(*ITEM, known).err == ""
    listed = site.drd("incident", "action", "1", "--json").json["actions"]
    assert [item["owner"] for item in listed] == ["Brt", "Eve", "Bert", "Anna B."]


def test_a_proof_that_only_the_file_of_the_plan_has_is_not_called_missing(site: Site) -> None:
    site.drd("backup", "shop")
    site.drd("incident", "open", "orders leak")
    plan = site.base / "plans/shop.yaml"
    plan.write_text(f"{plan.read_text()}{CONTROL}")
    proven = (*ITEM, "bert", "--verified-by")
    told = site.drd(*proven, "control:shop/old-key", code=2).err
    assert (
        f'plan shop that is in force does not have the control "old-key". The file {plan} has it, '
        "but drd has not loaded the present text of this file" in told
    )
    assert "systemctl reload drd; on a host without the service: drd backup shop" in told
    told = site.drd(*proven, "control:shop/none", code=2).err
    assert "this plan does not have any control" in told
    site.drd("backup", "shop")
    site.drd(*proven, "control:shop/old-key")


def test_commands_about_a_plan_outside_of_the_directory_name_its_file(site: Site) -> None:
    named = site.base / "plans/shop.yaml"
    file = str(site.base / "draft of shop.yaml")
    words = (("doctor", "drd readiness"), ("doctor", "drd kit export"), ("readiness", "drd backup"))
    for verb, command in words:
        assert f"{command} shop" in site.drd(verb, str(named), code=None).out
    named.rename(file)
    for verb, command in words:
        told = site.drd(verb, file, code=None).out
        assert f"{command} '{file}'" in told
        assert f"{command} shop" not in told
    site.drd("backup", file)
    told = site.drd("readiness", file, code=None).out
    assert f"drd drill '{file}'" in told
    assert site.drd("drill", file, "--json").json["result"] == "passed"
