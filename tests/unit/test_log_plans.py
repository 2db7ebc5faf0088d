"""What a plan says about logs: where they are stored, and what decides how much is lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from drd.model.log_place import place_of_logs
from drd.model.own_objectives import oldest_s
from drd.model.pauses import of_backups
from tests.catalogue_support import T0, point
from tests.config_support import load, problems

PLAN = """\
plan: shop
owner: tests
objectives: {{rpo: 60s, rto: 1h}}
components:
  server:
    kind: postgres-cluster
    dsn: "postgresql://drd@db1/orders"
    wal: {{every: {every}}}
{more}repositories:
  primary: {{url: "{url}", password: {{env: X}}}}
backup: {{every: {backup}}}
retention: {{daily: 7}}
checks:
  - {{name: rows, kind: rows, component: server}}
drill: {{every: 7d}}
"""
MORE = "  etc: {kind: files, paths: [/etc]}\n"
URL = "s3:https://s3.example.com/bucket/shop"


def logged_plan(**said: str) -> str:
    return PLAN.format(**{"every": "30s", "more": "", "url": URL, "backup": "1d"} | said)


def _warnings(tmp_path: Path, text: str) -> list[str]:
    return [w.message for w in load(tmp_path, text).warnings]


def test_backups_are_not_compared_with_the_rpo_where_logs_decide(tmp_path: Path) -> None:
    assert _warnings(tmp_path, logged_plan()) == []
    said = _warnings(tmp_path, logged_plan(more=MORE))
    assert "a backup every 1d cannot keep an RPO of 1m" in said
    [said] = _warnings(tmp_path, logged_plan(every="60s"))
    assert said == "storing the log of server every 1m cannot keep an RPO of 1m"


def test_auto_makes_a_backup_a_day_where_logs_decide(tmp_path: Path) -> None:
    policy = load(tmp_path, logged_plan(backup="auto")).plan.backup
    assert (policy.auto, policy.every_s) == (False, 86400.0)
    mixed = load(tmp_path, logged_plan(backup="auto", more=MORE)).plan.backup
    assert (mixed.auto, mixed.every_s) == (True, None)


def test_a_bucket_without_a_prefix_has_no_place_for_logs(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, logged_plan(url="s3:https://s3.example.com/bucket/"))
    assert (problem.path, problem.line) == ("repositories.primary.url", 10)
    assert "drd stores the log of server beside it" in problem.message
    assert problem.hint == "write a path behind it: s3:https://s3.example.com/bucket/shop"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/srv/backup/", "/srv/backup-wal"),
        ("/", None),
        ("s3:s3.example.com/bucket/shop/", "s3:https://s3.example.com/bucket/shop-wal"),
        ("s3:s3.example.com/bucket", None),
        ("sftp:me@nas:/srv/b", "sftp:me@nas:/srv/b-wal"),
        ("rest:https://nas:8000/", None),
        ("rest:https://nas:8000/shop/", "rest:https://nas:8000/shop-wal"),
        ("b2:bucket", None),
        ("b2:bucket:shop", "b2:bucket:shop-wal"),
        ("gs:bucket:/", None),
        ("azure:container:/shop", "azure:container:/shop-wal"),
        ("rclone:remote:", None),
        ("rclone:remote:shop", "rclone:remote:shop-wal"),
    ],
)
def test_the_place_is_beside_the_repository(url: str, place: str | None) -> None:
    assert place_of_logs(url) == place


def test_retention_does_not_wait_for_backups_that_are_as_rare_as_planned() -> None:
    old = [point("p", T0 - timedelta(hours=25))]
    found = [
        of_backups("shop", old, last_failed=None, rpo_s=oldest_s(60.0, interval), now=T0)
        for interval in (86400.0, None)
    ]
    assert [[p.code for p in pauses] for pauses in found] == [[], ["rpo"]]


def test_plan_check_says_that_a_copy_gets_no_log(tmp_path: Path) -> None:
    copy = "  second: {{url: {}, password: {{env: Y}}, copy_of: primary}}\nbackup: {{every"
    text = logged_plan().replace("backup: {every", copy.format("s3:https://s3.example.com/whole"))
    [warning] = load(tmp_path, text).warnings
    assert warning.path == "repositories.second.url"
    assert warning.message == (
        "is a whole bucket or server, so drd cannot copy the log of server beside it: a recovery "
        "from this copy alone loses what was written after the restore point"
    )
    with_place = logged_plan().replace("backup: {every", copy.format("/srv/copy"))
    assert not load(tmp_path, with_place).warnings
    without = text.replace("    wal: {every: 30s}\n", "")
    assert not [w for w in load(tmp_path, without).warnings if "copy" in w.path]
