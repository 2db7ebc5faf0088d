"""drd said `met`, `ready` and `DRD OK` while it knew that nothing could be restored: a repository
that was emptied, damage in every pack, points that had vanished, a bucket that was deleted. What
drd knows of a repository, from whatever met it, is a fact of the verdict; each lie has the healthy
plan beside it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import light_repository
from tests.e2e.copies import OFFSITE_PASSWORD, copied_site, offsite_of
from tests.e2e.daemons import daemon, until
from tests.e2e.site import PASSWORD, SMALL, Site, make_sqlite, make_tree, small_site
from tests.servers import S3Server


def plan_of(site: Site) -> dict[str, Any]:
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    return dict(plan)


def green(site: Site) -> None:
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("met", "ready"), plan["reasons"]
    assert site.drd("status", "--nagios").out.startswith("DRD OK")


def loses_everything(site: Site) -> dict[str, Any]:
    """What all of drd's words say then."""
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("breached", "not ready"), plan["reasons"]
    assert plan["rpo"]["loses_everything"]
    assert plan["rpo"]["exposure_s"] is None
    told = site.drd("status", code=3).out
    assert "everything" in told
    assert (plan["rto"]["projected_s"], plan["rto"]["verdict"] == "met") == (None, False)
    nagios = site.drd("status", "--nagios", code=2).out
    assert nagios.startswith("DRD CRITICAL")
    assert "rto_shop=U;" in nagios, "no figure for what cannot come back"
    return plan


def test_emptied_repository_is_breached_as_soon_as_a_backup_met_it(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    green(site)
    shutil.rmtree(site.repository)
    Path(site.repository).mkdir()

    site.drd("backup", "shop", code=10)
    plan = loses_everything(site)
    assert plan["repositories"][0]["state"] == "emptied"
    assert [p["gone"] for p in site.points()] == [True]
    told = site.drd("points", "shop")
    assert site.points()[0]["point"] not in told.out, "what is not there is not offered"
    assert (
        "could not be read when drd last checked, because repository primary was emptied"
        in told.err
    )
    assert plan["rpo"]["attainment"] < 1
    missed = plan["rpo"]["attainment"]
    assert missed > 0.2, "attainment counts it from when drd knew, not from before"

    told = site.drd("doctor", "shop", code=1).out
    assert "there is no repository yet" not in told
    assert plan_of(site)["verdict"] == "breached"


def test_repository_that_returns_is_used_again_and_its_outage_stays_counted(
    short_tmp: Path,
) -> None:
    site = small_site(short_tmp)
    green(site)
    away = f"{site.repository}.away"
    shutil.move(site.repository, away)
    site.drd("verify", "shop", code=10)
    assert loses_everything(site)["repositories"][0]["state"] in ("gone", "emptied")

    shutil.move(away, site.repository)
    site.drd("verify", "shop")
    plan = plan_of(site)
    assert plan["verdict"] == "met", plan["reasons"]
    assert plan["rpo"]["attainment"] < 1


def test_damage_in_every_pack_leaves_no_point_to_count(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    green(site)
    for pack in Path(site.repository, "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 0xFF
            pack.write_bytes(data)

    site.drd("verify", "shop", code=1)
    plan = loses_everything(site)
    assert plan["repositories"][0]["state"] == "damaged"
    assert [p["damaged"] for p in site.points()] == [["primary"]]

    site.drd("backup", "shop", code=None)
    assert plan_of(site)["verdict"] == "breached", "new data there may depend on damaged data"


def test_vanished_points_do_not_count_and_are_not_chosen(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    green(site)
    (point,) = site.points()
    listed = json.loads(site.restic("snapshots", "--json", "--tag", f"run:{point['point']}"))
    site.restic("forget", *(s["id"] for s in listed))

    site.drd("catalogue", "verify", code=1)
    plan = loses_everything(site)
    assert any("no longer in the repository" in reason for reason in plan["reasons"])
    assert site.points() == []
    site.drd("recover", "shop", "--target", "standby", "--dry-run", code=13)

    site.drd("backup", "shop")
    site.drd("drill", "shop")
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("at_risk", "not ready"), "nobody has seen to it"
    site.drd("points", "forget", point["point"], "--reason", "removed by hand")
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("met", "ready"), plan["reasons"]

    # An older one of two: as soon as somebody has given it up, without another backup.
    site.drd("backup", "shop")
    older = site.points()[-1]["point"]
    listed = json.loads(site.restic("snapshots", "--json", "--tag", f"run:{older}"))
    site.restic("forget", *(s["id"] for s in listed))
    site.drd("catalogue", "verify", code=1)
    assert plan_of(site)["verdict"] == "at_risk"
    site.drd("points", "forget", older, "--reason", "removed by hand")
    assert plan_of(site)["verdict"] == "met"


def remove_below(repository: Path, *names: str) -> None:
    for name in names:
        for file in (repository / name).rglob("*"):
            if file.is_file():
                file.unlink()


def restic_at(repository: Path, password: str, *words: str) -> None:
    environment = {**os.environ, "RESTIC_PASSWORD": password}
    command = ["restic", "-r", str(repository), "--no-cache", *words]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def test_point_that_builds_on_data_that_is_gone_does_not_count(short_tmp: Path) -> None:
    """restic stores nothing again that its index has."""
    site = small_site(short_tmp)
    green(site)
    told = site.drd("backup", "shop")
    assert "checking" not in told.err, "the healthy twin"
    assert plan_of(site)["verdict"] == "met"
    remove_below(Path(site.repository), "data", "snapshots")

    told = site.drd("backup", "shop")
    assert "drd now checks whether other data is missing, too" in told.err
    assert loses_everything(site)["repositories"][0]["state"] == "damaged"
    site.drd("catalogue", "verify", code=None)
    loses_everything(site)


def test_copy_that_lost_data_is_not_filled_with_points_that_cannot_come_back(
    short_tmp: Path,
) -> None:
    """restic copies nothing that the index there has."""
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    [first] = site.points()
    remove_below(offsite_of(site), "snapshots")
    told = site.drd("copy", "shop")
    assert "drd now checks whether other data is missing, too" in told.err
    assert [p["repositories"] for p in site.points()] == [["offsite", "primary"]], (
        "the healthy twin"
    )
    site.drd("recover", "shop", "--target", "standby", "--repository", "offsite", "--yes")

    remove_below(offsite_of(site), "snapshots", "data")
    for _ in range(2):  # also when it is known already
        told = site.drd("copy", "shop", code=1)
        assert "offsite has lost snapshots and data, so drd does not copy into it" in told.err
        assert "docs/copies.md, Repairing a repository" in told.err
    [offsite] = [r for r in plan_of(site)["repositories"] if r["repository"] == "offsite"]
    assert offsite["state"] == "damaged"
    assert [p["repositories"] for p in site.points()] == [["primary"]]

    restic_at(offsite_of(site), OFFSITE_PASSWORD, "repair", "index")
    site.drd("copy", "shop")
    site.drd("verify", "shop", "--repository", "offsite")
    [point] = site.points()
    assert (point["point"], point["repositories"]) == (first["point"], ["offsite", "primary"])
    [offsite] = [r for r in plan_of(site)["repositories"] if r["repository"] == "offsite"]
    assert offsite["state"] == "ok"


def test_a_listing_records_points_that_lost_a_snapshot(short_tmp: Path) -> None:
    """Its manifest stays. Each command by itself takes note, and takes it back when it is there
    again."""
    site = small_site(short_tmp)
    green(site)
    (point,) = site.points()
    held = Path(site.repository, "snapshots", point_snapshot(site, point["point"], "db"))
    away = short_tmp / "away"
    dry_run = ("recover", "shop", "--target", "standby", "--dry-run")
    says = {
        ("doctor", "shop"): (1, "lacks snapshots of restore point"),
        dry_run: (13, "the snapshot of db is missing"),
        ("verify", "shop"): (1, "lacks snapshots of restore point"),
        ("catalogue", "verify", "shop"): (1, "is incomplete in repository primary"),
        ("drill", "shop"): (4, "db can be restored"),
    }
    for words, (code, text) in says.items():
        held.rename(away)
        told = site.drd(*words, code=code)
        assert text in told.out + told.err, words
        assert "sound" not in told.out
        loses_everything(site)
        assert [p["torn"] for p in site.points()] == [["primary"]], words
        away.rename(held)
        site.drd(*words)
        if words[0] == "drill":  # it lists nothing where all comes back
            site.drd("doctor", "shop")
        plan = plan_of(site)
        assert (plan["verdict"], plan["readiness"]) == ("met", "ready"), (words, plan["reasons"])

    held.rename(away)
    told = site.drd("backup", "shop")
    assert "drd now checks whether other data is missing, too" in told.err
    plan = plan_of(site)
    assert (plan["verdict"], plan["readiness"]) == ("at_risk", "not ready"), (
        "the new point is whole"
    )
    assert "snapshots missing in primary" in site.drd("points", "shop").out
    back = short_tmp / "back"
    shutil.rmtree(back)
    back.mkdir()
    words = ("recover", "shop", "--target", "standby", "--point", point["point"], "--yes")
    site.drd(*words, code=13)
    assert list(back.iterdir()) == [], "seen before anything is touched"
    site.drd("points", "forget", point["point"], "--reason", "removed by hand")
    plan = plan_of(site)
    assert plan["verdict"] == "met", plan["reasons"]


def point_snapshot(site: Site, point: str, component: str) -> str:
    tags = f"run:{point},component:{component}"
    (found,) = json.loads(site.restic("snapshots", "--json", "--tag", tags))
    return str(found["id"])


def test_dry_run_asks_the_repository_for_the_point(stored: Site) -> None:
    stored.drd("recover", "shop", "--target", "standby", "--dry-run")
    (point,) = stored.points()
    listed = json.loads(stored.restic("snapshots", "--json", "--tag", f"run:{point['point']}"))
    stored.restic("forget", *(s["id"] for s in listed))
    told = stored.drd("recover", "shop", "--target", "standby", "--dry-run", code=None)
    assert told.code != 0
    assert "does not contain restore point" in told.out + told.err


def test_lost_primary_with_a_readable_copy_is_at_risk_and_critical(short_tmp: Path) -> None:
    site = copied_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    site.drd("drill", "shop")
    assert plan_of(site)["verdict"] == "met"
    shutil.rmtree(site.repository)

    site.drd("backup", "shop", code=10)
    plan = plan_of(site)
    assert plan["verdict"] == "at_risk", plan["reasons"]
    assert plan["readiness"] == "not ready"
    assert plan["rpo"]["exposure_s"] is not None

    shutil.rmtree(offsite_of(site))
    site.drd("copy", "shop", code=None)
    site.drd("catalogue", "verify", code=None)
    loses_everything(site)


@pytest.fixture
def bucket_site(short_tmp: Path, s3: S3Server) -> Site:
    bucket = f"lies-{secrets.token_hex(6)}"
    s3.create_bucket(bucket)
    site = Site(short_tmp, s3.repository(bucket, "drd"))
    light_repository.begin_in_bucket(s3, site.repository, PASSWORD)
    make_sqlite(short_tmp / "shop.db")
    make_tree(short_tmp / "etc")
    (short_tmp / "back").mkdir()
    access, secret = site.secret("access", s3.access_key), site.secret("key", s3.secret_key)
    site.plan(
        SMALL.format(base=short_tmp),
        s3=f"    s3: {{access_key: {access}, secret_key: {secret}}}",
        rpo="6h",
    )
    return site


def delete_bucket(s3: S3Server, bucket: str) -> None:
    client = s3.client()
    listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    for entry in listed:
        client.delete_object(Bucket=bucket, Key=entry["Key"])
    client.delete_bucket(Bucket=bucket)


def test_deleted_bucket_is_breached_within_the_time_of_a_probe(
    bucket_site: Site, s3: S3Server
) -> None:
    site = bucket_site
    green(site)
    with daemon(site):
        until(lambda: plan_of(site)["verdict"] == "met", "a daemon that finds all well")
        delete_bucket(s3, site.repository.split("/")[3])
        until(lambda: plan_of(site)["verdict"] == "breached", "the probe", within_s=100)
        plan = loses_everything(site)
        assert plan["repositories"][0]["state"] == "gone"
        until(
            lambda: any(
                a["kind"] == "repository-gone" and a["severity"] == "critical"
                for a in plan_of(site)["alerts"]
            ),
            "the alert",
        )


def test_server_that_does_not_answer_is_not_gone(bucket_site: Site, s3: S3Server) -> None:
    site = bucket_site
    green(site)
    s3.stop()
    try:
        site.drd("verify", "shop", code=1)
        plan = plan_of(site)
        assert plan["verdict"] == "met", plan["reasons"]
        assert plan["repositories"][0]["state"] == "unreachable"
        assert any("cannot reach" in reason for reason in plan["reasons"])
        site.drd("backup", "shop", code=1)
        assert plan_of(site)["verdict"] == "at_risk"
    finally:
        s3.start()
    site.drd("backup", "shop")
    assert plan_of(site)["verdict"] == "met"


def test_password_that_opens_nothing_is_breached_and_the_right_one_ends_it(
    short_tmp: Path,
) -> None:
    """The status stayed `met` while backup, doctor and readiness could not open the repository."""
    site = small_site(short_tmp)
    green(site)
    for words, code in ((("doctor", "shop"), 1), (("backup", "shop"), 12)):
        site.secret("restic", "another password")
        site.drd(*words, code=code)
        plan = loses_everything(site)
        assert plan["repositories"][0]["state"] == "shut"
        assert any("repository primary does not open" in reason for reason in plan["reasons"]), (
            plan["reasons"]
        )
        site.secret("restic", PASSWORD)
        site.drd("doctor", "shop")
        assert plan_of(site)["repositories"][0]["state"] == "ok"
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    assert plan_of(site)["verdict"] == "met", "the healthy twin"


def test_damage_that_no_point_needs_yet_pauses_retention(short_tmp: Path) -> None:
    """What is stored after the damage builds on it, and does not count: it pushed out what did."""
    site = small_site(short_tmp)
    plan = site.base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + "retention: {last: 1}\n")
    green(site)
    stray = site.base / "stray"
    stray.write_bytes(os.urandom(100_000))
    before = {p for p in (Path(site.repository) / "data").rglob("*") if p.is_file()}
    restic_at(Path(site.repository), PASSWORD, "backup", "--host", "another", str(stray))
    after = {p for p in (Path(site.repository) / "data").rglob("*") if p.is_file()}
    pack = max(after - before, key=lambda p: p.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[100] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(data)

    site.drd("verify", "shop", code=1)
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    told = site.drd("retention", "shop", "--json").json
    assert [p["code"] for p in told["pauses"]] == ["damage"]
    assert told["state"] == "paused"
    assert len(site.points()) == 3
