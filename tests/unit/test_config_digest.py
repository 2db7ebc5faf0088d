"""The resolved plan and its hash: changed by what matters and by nothing else."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from drd.config.durations import duration_text
from drd.config.plan_file import load_plan
from drd.config.writing import yaml_text
from drd.model.cron import longest_gap
from drd.model.snapshot import json_digest
from drd.model.units import parse_duration
from tests.config_support import EXAMPLES, GOOD, changed, load

EXAMPLE_FILES = sorted(EXAMPLES.glob("*.yaml"))


def digest(directory: Path, text: str) -> str:
    return load(directory, text).plan.digest


SAME = [
    ("plan: shop", "# a comment\n\nplan:   'shop'  # another"),
    ("rpo: 1h, rto: 1h", "rto: 60m, rpo: 3600s, window: 90d"),
    ("rto: 1h}", 'rto: 1h}\nowner: ""'),
    ("kind: sqlite", "kind: sqlite\n    fingerprint: counts"),
    ("kind: sqlite", "kind: sqlite\n    fingerprint: {budget: 60s}"),
    ("daily: 7", "daily: 7, every: 24h"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nprune: {}\nverification: {read_all_within: 90d}"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nprune: {every: 7d}\nverification: {every: 1w}"),
    ("backup: {every: 10m}", "backup: {every: 10m, blackout: [], retries: 5}"),
    ("backup: {every: 10m}", "backup:\n  timezone: UTC\n  every: 600s"),
    ("drill: {every: 7d}", "drill: {every: 1w, scenarios: [database-loss]}"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nrunbook: [{restore: all}, {check: all}]"),
    ("kind: rows, component: db", "kind: rows, component: db, tolerance: 0"),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_two_plans_that_mean_the_same_have_the_same_hash(
    tmp_path: Path, old: str, new: str
) -> None:
    assert digest(tmp_path, changed(old, new)) == digest(tmp_path, GOOD)


OTHER = [
    ("rpo: 1h", "rpo: 2h"),
    ("rto: 1h", "rto: 2h"),
    ("rto: 1h", "rto: 1h, window: 30d"),
    ("rto: 1h}", "rto: 1h}\nowner: me"),
    ("credential: shop-dsn", "credential: other-dsn"),
    ("dsn: {credential: shop-dsn}", "dsn: {env: shop-dsn}"),
    ("dsn: {credential: shop-dsn}", "dsn: dbname=shop"),
    ("kind: postgres", "kind: postgres\n    compression: zstd"),
    ("kind: postgres", "kind: postgres\n    fingerprint: digest"),
    ("kind: postgres", "kind: postgres\n    before: {command: [x]}"),
    ("kind: postgres", "kind: postgres\n    after: {command: [x]}"),
    ("/srv/shop/shop.db", "/srv/shop/shop2.db"),
    ("[/etc/shop]", "[/etc/shop, /etc/more]"),
    ("[/etc/shop]", "[/etc/shop]\n    exclude: ['*.tmp']"),
    ("  store:", "  shop:"),
    ("bucket/shop", "bucket/other"),
    ("bucket/shop", "bucket/shop\n    protection: object-lock"),
    ("bucket/shop", "bucket/shop\n    s3: {region: x}"),
    ("every: 10m", "every: 11m"),
    ("every: 10m", "every: 10m, timeout: 2h"),
    ("every: 10m", "every: auto"),
    ("every: 10m", "every: 10m, retries: 4"),
    ("every: 10m", 'every: 10m, blackout: [{from: "06:00", to: "06:30"}]'),
    ("daily: 7", "daily: 7, every: never"),
    ("every: 7d", "every: 7d, timeout: 1h"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nprune: {every: never}"),
    ("drill: {every: 7d}", "drill: {every: 7d}\nverification: {read_all_within: 60d}"),
    ("daily: 7", "daily: 8"),
    ("name: rows", "name: all rows"),
    ("kind: rows, component: db", "kind: rows, component: db, tolerance: 1"),
    ("{name: files, kind: files, component: etc}", "{name: files, kind: command, run: [x]}"),
    ("every: 7d", "every: 8d"),
    ("every: 7d", "every: 7d, restore_point: {random_within: 9d}"),
    ("drill: {every: 7d}", "drill: {every: 7d}\ntargets: {x: {etc: {path: /y}}}"),
    (
        "drill: {every: 7d}",
        "drill: {every: 7d}\nrunbook: [{restore: [etc]}, {restore: [db, store]}]",
    ),
]


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_every_value_that_means_something_changes_the_hash(
    tmp_path: Path, old: str, new: str
) -> None:
    text = changed(old, new)
    if old == "  store:":
        text = text.replace("component: store", "component: shop")
    assert digest(tmp_path, text) != digest(tmp_path, GOOD)


def test_the_hash_is_of_the_resolved_plan(tmp_path: Path) -> None:
    plan = load(tmp_path, GOOD).plan
    assert plan.digest == json_digest(plan.resolved)
    assert json.loads(json.dumps(plan.resolved)) == plan.resolved


def test_upgrade_leaves_the_hash_of_a_plan_that_says_nothing_new(tmp_path: Path) -> None:
    """Made by version 0.1.0: with another hash, every plan would be one that was never drilled."""
    by_the_first = "feee42ee3257b871d3beba346a46d9898dec8530bdc9b987283bfead11fc89b5"
    assert digest(tmp_path, GOOD) == by_the_first


def test_durations_of_the_resolved_plan_are_seconds(tmp_path: Path) -> None:
    resolved: Any = load(tmp_path, GOOD).plan.resolved
    assert resolved["objectives"] == {"rpo_s": 3600, "rto_s": 3600, "window_s": 7776000}
    assert resolved["backup"]["every_s"] == 600
    assert resolved["drill"]["every_s"] == 604800
    assert resolved["components"]["db"]["fingerprint"] == {"mode": "counts", "budget_s": 60}


def test_secret_references_stay_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2secret")
    monkeypatch.setenv("SHOP", "hunter2secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    text = changed("{credential: shop-dsn}", "{env: SHOP}")
    text = text.replace("{credential: shop-restic}", f"{{file: {secret}}}")
    text = text.replace(
        "bucket/shop",
        "bucket/shop\n    s3: {access_key: {credential: secret}, "
        f"secret_key: {{command: [cat, {secret}]}}}}",
    )
    loaded = load(tmp_path, text)
    assert "hunter2secret" not in repr(loaded)
    resolved: Any = loaded.plan.resolved
    assert resolved["components"]["db"]["dsn"] == {"env": "SHOP"}
    assert resolved["repositories"]["primary"]["password"] == {"file": str(secret)}


def test_script_that_changes_makes_the_plan_unproven(tmp_path: Path) -> None:
    script = tmp_path / "check.sh"
    script.write_text("exit 0")
    text = changed(
        "{name: files, kind: files, component: etc}",
        f"{{name: files, kind: command, component: etc, run: [sh, {script}]}}",
    )
    before = load(tmp_path, text).plan
    assert digest(tmp_path, text) == before.digest
    script.write_text("exit 1")
    after = load(tmp_path, text).plan
    assert after.digest != before.digest
    commands: Any = after.resolved["commands"]
    assert set(commands) == {"sh", str(script)}
    script.unlink()
    assert digest(tmp_path, text) not in (before.digest, after.digest)


def test_hash_does_not_depend_on_the_path_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = changed("kind: postgres", "kind: postgres\n    before: {command: [sh, -c, 'true']}")
    before = digest(tmp_path, text)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert digest(tmp_path, text) == before


@pytest.mark.parametrize("path", EXAMPLE_FILES, ids=lambda p: p.stem)
def test_plan_as_shown_is_the_same_plan(tmp_path: Path, path: Path) -> None:
    loaded = load_plan(path)
    again = load(tmp_path, yaml_text(loaded.as_written), path.name)
    assert again.plan.digest == loaded.plan.digest
    assert again.plan.runbook == loaded.plan.runbook
    assert again.as_written == loaded.as_written


def test_plan_with_times_of_every_kind_as_shown_is_the_same_plan(tmp_path: Path) -> None:
    night = 'blackout: [{from: "22:00", to: "06:00", days: [fri]}]'
    text = changed("every: 10m", f"every: auto, {night}, jitter: 90s")
    text = text.replace("daily: 7", "daily: 7, every: never")
    text += f'prune: {{cron: "@weekly", {night}}}\nverification: {{every: never}}\n'
    loaded = load(tmp_path, text)
    again = load(tmp_path, yaml_text(loaded.as_written))
    assert again.plan == loaded.plan
    resolved: Any = loaded.plan.resolved
    assert resolved["backup"]["every"] == "auto"
    assert resolved["backup"]["blackout"] == [{"from": "22:00", "to": "06:00", "days": ["fri"]}]
    assert resolved["verification"]["every"] == "never"


@given(st.integers(1, 100 * 366 * 86400 * 1000).map(lambda ms: ms / 1000))
def test_durations_come_back_from_their_text(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("* * * * *", 1 / 60),
        ("*/10 * * * *", 1 / 6),
        ("0 */6 * * *", 6),
        ("*/10 8-18 * * *", 13 + 1 / 6),
        ("* 9-16 * * 1-5", 64 + 1 / 60),
        ("0 3 * * 0", 7 * 24),
        ("0 0 1 * *", 31 * 24),
        ("0 0 1 1 *", 366 * 24),
    ],
)
def test_longest_gap_of_a_cron(expression: str, hours: float) -> None:
    assert longest_gap(expression, "UTC") == pytest.approx(hours * 3600)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Africa/Casablanca"])
@pytest.mark.parametrize("expression", ["30 3 * * *", "50 */3 * * *", "0 4,5,22 * * *"])
def test_days_that_are_alike_have_the_longest_gap_of_two_months(expression: str, zone: str) -> None:
    """In Casablanca the clocks change in February 2026."""
    first = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    starts = [
        at.timestamp() for at in takewhile(lambda at: at.month < 3, CronSim(expression, first))
    ]
    longest = max(after - before for before, after in pairwise(starts))
    assert longest_gap(expression, zone) == longest
