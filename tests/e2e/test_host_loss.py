"""The copy of the kit that drd tries by itself: on a schedule, and in drills that have nothing
else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyrage
import pytest

from tests.e2e.daemons import daemon, until
from tests.e2e.site import Site, small_site


@pytest.fixture
def small(short_tmp: Path) -> Site:
    """A kit lies where the plan says."""
    site = small_site(short_tmp)
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    (site.base / "etc/recipient").write_text(str(identity.to_public()))
    plan = site.base / "plans/shop.yaml"
    opener = f"identity: {{file: {site.base}/secrets/identity}}"
    plan.write_text(f"{plan.read_text()}kit: {{file: {site.base}/k, {opener}}}\n")
    site.drd("backup", "shop")
    return site


def export(site: Site) -> None:
    recipient = (site.base / "etc/recipient").read_text()
    site.drd("kit", "export", "shop", "--to", f"{site.base}/k", "--recipient", recipient)


def drill(site: Site, *words: str, code: int = 0) -> dict[str, str]:
    """The observed values by the names of the checks, and `result` and `reason`."""
    told = site.drd("drill", "shop", "--scenario", "host-loss", "--json", *words, code=code).json
    assert told["scenario"] == "host-loss"
    site.assert_clean()
    found = {c["name"]: f"{c['verdict']}: {c['observed']}" for c in told["checks"]}
    return found | {"result": told["result"], "reason": told["reason"] or ""}


def finding(site: Site, name: str) -> str:
    """What readiness says under this name; empty where that is in order or not mentioned."""
    (plan,) = site.drd("readiness", "shop", "--json", code=None).json["plans"]
    return next(
        (f["evidence"] for f in plan["findings"] if f["name"] == name and f["severity"] != "ok"), ""
    )


def test_a_lost_host_is_rehearsed_with_the_kit_alone(small: Site) -> None:
    export(small)
    # What is left of the host is of no use: its key opens nothing, its restore points are
    # forgotten.
    small.secret("restic", "not the password any more")
    (small.base / "shop.db").write_bytes(b"")
    told = drill(small)
    assert told["result"] == "passed"
    assert told["orders are there"] == "passed: 1,000"
    assert "1 secret" in told["recovery kit opens"]
    assert "1 restore point found" in told["recovery kit opens"]
    here = "recovery kit: repository primary is a directory here"
    assert told[here].startswith("not_run"), "it is lost with this host"


@pytest.mark.faults
def test_a_drill_with_a_kit_uses_the_plan_in_the_kit(small: Site) -> None:
    export(small)
    plan = small.base / "plans/shop.yaml"
    text = plan.read_text().replace("rto: 30m", "rto: 20m")
    plan.write_text(text.replace("every: 7d", "every: 7d, scenarios: [host-loss]"))
    told = drill(small)
    assert "recovery kit: older than the plan" not in told, "it recovers the same"
    assert finding(small, "drill host-loss") == ""
    plan.write_text(plan.read_text().replace('expect: "> 0"', 'expect: "> 1"'))
    told = drill(small)
    assert told["result"] == "passed"
    assert "the kit contains the plan with hash" in told["recovery kit: older than the plan"]
    assert "the plan has changed since then" in finding(small, "drill host-loss")
    export(small)
    drill(small)
    assert finding(small, "drill host-loss") == ""


@pytest.mark.faults
def test_a_host_loss_drill_without_a_usable_kit_is_inconclusive(small: Site) -> None:
    told = drill(small, code=5)
    assert told["result"] == "inconclusive"
    assert f"cannot read the kit {small.base}/k" in told["reason"]
    export(small)
    small.secret("stranger", str(pyrage.x25519.Identity.generate()))
    given = ("--kit", f"{small.base}/k", "--identity", f"{small.base}/secrets/stranger")
    told = drill(small, *given, code=4)
    assert told["result"] == "failed"
    assert "this identity does not open the kit" in told["recovery kit opens"]
    # The repository was given another password, and nobody made a new kit.
    small.restic("key", "add", "--new-password-file", f"{small.base}/secrets/stranger")
    keys = json.loads(small.restic("key", "list", "--json"))
    (old,) = (k["id"] for k in keys if k["current"])
    (whole,) = (p for p in (Path(small.repository) / "keys").iterdir() if p.name.startswith(old))
    whole.unlink()
    told = drill(small, code=4)
    assert told["recovery kit opens"].startswith("failed: ")
    plan = small.base / "plans/shop.yaml"
    plan.write_text("\n".join(li for li in plan.read_text().splitlines() if "kit:" not in li))
    told = drill(small, code=5)
    assert "no recovery kit is configured" in told["reason"]
    refused = small.drd("drill", "shop", "--kit", f"{small.base}/k", code=2)
    assert "--kit needs one of --passphrase-file, --identity and --share" in refused.err
    refused = small.drd("drill", "shop", *given, code=2)
    assert (
        "--kit is allowed only with the scenario host-loss, not with database-loss" in refused.err
    )


def test_a_killed_drill_leaves_nothing_of_the_kit(small: Site) -> None:
    export(small)
    small.killed_at("after:open the kit", "drill", "shop", "--scenario", "host-loss")
    (place,) = (small.base / "work").glob("run-*/host")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    secrets = [p for p in place.rglob("*") if p.is_file() and p.parent.name == "secrets"]
    assert secrets, "the password of the repository lies there while the drill goes on"
    assert {stat.S_IMODE(p.stat().st_mode) for p in secrets} == {0o600}
    small.drd("backup", "shop")
    small.assert_clean()


def test_the_daemon_tests_the_kit_and_alerts_on_failure(small: Site) -> None:
    plan = small.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("kit: {", "kit: {verify: {every: 2s}, "))
    export(small)
    items = small.drd("schedule", "shop", "--json").json["items"]
    (item,) = (i for i in items if i["kind"] == "kit")
    assert (item["repository"], item["why"]) == (None, "every 2s: the first run")

    def tries(state: str) -> list[str]:
        return [
            json.loads(detail)["file"]
            for (detail,) in small.catalogue(
                "select detail from runs where kind = 'kit' and subject = 'verify' and state = ?",
                state,
            )
        ]

    with daemon(small) as running:
        until(lambda: tries("succeeded"), "a kit that opens", running)
        assert tries("succeeded")[0] == f"{small.base}/k"
        (small.base / "k").rename(small.base / "lost")
        until(lambda: tries("failed"), "a kit that is not there", running)
        until(
            lambda: small.catalogue("select 1 from alerts where kind = 'kit-failing'"),
            "the alert",
            running,
        )
    assert f"cannot read the kit {small.base}/k" in finding(small, "kit missing")
    (small.base / "lost").rename(small.base / "k")
    small.drd("kit", "verify", f"{small.base}/k", "--identity", f"{small.base}/secrets/identity")
    small.assert_clean()


@pytest.mark.faults
def test_a_kit_of_all_plans_is_tried_once_drd_yaml_names_it(small: Site) -> None:
    """A reload is enough; and the daemon rehearses the loss of its host in its turn."""
    plan, config = small.base / "plans/shop.yaml", small.base / "drd.yaml"
    lines = plan.read_text().splitlines()
    (kit,) = (line for line in lines if line.startswith("kit: "))
    drills = "drill: {every: 5s, scenarios: [host-loss]}"
    lines = [drills if li.startswith("drill: ") else li for li in lines if li != kit]
    plan.write_text("\n".join(lines) + "\n")
    export(small)

    def seen(query: str) -> list[tuple[str, ...]]:
        return small.catalogue(f"select id from {query}")

    with daemon(small) as running:
        until(lambda: seen("evidence where result = 'inconclusive'"), "no kit", running)
        assert not seen("runs where kind = 'kit' and subject = 'verify'")
        config.write_text(
            f"{config.read_text()}{kit.replace('kit: {', 'kit: {verify: {every: 3s}, ')}\n"
        )
        running.reload()
        until(
            lambda: seen("runs where subject = 'verify' and state = 'succeeded'"),
            "the kit that drd.yaml names",
            running,
        )
        until(lambda: seen("evidence where result = 'passed'"), "a drill with it", running)
        items = small.drd("schedule", "shop", "--json").json["items"]
        assert "kit" in {i["kind"] for i in items}
    small.assert_clean()
