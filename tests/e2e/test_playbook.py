"""A playbook against a gateway that enforces what it is told: run, killed, resumed, rolled back."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.flows.runbook import live
from tests.e2e.daemons import daemon
from tests.e2e.runbook_site import until
from tests.e2e.site import Site, make_sqlite
from tests.servers.caddy import Caddy
from tests.servers.gateway import ADMIN, Gateway

HEADERS = '{Authorization: "Bearer ${token}", Content-Type: application/json}'

CONTAIN = f"""
playbook: contain
title: Contain
about: Limits, blocks and revokes.
use_when: A key leaked.
inputs:
  - {{name: gw, what: the gateway}}
  - {{name: token, what: token of the admin API, secret: true}}
tasks:
  - name: contain
    text: Limit, block and revoke.
    role: operator
    due: aware + 30m
    steps:
      - name: limit
        http: {{url: "${{gw}}/limit", method: PUT, headers: {HEADERS}, body: '{{"per_minute": 1}}'}}
        before: {{http: {{url: "${{gw}}/limit", headers: {HEADERS}}}, take: /per_minute}}
        rollback:
          repeat: safe
          http: {{url: "${{gw}}/limit", method: PUT, headers: {HEADERS},
            body: '{{"per_minute": ${{before}}}}'}}
        repeat: safe
        expires: 4h
      - name: revoke
        http: {{url: "${{gw}}/keys/1", method: DELETE, headers: {HEADERS}}}
        done_when: {{http: {{url: "${{gw}}/keys/1", headers: {HEADERS}, expect: 404}}}}
        final: a revoked key stays revoked
  - name: replace
    text: Issue a new key.
    role: operator
    steps:
      - name: issue
        http: {{url: "${{gw}}/keys", method: POST, headers: {HEADERS}}}
        new_secret: {{take: /key, file: FILE}}
        keep: {{id: /id}}
        final: the new key is in use
      - name: block
        http: {{url: "${{gw}}/route", method: PUT, headers: {HEADERS},
          body: '{{"action": "deny", "because": "${{steps.issue.state}}"}}'}}
        before: {{http: {{url: "${{gw}}/route", headers: {HEADERS}}}}}
        rollback: {{http: {{url: "${{gw}}/route", method: PUT, headers: {HEADERS},
          body: "${{before}}"}}}}
        repeat: safe
"""

CLEAN = """
playbook: clean
title: Remove the intruder's orders
about: Reads, has a person approve, deletes.
use_when: Orders of an intruder are there.
inputs: [{name: name, what: whose}]
tasks:
  - name: delete
    text: Delete them.
    role: dba
    steps:
      - name: count
        sql: {component: db, query: "select count(*) from customers where name = ${name}"}
        keep: {found: value}
      - name: agree
        approve: {by: dba, why: "Delete ${steps.count.found} customers named ${name} of ${plan}"}
      - name: delete
        sql: {component: db, query: "delete from customers where name = ${name}", writes: true}
        final: the backup has them
      - name: tell
        command: {run: [sh, -c, 'test "$SECRET" = hunter2hunter2'], env: {SECRET: "${pass}"}}
        keep: {said: output}
"""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    (made.base / "playbooks").mkdir()
    with (made.base / "drd.yaml").open("a") as file:
        file.write("playbooks: playbooks\npeople: [{name: anna, roles: [dba, lead]}]\n")
    made.secret("admin", ADMIN)
    text = CONTAIN.replace("FILE", f"{made.base}/secrets/new-key")
    (made.base / "playbooks/contain.yaml").write_text(text)
    return made


def run_of(site: Site) -> str:
    query = "select id from runs where kind = 'playbook' order by started_at desc"
    return str(site.catalogue(query)[0][0])


def steps(site: Site) -> dict[str, str]:
    found = site.catalogue("select name, state from steps where run = ?", run_of(site))
    return {str(name): str(state) for name, state in found}


def leaked(site: Site, *secrets: str) -> list[str]:
    """The files of the state and of the work directory in which a secret is."""
    words = ["grep", "-rlaF", *(w for s in secrets for w in ("-e", s))]
    places = [str(site.base / name) for name in ("state", "work")]
    done = subprocess.run([*words, *places], capture_output=True, text=True, check=False)
    return done.stdout.split()


def test_killed_at_each_boundary_every_step_has_one_effect_and_the_rollback_restores(
    site: Site, gateway: Gateway
) -> None:
    site.drd("incident", "open", "a key leaked")
    site.drd("incident", "anchor", "aware", "-5m")
    given = ("--set", f"gw={gateway.url}", "--set", f"token=file:{site.base}/secrets/admin")
    words = ("playbook", "run", "contain", *given, "--incident", "1", "--yes")
    refused = site.drd("playbook", "run", "contain", "--set", f"token={ADMIN}", code=2).err
    assert ADMIN not in refused
    assert "file:PATH" in refused
    shown = site.drd("playbook", "run", "contain", *given, "--dry-run").out
    assert f"request DELETE {gateway.url}/keys/1" in shown
    assert gateway.asked == []

    site.killed_at("undone:limit", *words)
    assert gateway.limit == 1
    run = run_of(site)
    site.killed_at("undone:revoke", "resume", run)
    site.killed_at("undone:issue", "resume", run)
    child = site.start("resume", run)
    until(lambda: steps(site)["issue"] == "waiting", "the question about the new key")
    site.drd("skip", run, "issue", "--why", "the key of the first try is in the file")
    assert child.wait(60) == 0
    assert gateway.asked == [
        "PUT /limit",
        "PUT /limit",
        "DELETE /keys/1",
        "POST /keys",
        "PUT /route",
    ]
    new = (site.base / "secrets/new-key").read_text().strip()
    assert new in gateway.keys.values()
    assert stat.S_IMODE((site.base / "secrets/new-key").stat().st_mode) == 0o600
    assert (gateway.status("key-one-is-old"), gateway.status(new)) == (401, 403)
    assert leaked(site, ADMIN, new) == []
    warned = site.drd("playbook", "run", "contain", *given, "--dry-run").err
    assert f"step limit, block of run {run} still stands" in warned
    assert f"it keeps the old file as {site.base}/secrets/new-key.before-RUN" in warned

    incident = site.drd("incident", "show", "1", "--json").json
    texts = [line["text"] for line in incident["timeline"]]
    assert f"playbook contain begins (run {run})" in texts
    assert f"playbook contain succeeded (run {run})" in texts
    assert [t["done_at"] is not None for t in incident["tasks"]] == [True, True]
    assert incident["tasks"][0]["due_at"] is not None

    # The rollback of `block` is killed after its request: a person is asked. `limit` is safe.
    site.killed_at("undone:rollback block", "rollback", run)
    assert gateway.route == {"action": "allow"}
    asked = site.drd("rollback", run, code=1).err
    assert "nobody knows whether the rollback of step block has happened" in asked
    assert gateway.asked[-1] == "PUT /route"
    shown = site.drd("run", "show", run).out.replace("\n", " ")
    assert f'drd done {run} "rollback block" --by NAME' in " ".join(shown.split())
    assert "drd rollback" in site.drd("done", run, "rollback block", "--by", "anna").out
    site.killed_at("undone:rollback limit", "rollback", run)
    assert gateway.asked[-2:] == ["PUT /route", "PUT /limit"]
    back = site.drd("rollback", run).out
    assert gateway.asked[-2:] == ["PUT /limit", "PUT /limit"]
    assert "stays        step revoke: a revoked key stays revoked" in back
    assert (gateway.limit, gateway.route) == (100, {"action": "allow"})
    assert (gateway.status("key-one-is-old"), gateway.status(new)) == (401, 200)
    assert "was rolled back already" in site.drd("rollback", run, code=2).err
    assert "was rolled back" in site.drd("resume", run, code=2).err
    site.assert_clean()


def test_a_statement_in_a_live_database_waits_for_its_approval(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=100)
    site.plan(f"components:\n  db: {{kind: sqlite, path: {site.base}/shop.db}}\n")
    (site.base / "secrets/pass").write_text("hunter2hunter2\n")
    (site.base / "secrets/pass").chmod(0o600)
    place = f"file:{site.base}/secrets/pass"
    own = f"inputs:\n  - {{name: pass, what: p, secret: true, default: '{place}'}}"
    text = CLEAN.replace(
        "inputs: [{name: name, what: whose}]", f"{own}\n  - {{name: name, what: x}}"
    )
    (site.base / "playbooks/clean.yaml").write_text(text)
    given = ("playbook", "run", "clean", "--set", "name=customer 3", "--yes", "--json")
    assert "playbook clean needs a plan: its steps work on a plan" in site.drd(*given, code=2).out
    child = site.start(*given, "--plan", "shop")
    begun = "select 1 from steps where name = 'agree' and state = 'waiting'"
    until(lambda: bool(site.catalogue(begun)), "the approval")
    waiting = site.drd("run", "show", run_of(site), "--json").json
    assert "Delete 1 customers named customer 3 of shop" in json.dumps(waiting)
    assert "there is no step" not in site.drd("approve", run_of(site), "agree", "--by", "anna").out
    assert child.wait(60) == 0
    with contextlib.closing(sqlite3.connect(site.base / "shop.db")) as connection:
        [[left]] = connection.execute("select count(*) from customers where name = 'customer 3'")
    assert left == 0
    assert leaked(site, "hunter2hunter2") == []
    site.assert_clean()


PRACTISED = """\
playbook: lost
title: Lost
about: Recovers.
use_when: Data is gone.
tasks:
  - name: only
    text: Recover.
    role: lead
    steps:
      - {name: gone-soon, preserve: {volatile: true, reason: first}}
      - {name: keep, preserve: {reason: before the recovery, paths: [BASE/secrets/note]}}
      - {name: recover, recover: {clean: true, overwrite: true}}
      - {name: tell, notify: recovered}
"""


def test_a_rehearsal_recovers_and_preserves_in_a_sandbox(site: Site) -> None:
    make_sqlite(site.base / "shop.db", rows=100)
    site.secret("note", "kept")
    site.plan(
        f"components:\n  db: {{kind: sqlite, path: {site.base}/shop.db}}\n"
        "checks: [{name: counts, kind: rows, component: db}]\n"
    )
    text = PRACTISED.replace("BASE", str(site.base))
    (site.base / "playbooks/lost.yaml").write_text(text)
    site.drd("backup", "shop")
    make_sqlite(site.base / "shop.db", rows=7)
    before = (site.base / "shop.db").read_bytes()
    run = ("playbook", "run", "lost", "--plan", "shop", "--yes")
    assert "To practise without an incident: --rehearse" in site.drd(*run, code=2).err
    done = site.drd(*run, "--rehearse", "--json")
    assert {step["state"] for step in done.json["steps"]} == {"succeeded"}
    soon, keep, recover, _ = (step["says"] for step in done.json["steps"])
    assert soon.startswith("rehearsed: evidence of shop: 2 items")
    assert keep.startswith("rehearsed: evidence of shop: 4 items")
    assert "of plan shop was restored into a sandbox, and its checks passed" in recover
    assert "did not send this message, because this is an exercise" in done.err
    assert (site.base / "shop.db").read_bytes() == before, "nothing was replaced"
    assert "drd-evidence" not in site.restic("snapshots", "--json")
    assert {run["kind"] for run in site.runs()} == {"backup", "playbook", "preservation", "drill"}
    assert site.drd("alerts", "--json").json["alerts"] == []
    words = ("incident", "preserve", "--rehearse", "--plan", "shop")
    assert "needs --plan, and is not possible with" in site.drd(*words, "--list", code=2).err
    site.assert_clean()


SKIPS = """\
playbook: skips
title: Skips
about: Skips the step that makes a key.
use_when: A key is lost.
tasks:
  - name: only
    text: Do it.
    role: operator
    steps:
      - {name: look, command: {run: ["true"]}, repeat: safe}
      - name: new-key
        when: {step: look, is: failed}
        command: {run: [echo, key-4711]}
        repeat: safe
        new_secret: {take: output, file: FILE}
        final: the service has no request that removes a key
"""


def test_the_room_for_a_secret_of_a_skipped_step_is_removed_at_the_end(site: Site) -> None:
    file = site.base / "secrets/key"
    reserved = file.with_name(".key.drd-new")
    (site.base / "playbooks/skips.yaml").write_text(SKIPS.replace("FILE", str(file)))
    with reserved.open("wb") as left:
        left.truncate(live._ROOM)
    done = site.drd("playbook", "run", "skips", "--yes", "--json").json
    assert [step["state"] for step in done["steps"]] == ["succeeded", "skipped"]
    assert not reserved.exists()
    assert not file.exists()


ROUTE = {
    "@id": "orders",
    "match": [{"path": ["/orders"]}],
    "handle": [{"handler": "static_response", "body": "orders"}],
}


def orders(api: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{api}/orders", timeout=10) as answer:
            return int(answer.status), str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.code, ""


@pytest.mark.skipif(not shutil.which("caddy"), reason="needs caddy")
def test_the_example_of_the_page_blocks_a_route_of_caddy_and_gives_it_back(
    site: Site, short_tmp: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs/playbooks.md").read_text()
    [example] = re.findall(r"^```yaml\n(playbook: .*?)^```$", page, re.MULTILINE | re.DOTALL)
    (site.base / "playbooks/block-orders.yaml").write_text(example)
    caddy = Caddy(short_tmp / "caddy")
    try:
        apps = caddy.apps("shop")
        apps["http"]["servers"]["shop"]["routes"].insert(0, ROUTE)
        caddy.ask("/config/apps", "POST", apps)
        before, api = caddy.ask("/id/orders"), f"http://127.0.0.1:{caddy.sites}"
        assert orders(api) == (200, "orders")
        given = ("--set", f"admin={caddy.url}", "--set", f"api={api}", "--yes")
        site.drd("playbook", "run", "block-orders", *given, "--dry-run")
        child = site.start("playbook", "run", "block-orders", *given)
        asks = "select 1 from steps where name = 'agree' and state = 'waiting'"
        until(lambda: bool(site.catalogue(asks)), "the approval")
        assert orders(api) == (200, "orders")
        site.drd("approve", run_of(site), "agree", "--by", "anna")
        assert child.wait(120) == 0
        assert orders(api) == (403, "")
        site.drd("rollback", run_of(site))
        assert orders(api) == (200, "orders")
        assert caddy.ask("/id/orders") == before
    finally:
        caddy.close()
    site.assert_clean()


DEED = """
playbook: deed
title: A deed
about: Changes something, and takes its time.
use_when: Always.
tasks:
  - name: deed
    text: Do it.
    role: lead
    steps:
      - name: deed
        command: {run: [sh, -c, "echo done >> FILE; exec sleep 300"]}
        rollback: [sh, -c, "echo undone >> FILE"]
"""


def test_a_step_cut_off_by_ctrl_c_is_asked_about_and_taken_back_after_a_skip(site: Site) -> None:
    deeds = site.base / "deeds"
    (site.base / "playbooks/deed.yaml").write_text(DEED.replace("FILE", str(deeds)))
    child = site.start("playbook", "run", "deed", "--yes")
    until(deeds.exists, "the deed")
    child.send_signal(signal.SIGINT)
    assert child.wait(60) != 0
    assert steps(site) == {"deed": "cancelled"}
    run = run_of(site)
    child = site.start("resume", run)
    until(lambda: steps(site)["deed"] == "waiting", "the question about the deed")
    site.drd("skip", run, "deed", "--why", "it happened")
    assert child.wait(60) == 0
    site.killed_at("undone:rollback deed", "rollback", run)
    assert site.drd("rollback", run, code=1).err
    site.drd("retry", run, "rollback deed", "--by", "anna")
    assert "rolled back  step deed" in site.drd("rollback", run).out
    assert deeds.read_text().split() == ["done", "undone", "undone"]
    site.assert_clean()


def test_an_edited_playbook_runs_after_a_reload(site: Site) -> None:
    file = site.base / "playbooks/deed.yaml"
    done = site.base / "deeds"
    text = DEED.replace("FILE", str(done)).replace("; exec sleep 300", "")
    file.write_text(text)
    with daemon(site) as running:
        file.write_text(text.replace("echo done", "echo twice"))
        words = ("playbook", "run", "deed")
        assert "this text of the playbook is not in force" in site.drd(*words, "--dry-run").err
        refused = site.drd(*words, "--yes", code=2).err
        assert "deed.yaml was edited after the daemon loaded the playbooks" in refused
        assert "systemctl reload drd" in refused
        assert not done.exists()
        running.reload()
        site.drd(*words, "--yes")
    assert done.read_text() == "twice\n"
    site.assert_clean()


TELL = """
playbook: tell
title: Tell people
about: Tells people.
use_when: Always.
tasks:
  - name: tell
    text: Tell people.
    role: dba
    steps:
      - {name: say, notify: {message: The key is revoked, severity: warning}}
"""


def test_a_message_of_a_playbook_without_a_plan_begins_with_what_it_says(site: Site) -> None:
    (site.base / "playbooks/tell.yaml").write_text(TELL)
    told = site.base / "told"
    with (site.base / "drd.yaml").open("a") as file:
        file.write(f'notify:\n  - {{kind: exec, command: [sh, -c, "cat >>{told}"]}}\n')
    site.drd("playbook", "run", "tell", "--yes")
    message = json.loads(told.read_text())
    assert (message["title"], message["plan"]) == ("The key is revoked", "")
    assert message["text"] == f"The key is revoked\nStep say of playbook run {run_of(site)}."
