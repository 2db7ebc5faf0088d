"""drd said `met` and `ready` after `drd kit verify` had met a repository that was gone, and kept
calling a kit useless that had nothing wrong with it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site

KEY = "a passphrase of a kit"


def kit_of(site: Site) -> tuple[str, ...]:
    """A kit of the plan, and the words that verify it."""
    key = site.base / "kit-passphrase"
    key.write_text(f"{KEY}\n")
    key.chmod(0o600)
    file = str(site.base / "shop.kit")
    opener = ("--passphrase-file", str(key))
    site.drd("kit", "export", "shop", "--to", file, *opener)
    return ("kit", "verify", file, *opener)


def plan_of(site: Site) -> dict[str, Any]:
    (plan,) = site.drd("status", "--json", code=None).json["plans"]
    return dict(plan)


def kit_finding(site: Site) -> dict[str, Any]:
    found = site.drd("doctor", "shop", "--json", code=None).json["items"]
    return next(f for f in found if f["name"].startswith(("recovery kit", "kit ")))


@pytest.mark.parametrize("state", ["gone", "emptied", "replaced"])
def test_repository_that_a_kit_did_not_open_is_known_to_be_lost(stored: Site, state: str) -> None:
    verify = kit_of(stored)
    stored.drd(*verify)
    assert plan_of(stored)["repositories"][0]["state"] == "ok"

    away = f"{stored.repository}.away"
    shutil.move(stored.repository, away)
    if state != "gone":
        Path(stored.repository).mkdir()
    if state == "replaced":
        stored.restic("init")
    stored.drd(*verify, code=10)
    plan = plan_of(stored)
    assert plan["verdict"] == "breached"
    assert plan["repositories"][0]["state"] == state
    told = stored.drd("kit", "export", "shop", "--to", *verify[2:])
    assert "primary" in told.err, (
        "a kit of a repository that is gone is written with a word about it"
    )
    stored.drd(*verify, code=10)

    if state != "gone":
        shutil.rmtree(stored.repository)
    shutil.move(away, stored.repository)
    finding = kit_finding(stored)
    assert "kit verify" in finding["hint"], "a new kit would be no better"
    assert "kit export" not in finding["hint"]
    stored.drd(*verify)
    assert plan_of(stored)["repositories"][0]["state"] == "ok"
    assert "opened every repository" in kit_finding(stored)["detail"]
    told = stored.drd("kit", "export", "shop", "--to", *verify[2:]).err
    [warning] = re.findall("warning: .*", told)
    assert warning.startswith(
        f"warning: plan shop stores only in directories ({stored.repository}). "
    ), told


def test_kit_with_an_old_password_says_nothing_about_the_repository(stored: Site) -> None:
    verify = kit_of(stored)
    new = stored.secret("new", "the password of today")
    text = (stored.base / "plans/shop.yaml").read_text()
    stored.drd("repository", "rekey", "shop", "--password", new, "--no-wait")
    (stored.base / "plans/shop.yaml").write_text(text.replace("secrets/restic", "secrets/new"))
    stored.drd("repository", "rekey", "shop")
    stored.drd(*verify, code=12)
    plan = plan_of(stored)
    assert plan["repositories"][0]["state"] == "ok", plan["reasons"]
    assert "kit export" in kit_finding(stored)["hint"], "that kit is of no use any more"
