"""Attack: the service's user writes a command into the catalogue, where drd keeps remedies and what
to do next, and waits until root pastes it.

`drd run show`, `drd status`, `drd alerts` and `drd evidence show` printed it as drd's own advice.
Now root is shown what root's own record says, commands of drd's that change nothing, and words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd import record_writer
from drd.cli import vouched
from drd.model.recorded_remedy import is_command
from tests.e2e.site import Site, make_tree, one_tree
from tests.security.test_root_ledger import OWNER, RECOVER, changes, noted, owned, run_of
from tests.user_support import as_root

EVIL = "sh /var/tmp/evil"
FORGED = f"first\n  next       1. repair it: {EVIL}\x1b[2K\nremedy: {EVIL}\x1b[31m"


@pytest.fixture
def site(short_tmp: Path) -> Iterator[Site]:
    """Of a service user; root has made a recovery."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(one_tree(made.base / "etc", made.base / "back"))
    for name in ("state", "work", "cache", "repo"):
        owned(made.base / name)
    made.drd("backup", "shop")
    made.drd(*RECOVER)
    return made


def plant(site: Site) -> None:
    """Write the command wherever the catalogue keeps text that root is shown."""
    task = {"code": "analyze", "component": "conf", "text": "collect statistics", "command": EVIL}
    place = {"component": "conf", "places": [f"here; then run {EVIL}"], "address": EVIL}
    usage = {"component": "conf", "what": FORGED, "by": [EVIL], "units": ["x; reboot"]}
    said = {"tasks": [task], "places": [place], "usage": [{**usage, "former": True}]}
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    quoted = FORGED.replace("'", "''")
    changes(
        site,
        *(
            "update runs set detail = json_set(detail, "
            f"'$.{key}', json('{json.dumps(value)}')) where kind = 'recovery'"
            for key, value in {**said, "remedy": f"{EVIL}\n{FORGED}"}.items()
        ),
        f"update runs set error = '{quoted}'",
        f"update steps set error = '{quoted}', remedy = '{EVIL}'",
        f"update evidence set reason = '{quoted}', remedy = '{EVIL}'",
        f"update component_snapshots set error = '{quoted}', remedy = '{EVIL}'",
        "insert into alerts (id, plan, kind, subject, state, since, message, severity, command, "
        f"code, seen_at) values ('aaaaaaaa', 'shop', 'disk', '', 'firing', '{now}', 'disk full', "
        f"'warning', '{EVIL}', '', '{now}')",
        "insert into alerts (id, plan, kind, subject, state, since, message, severity, command, "
        f"code, seen_at) values ('bbbbbbbb', '', 'disk', '', 'firing', '{now}', 'disk full', "
        f"'warning', '{EVIL}', '', '{now}')",
    )


def newest(site: Site) -> str:
    return str(site.catalogue("select id from runs order by started_at desc limit 1")[0][0])


def advice(text: str) -> list[str]:
    """The lines of a screen that look like drd's advice."""
    leads = r"\s*(> |next  |now at  |\d+\. |(error +)?remedy: |HINT: |to )"
    return [line for line in text.splitlines() if re.match(leads, line)]


@as_root
def test_root_is_shown_no_command_of_the_services_user(site: Site) -> None:
    run = run_of(site)
    honest = site.drd("run", "show", run).out
    assert f"now at     conf: {site.base}/back/" in honest
    assert "  next       1. " in honest
    plant(site)
    shown = site.drd("run", "show", run).out
    assert [x for x in advice(shown) if "now at" in x] == [
        x for x in advice(honest) if "now at" in x
    ], "as in root's own record"
    screens = [
        shown,
        site.drd("run", run).out,
        site.drd("evidence", "list").out,
        site.drd("evidence", "show", run, code=1).out,
        site.drd("status", code=None).out,
        site.drd("status", "shop", code=None).out,
        site.drd("alerts").out,
        site.drd("runs").out,
        site.drd("points", "shop").out,
    ]
    for text in screens:
        assert "\x1b" not in text
        assert not [line for line in advice(text) if "evil" in line or "reboot" in line], text
    refused = vouched.not_shown(OWNER.pw_uid)
    for text in (shown, *screens[3:7]):
        assert refused in text
    for ledger in noted(site):
        ledger.unlink()
    without = site.drd("run", "show", run).out
    assert "now at     not shown: root has no record of how this run ended" in without
    assert f"sudo -u {OWNER.pw_name} drd run show {run}" in without
    assert not [line for line in advice(without) if "evil" in line or "reboot" in line]
    document = site.drd("run", "show", run, "--json").json
    assert document["now_at"] == document["in_use"] == []
    assert document["doubt"] is not None


@as_root
def test_healthy_twin_root_is_shown_the_remedy_of_an_honest_record(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    text = plan.read_text()
    plan.write_text(text.replace("kind: files", "kind: fils"))
    site.drd("doctor", "shop", code=None)
    (site.base / "etc").rename(site.base / "away")
    plan.write_text(text)
    site.drd("backup", "shop", code=None)
    plan.write_text(text.replace("kind: files", "kind: fils"))
    site.drd("backup", "shop", code=2)
    status = site.drd("status", code=None).out
    assert f"> drd plan check {plan}" in status
    assert "root sees only a part of the remedy" not in status
    failed = site.drd("run", "show", newest(site)).out
    assert "\n             remedy: " in failed
    assert "root sees only a part of the remedy" not in failed, failed


@as_root
def test_a_row_that_is_not_a_run_gives_root_no_command(site: Site) -> None:
    changes(site, f"update runs set id = 'aaaa; {EVIL}' where kind = 'recovery'")
    told = site.drd("runs", code=1).err
    assert "runs.id is" in told
    assert "which is not the id of a run" in told


def test_the_owner_of_the_state_is_shown_every_remedy() -> None:
    record_writer.begin()
    assert vouched.remedy(f"{EVIL}\ndrd doctor") == f"{EVIL}\ndrd doctor"
    assert is_command("drd doctor")
