"""Second repositories: every complete point arrives, and any of them can give it back."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.copies import (
    assert_clean,
    copied_site,
    flip_a_byte,
    listed,
    lose_catalogue,
    manifests,
    mend,
    offsite_of,
    write_plan,
)
from tests.e2e.site import PASSWORD, SMALL, Site, make_sqlite, make_tree


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return copied_site(short_tmp)


def backup(site: Site, *words: str, code: int = 0) -> str:
    return str(site.drd("backup", "shop", *words, "--json", code=code).json["point"])


def contents(database: Path) -> list[str]:
    with sqlite3.connect(database) as connection:
        return list(connection.iterdump())


def test_complete_points_arrive_and_incomplete_ones_do_not(short_tmp: Path) -> None:
    site = copied_site(short_tmp, new=True)
    first = backup(site)
    partial = backup(site, "--component", "db")
    [never] = site.drd("status", "--json", code=3).json["plans"][0]["copies"]
    assert (never["repository"], never["verdict"], never["exposure_s"]) == (
        "offsite",
        "unknown",
        None,
    )
    [told] = site.drd("copy", "shop", "--json").json["copies"]
    assert (told["repository"], told["copy_of"], told["state"]) == (
        "offsite",
        "primary",
        "succeeded",
    )
    assert (told["copied"], told["held"]) == ([first], 1)
    assert manifests(site) == {first}
    assert {p["point"]: p["repositories"] for p in site.points()} == {
        first: ["offsite", "primary"],
        partial: ["primary"],
    }
    assert any("component:drd" in s["tags"] for s in listed(site)), "drd's own catalogue, too"
    [there] = site.drd("status", "--json", code=3).json["plans"][0]["copies"]
    assert there["exposure_s"] > 0
    assert there["verdict"] == "met"
    second = backup(site)
    again = site.drd("copy", "shop", "--repository", "offsite")
    assert (
        "repository offsite: 1 restore point copied; this repository contains 2 restore points"
        in again.out
    )
    assert manifests(site) == {first, second}
    assert "nothing to copy" in site.drd("copy", "shop").out
    assert_clean(site)


def test_doctor_calls_a_copy_sound_whose_source_is_on_a_lost_disk(site: Site) -> None:
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    plan = site.base / "plans/shop.yaml"
    lost = f"{site.base}/gone/repo"
    plan.write_text(plan.read_text().replace(f"url: {site.repository}\n", f"url: {lost}\n", 1))
    items = site.drd("doctor", "shop", "--json", code=1).json["items"]
    failed = {i["subject"] for i in items if i["severity"] == "error" and "gone" in i["detail"]}
    assert failed == {"primary"}
    assert any(i["subject"] == "offsite" and i["severity"] == "ok" for i in items)


def test_lost_region_is_rehearsed_and_recovered_from_the_copy(site: Site) -> None:
    """The repository with the backups is gone, and so is the host with its catalogue."""
    point = backup(site)
    site.drd("copy", "shop")
    wanted = contents(site.base / "shop.db")
    shutil.rmtree(site.repository)
    told = site.drd("drill", "shop", "--scenario", "region-loss", "--json").json
    assert (told["result"], told["point"], told["scenario"]) == ("passed", point, "region-loss")
    fallback = site.drd("drill", "shop", "--json").json
    assert fallback["result"] == "passed"
    assert any("primary" in c["name"] and c["verdict"] == "not_run" for c in fallback["checks"])

    lose_catalogue(site)
    rebuilt = site.drd("catalogue", "rebuild", "--json").json["plans"][0]
    assert rebuilt["added"] == [point]
    assert "no repository" in rebuilt["unreached"]["primary"]
    assert [p["repositories"] for p in site.points()] == [["offsite"]]
    words = ("recover", "shop", "--target", "standby", "--yes")
    assert site.drd(*words, "--repository", "primary", code=13).err
    back = site.drd(*words, "--json").json
    assert (back["result"], back["point"]) == ("passed", point)
    assert handled(site)["recovery", ""] > 0
    assert contents(site.base / "back/shop.db") == wanted
    conf = site.base / "etc/app.conf"
    assert Path(f"{site.base}/back/etc{conf}").read_bytes() == conf.read_bytes()
    assert_clean(site)


def test_rebuild_reads_all_repositories_and_keeps_records_of_unreachable_ones(
    site: Site,
) -> None:
    both = backup(site)
    site.drd("copy", "shop")
    one = backup(site)
    before = {p["point"]: p["repositories"] for p in site.points()}
    lose_catalogue(site)
    site.drd("catalogue", "rebuild")
    assert {p["point"]: p["repositories"] for p in site.points()} == before
    assert site.drd("catalogue", "verify", "--json").json["plans"][0]["known"] == [one, both]
    assert site.drd("drill", "shop", "--repository", "offsite", "--json").json["point"] == both

    offsite_of(site).rename(site.base / "away")
    told = site.drd("catalogue", "rebuild")
    assert "could not check repository offsite of plan shop" in told.err
    assert {p["point"]: p["repositories"] for p in site.points()} == before
    assert "does not exist" in site.drd("catalogue", "verify", code=1).err
    (site.base / "away").rename(offsite_of(site))
    shutil.rmtree(site.repository)
    shutil.copytree(offsite_of(site), site.base / "kept")
    site.drd("catalogue", "rebuild")
    assert {p["point"]: p["repositories"] for p in site.points()} == before
    assert_clean(site)


MOMENTS = [
    "undone",
    *(pytest.param(m, marks=pytest.mark.faults) for m in ("undone:repository", "before", "after")),
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_copy_that_was_killed_is_completed_by_the_next(site: Site, moment: str) -> None:
    points = {backup(site), backup(site)}
    newest = site.points()[0]["point"]
    at = moment if ":" in moment else f"{moment}:copy {newest}"
    site.killed_at(at, "copy", "shop")
    told = site.drd("copy", "shop", "--json").json["copies"][0]
    assert (told["state"], told["held"]) == ("succeeded", 2)
    assert manifests(site) == points
    assert [r["state"] for r in site.runs()[:2]] == ["succeeded", "interrupted"]
    assert len(listed(site)) == 2 * 3 + 1, "nothing twice"
    assert all(p["repositories"] == ["offsite", "primary"] for p in site.points())
    assert_clean(site)


def test_retention_forgets_in_copies_too_also_later(site: Site) -> None:
    write_plan(site, more="retention: {last: 1}\n")
    first, second = backup(site), backup(site)
    site.drd("copy", "shop")
    planned = site.drd("retention", "shop", "--dry-run", "--json").json
    assert planned["forget"] == [first]
    assert [(r["repository"], r["snapshots"] > 0) for r in planned["repositories"]] == [
        ("primary", True),
        ("offsite", True),
    ]
    site.drd("retention", "shop")
    assert handled(site)["retention", ""] > 0
    assert manifests(site) == {second}
    third = backup(site)
    site.drd("copy", "shop")
    offsite_of(site).rename(site.base / "away")
    refused = site.drd("retention", "shop", code=1)
    assert "retention could not forget restore points in copy offsite" in refused.err
    assert [p["point"] for p in site.points()] == [third]
    (site.base / "away").rename(offsite_of(site))
    assert manifests(site) == {second, third}
    site.drd("catalogue", "rebuild")
    assert [p["point"] for p in site.points()] == [third], "what was forgotten does not come back"
    site.drd("retention", "shop")
    assert manifests(site) == {third}
    assert "offsite" in site.drd("prune", "shop").out
    site.drd("verify", "shop")
    for repository in ("primary", "offsite"):
        assert handled(site)["prune", repository] is not None, "it may be nothing"
        assert handled(site)["verification", repository] > 0
    assert_clean(site)


def handled(site: Site) -> dict[tuple[str, str], int]:
    """Bytes of the last runs, by kind and repository, as the figures for Prometheus tell them."""
    rows = site.catalogue("select kind, subject, last_bytes from jobs")
    return {(kind, subject): size for kind, subject, size in rows}


def test_damage_is_found_reported_and_avoided(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=50_000)
    point = backup(site)
    site.drd("copy", "shop")
    sound = site.drd("verify", "shop", "--json").json
    assert [(r["repository"], r["state"], r["damage"]) for r in sound["repositories"]] == [
        ("primary", "succeeded", None),
        ("offsite", "succeeded", None),
    ]
    assert all(r["all_read_at"] for r in sound["repositories"])
    damaged = flip_a_byte(Path(site.repository))
    found = site.drd("verify", "shop", "--json", code=1).json["repositories"]
    assert [r["state"] for r in found] == ["failed", "succeeded"]
    assert "is damaged" in found[0]["damage"]
    assert found[0]["affected_points"] == [point]
    words = site.drd("verify", "shop", "--repository", "primary", "--share", code=1)
    assert f"Restore point {point} cannot be restored completely from this repository" in words.err
    assert "offsite" in words.err
    [(error,)] = site.catalogue("select error from verifications where repository = 'primary'")
    assert "is damaged" in error
    told = site.drd("drill", "shop", "--json").json
    assert told["result"] == "passed"
    got_round = [c for c in told["checks"] if c["verdict"] == "not_run"]
    assert got_round, "what came from elsewhere is named"
    alone = ("drill", "shop", "--repository", "primary", "--json")
    assert site.drd(*alone, code=4).json["result"] == "failed"

    mend(site, damaged)
    backup(site)
    site.drd("verify", "shop")
    assert site.drd(*alone).json["result"] == "passed"
    assert site.catalogue("select distinct error from verifications") == [(None,)]
    assert_clean(site)


def test_shares_of_a_repository_are_read_in_turn(site: Site) -> None:
    write_plan(site, more="verification: {every: 1d, read_all_within: 3d}\n")
    backup(site)
    for part in (1, 2):
        told = site.drd("verify", "shop", "--repository", "primary", "--share", "--json").json
        [reading] = told["repositories"]
        assert (reading["read_parts"], reading["parts"]) == (1, 3), part
        assert reading["all_read_at"] is None
    [reading] = site.drd("verify", "shop", "--repository", "primary", "--share", "--json").json[
        "repositories"
    ]
    assert reading["all_read_at"] is not None
    [(parts, next_part)] = site.catalogue("select parts, next_part from verifications")
    assert (parts, next_part) == (3, 1)
    assert_clean(site)


def test_a_repository_that_is_not_a_copy_is_refused(site: Site) -> None:
    assert (
        "no repository 'nowhere'" in site.drd("copy", "shop", "--repository", "nowhere", code=2).err
    )
    assert "not a copy" in site.drd("copy", "shop", "--repository", "primary", code=2).err
    assert "has no repository" in site.drd("verify", "shop", "--repository", "x", code=2).err
    assert "has no repository" in site.drd("prune", "shop", "--repository", "x", code=2).err
    refused = site.drd(
        "drill", "shop", "--scenario", "region-loss", "--repository", "primary", code=2
    )
    assert "primary is not a copy" in refused.err


def test_a_copy_that_is_the_copied_repository_itself_is_refused(short_tmp: Path) -> None:
    site = Site(short_tmp)
    make_sqlite(site.base / "shop.db")
    make_tree(site.base / "etc")
    (site.base / "link").symlink_to(site.base / "repo")
    link = f"  second:\n    url: {site.base}/link\n    password: {site.secret('repo', PASSWORD)}\n"
    (site.base / "back").mkdir()
    site.plan(SMALL.format(base=site.base), s3=f"{link}    copy_of: primary")
    site.drd("backup", "shop", code=None)
    refused = site.drd("copy", "shop", code=None)
    assert "repositories second and primary are the same place (" in refused.err + refused.out
    assert "): one loss destroys both" in refused.err + refused.out
    assert refused.code != 0
    items = site.drd("doctor", "shop", "--json", code=None).json["items"]
    [found] = [i for i in items if "second and primary are the same place" in i["detail"]]
    assert found["severity"] == "error"
    plan = site.drd("status", "shop", "--json", code=None).json["plans"][0]
    text = "copy second is the same repository as primary: one loss destroys both"
    assert any(text == remark["text"] for remark in plan["remarks"])
    assert [(r["repository"], r["state"]) for r in plan["repositories"]] == [
        ("primary", "ok"),
        ("second", "same"),
    ]
    shown = site.drd("status", "shop", code=None).out
    assert "the same as primary" in shown
    checked = site.drd("plan", "check", "shop")
    place = f"{site.base}/link is the same place as repository primary: one loss destroys both"
    assert place in " ".join((checked.out + checked.err).split())
