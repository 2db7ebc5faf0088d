"""Back up, rehearse, recover, look: the main job through the command line."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.site import Site, make_sqlite, small_site


@pytest.fixture
def site(short_tmp: Path) -> Site:
    return small_site(short_tmp)


def test_backup_makes_one_complete_restore_point(site: Site) -> None:
    told = site.drd("backup", "shop", "--json").json
    assert told["state"] == "succeeded"
    assert [c["component"] for c in told["components"]] == ["db", "conf"]
    assert all(c["bytes"] > 0 and c["snapshot"] for c in told["components"])
    (point,) = site.points()
    assert point["point"] == told["point"]
    assert point["complete"]
    manifests = json.loads(site.restic("snapshots", "--json", "--tag", "manifest"))
    assert len(manifests) == 1
    assert f"run:{told['run']}" in manifests[0]["tags"]
    assert manifests[0]["hostname"] == "shop"
    site.assert_clean()


def test_status_before_anything_is_unknown_and_never_green(site: Site) -> None:
    told = site.drd("status", "--json", code=3).json
    assert told["plans"][0]["verdict"] == "unknown"


def test_never_drilled_is_unknown_then_passed_is_met(stored: Site) -> None:
    before = stored.drd("status", "--json", code=3).json["plans"][0]
    assert before["rpo"]["verdict"] == "met"
    assert before["drill"]["verdict"] == "unknown"
    drilled = stored.drd("drill", "shop", "--json").json
    assert drilled["result"] == "passed"
    assert drilled["rta_s"] > 0
    assert 0 < drilled["rpa_s"] < 120
    after = stored.drd("status", "--json").json
    assert after["verdict"] == "met"
    assert after["plans"][0]["readiness"] == "ready"
    assert after["plans"][0]["rto"]["actual_s"] == drilled["rta_s"]
    assert stored.points()[0]["proven_by"] == drilled["evidence"]
    stored.assert_clean()
    with (stored.base / "drd.yaml").open("a") as settings:
        settings.write("not_a_key: 1\n")
    assert "drd.yaml is broken" in stored.drd("status", code=2).out, "an ok plan does not hide it"


def test_second_backup_adds_little(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=100_000)
    first = site.drd("backup", "shop", "--json").json
    second = site.drd("backup", "shop", "--json").json
    assert second["components"][0]["added_bytes"] < first["components"][0]["added_bytes"] / 10


def test_recovery_gives_back_what_was_there(stored: Site) -> None:
    with sqlite3.connect(stored.base / "shop.db") as connection:
        before = list(connection.iterdump())
    told = stored.drd("recover", "shop", "--target", "standby", "--yes", "--json").json
    assert told["result"] == "passed"
    assert told["target"] == "standby"
    with sqlite3.connect(stored.base / "back/shop.db") as connection:
        assert list(connection.iterdump()) == before
    restored = stored.base / "back/etc" / str(stored.base / "etc").lstrip("/")
    subprocess.run(["diff", "-r", "--no-dereference", stored.base / "etc", restored], check=True)
    assert (restored / "empty").is_dir()
    assert (restored / "app.conf").stat().st_mode & 0o777 == 0o640
    stored.assert_clean()


def test_recovery_refuses_a_filled_target_without_overwrite(stored: Site) -> None:
    make_sqlite(stored.base / "back/shop.db", rows=10)
    before = (stored.base / "back/shop.db").read_bytes()
    for words in (("--yes",), ("--dry-run",), ("--dry-run", "--json")):
        refused = stored.drd("recover", "shop", "--target", "standby", *words, code=1)
        assert "not empty" in refused.err + refused.out
        assert ("HINT" in refused.err) == ("--json" not in words)
    assert json.loads(refused.out)["error"]["hint"]
    assert (stored.base / "back/shop.db").read_bytes() == before
    assert not (stored.base / "back/etc").exists(), (
        "nothing may be touched when one place is refused"
    )
    words = ("recover", "shop", "--target", "standby", "--yes", "--overwrite", "--no-undo")
    stored.drd(*words)
    with sqlite3.connect(stored.base / "back/shop.db") as connection:
        assert connection.execute("select count(*) from orders").fetchone() == (1000,)
    assert sorted(p.name for p in (stored.base / "back").iterdir()) == ["etc", "shop.db"]


def test_recovery_without_a_terminal_wants_yes(stored: Site) -> None:
    refused = stored.drd("recover", "shop", "--target", "standby", code=2)
    assert "--yes" in refused.err
    planned = stored.drd("recover", "shop", "--target", "standby", "--dry-run", "--json").json
    assert planned["components"] == ["db", "conf"]
    looked = stored.drd("recover", "shop", "--target", "standby", "--dry-run").out
    assert re.search("preflight +[0-9]+ things checked", looked)
    assert not list((stored.base / "back").iterdir())


def test_recovery_before_a_time_takes_the_older_point(site: Site) -> None:
    first = site.drd("backup", "shop", "--json").json
    second = site.drd("backup", "shop", "--json").json
    planned = site.drd(
        "recover", "shop", "--target", "standby", "--dry-run", "--json",
        "--before", second["data_time"],
    ).json  # fmt: skip
    assert planned["point"] == first["point"]
    none = site.drd("recover", "shop", "--target", "standby", "--before", "1d", "--yes", code=13)
    assert "restore point" in none.err


def test_drill_without_checks_is_inconclusive(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    text = plan.read_text()
    plan.write_text(text[: text.index("checks:")] + text[text.index("targets:") :])
    site.drd("backup", "shop")
    assert site.drd("drill", "shop", "--json", code=5).json["result"] == "inconclusive"
    assert site.drd("status", "--json", code=3).json["plans"][0]["drill"]["verdict"] == "unknown"


def test_changed_plan_needs_drill(stored: Site) -> None:
    stored.drd("drill", "shop")
    plan = stored.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("> 0", "> 1"))
    stored.drd("backup", "shop")
    told = stored.drd("status", "--json").json["plans"][0]
    assert told["readiness"] == "needs drill"
    assert told["verdict"] == "at_risk"


def test_drill_without_a_point_says_so(site: Site) -> None:
    refused = site.drd("drill", "shop", "--json", code=13)
    assert refused.json["error"]["exit"] == 13
    assert "drd backup shop" in refused.json["error"]["hint"]
    assert site.runs()[0]["state"] == "failed"


def test_missing_path_makes_the_point_incomplete(stored: Site) -> None:
    plan = stored.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("/etc]", f"/etc, {stored.base}/gone]"))
    told = stored.drd("backup", "shop", "--json", code=1).json
    assert told["state"] == "incomplete"
    assert [c["state"] for c in told["components"]] == ["captured", "failed"]
    assert f"{stored.base}/gone" in told["components"][1]["error"]
    assert [p["complete"] for p in stored.points()] == [False, True]
    newest = stored.drd("status", "--json", code=3).json["plans"][0]
    assert newest["rpo"]["exposure_s"] > 0
    assert any("gone" in r["text"] if isinstance(r, dict) else "gone" in r
               for r in newest["reasons"])  # fmt: skip
    stored.assert_clean()


def test_lost_catalogue_is_rebuilt_from_the_manifests(stored: Site) -> None:
    stored.drd("backup", "shop")
    before = stored.points()
    for file in (stored.base / "state").glob("drd.db*"):
        file.unlink()
    stored.drd("catalogue", "rebuild")
    after = stored.points()
    assert [p["point"] for p in after] == [p["point"] for p in before]
    assert [p["data_time"] for p in after] == [p["data_time"] for p in before]
    assert stored.drd("drill", "shop", "--json").json["result"] == "passed"


def test_rebuild_skips_a_plan_that_cannot_be_read_and_does_the_others(
    site: Site,
) -> None:
    point = site.drd("backup", "shop", "--json").json["point"]
    (site.base / "plans/broken.yaml").write_text("plan: broken\n")
    for file in (site.base / "state").glob("drd.db*"):
        file.unlink()
    doctored = site.drd("doctor", "shop", code=None).out
    said = " ".join(doctored.split())
    assert (
        "the repository contains 1 restore point of the plan, but drd's catalogue does not know"
        in said
    )
    assert "drd catalogue rebuild" in said
    told = site.drd("catalogue", "rebuild", "--json", code=1).json
    assert "catalogue does not know any" not in site.drd("doctor", "shop", code=None).out
    assert [(p["plan"], p["added"]) for p in told["plans"]] == [("shop", [point])]
    assert [e["plan"] for e in told["errors"]] == ["broken"]
    words = site.drd("catalogue", "verify", code=1)
    assert "shop: 1 restore point in the catalogue and in a repository" in words.out
    assert "broken: " in words.err
    assert "components is missing" in site.drd("catalogue", "verify", "broken", code=2).err


def test_time_of_loss_is_one_instant_for_what_was_lost_and_how_long_it_took(site: Site) -> None:
    made = site.drd("backup", "shop", "--json").json
    told = site.drd("recover", "shop", "--target", "standby", "--yes", "--json").json
    lost_at, back, data = (
        datetime.fromisoformat(t) for t in (told["lost_at"], told["finished_at"], made["data_time"])
    )
    assert told["rpa_s"] == pytest.approx((lost_at - data).total_seconds(), abs=0.01)
    assert told["rta_s"] == pytest.approx((back - lost_at).total_seconds(), abs=0.01)


def test_retention_forgets_whole_points_and_keeps_the_proven_one(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    ids = [site.drd("backup", "shop", "--json").json["point"] for _ in range(3)]
    site.drd("drill", "shop", "--point", ids[0])
    planned = site.drd("retention", "shop", "--dry-run", "--json").json
    assert planned["forget"] == [ids[1]]
    assert len(site.points()) == 3
    site.drd("retention", "shop")
    assert {p["point"] for p in site.points()} == {ids[0], ids[2]}
    left = json.loads(site.restic("snapshots", "--json"))
    runs = {t for s in left for t in s["tags"] if t.startswith("run:")}
    assert f"run:{ids[1]}" not in {
        t for s in left if "component:drd" not in s["tags"] for t in s["tags"]
    }
    assert f"run:{ids[0]}" in runs
    site.restic("check")
    site.assert_clean()


def test_secrets_are_nowhere_but_in_their_file(stored: Site) -> None:
    stored.drd("drill", "shop")
    found = []
    for directory, _, files in os.walk(stored.base):
        for name in files:
            path = Path(directory) / name
            if b"battery staple" in path.read_bytes():
                found.append(path)
    assert found == [stored.base / "secrets/restic"]


def test_dry_run_of_a_backup_touches_nothing(site: Site) -> None:
    site.without_repository()
    told = site.drd("backup", "shop", "--dry-run", "--json").json
    assert told["dry_run"]
    assert not Path(site.repository).exists()


def test_unknown_names_are_reported_with_what_there_is(site: Site) -> None:
    assert "shop" in site.drd("backup", "shpo", code=2).err
    assert "db, conf" in site.drd("backup", "shop", "--component", "dbx", code=2).err
    assert "standby" in site.drd("recover", "shop", "--target", "x", "--yes", code=2).err
    assert site.drd("run", "show", "ffffffff", code=2).err


def test_help_fits_a_screen_and_each_verb_has_examples(site: Site) -> None:
    text = site.drd("--help").out
    assert len(text.splitlines()) <= 40
    for verb in ("backup", "drill", "recover", "points", "runs", "retention", "doctor", "status"):
        assert "examples:" in site.drd(verb, "--help").out, verb


def test_doctor_finds_everything_fine(stored: Site) -> None:
    told = stored.drd("doctor", "shop", "--json").json
    assert told["ok"], told
    assert len(told["items"]) > 5
    stored.assert_clean()


def test_repository_under_another_name_keeps_its_points(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    point = site.drd("backup", "shop", "--json").json["point"]
    plan.write_text(plan.read_text().replace("  primary:\n", "  main:\n"))
    assert site.drd("retention", "shop", "--json").json["forgotten"] == []
    assert [p["point"] for p in site.points()] == [point]
    assert site.drd("drill", "shop", "--point", point, "--json").json["result"] == "passed"


def test_a_renamed_plan_is_reported_whose_points_its_repository_has(stored: Site) -> None:
    """They belong to the name: a backup or a rebuild with the new one does not find them."""
    former = stored.base / "plans/shop.yaml"
    text = former.read_text()
    former.unlink()
    renamed = stored.base / "plans/store.yaml"
    renamed.write_text(text.replace("plan: shop", "plan: store"))
    there = (
        "the repositories of plan store contain 1 restore point of plan shop, but this host does "
        "not have the file of that plan: plan store does not restore or forget it"
    )
    again = "If store is plan shop with a new name, write `plan: shop` in its file again"

    def says(text: str) -> bool:
        words = " ".join(text.split())
        return there in words and again in words

    assert says(stored.drd("plan", "check", "store").out)
    rebuilt = stored.drd("catalogue", "rebuild", "store")
    assert "plan store: 0 restore points added" in rebuilt.out
    assert says(rebuilt.err)
    items = stored.drd("doctor", "store", "--json", code=None).json["items"]
    assert [i["code"] for i in items if says(f"{i['text']} {i['remedy']}")]
    assert says(stored.drd("points", "store").out)
    refused = stored.drd("recover", "store", "--in-place", "--dry-run", code=13)
    assert says(refused.err)
    former.write_text(text)  # two plans may store in one repository
    assert there not in stored.drd("plan", "check", "store").out
    assert there not in stored.drd("doctor", "store", "--json", code=None).out
    assert there not in stored.drd("points", "store").out
    assert there not in stored.drd("catalogue", "rebuild", "store").err
