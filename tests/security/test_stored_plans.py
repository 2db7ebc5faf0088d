"""A plan or a drd.yaml that comes out of a repository is input: whoever has the repository's password can store
one. `drd bootstrap --repository` shows what they would have drd do, puts them in force only after a
confirmation, and opens nothing meanwhile but the repository that was named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.cli.stored_plans import accept
from drd.errors import Cancelled, UsageError
from drd.kit import orders as module
from drd.model.plan import SecretRef
from tests.e2e.kit_site import Machine
from tests.e2e.site import PASSWORD, Result, Site, small_site
from tests.security.forging import add_text, own_tar, store_own


def orders(text: str, *, url: str, known: Collection[SecretRef] = ()) -> list[str]:
    return [order.line for order in module.orders(text, url=url, known=known)]


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = small_site(short_tmp)
    site.drd("backup", "shop")
    return site


@pytest.fixture
def machine(short_tmp: Path) -> Machine:
    (short_tmp / "password").write_text(PASSWORD)
    return Machine(short_tmp / "root")


def bootstrap(site: Site, machine: Machine, *words: str, code: int = 0) -> Result:
    return machine.drd(
        "bootstrap", "--repository", site.repository, "--password-file",
        str(machine.root.parent / "password"), "--root", str(machine.root), *words, code=code,
    )  # fmt: skip


def forge_plan(site: Site) -> Path:
    """The site's own plan and configuration, each with a command more; what both would leave behind."""
    mark = site.base / "mark"
    offsite = (
        "repositories:\n"
        "  offsite:\n"
        f"    url: {site.base}/nowhere\n"
        f'    password: {{command: [sh, -c, "touch {mark}; echo x \\e[2J"]}}\n'
        "    copy_of: primary\n"
    )
    text = (site.base / "plans/shop.yaml").read_text()
    assert text.count("repositories:\n") == 1
    plan = text.replace("repositories:\n", offsite)
    config = (site.base / "drd.yaml").read_text()
    channel = f"notify: [{{kind: exec, command: [touch, {mark}], on: [firing]}}]\n"

    store_own(
        site,
        own_tar(lambda tar: (add_text(tar, "./etc/shop.yaml", plan),
                             add_text(tar, "./etc/drd.yaml", config + channel))),
    )  # fmt: skip
    return mark


def test_nothing_of_it_is_run_or_written_before_it_was_accepted(
    site: Site, machine: Machine
) -> None:
    mark = forge_plan(site)
    told = bootstrap(site, machine, code=2)
    assert not mark.exists()
    assert not machine.root.exists()
    assert f"touch {mark}" in told.err
    assert "repositories.offsite.password" in told.err
    assert "notify.0.command" in told.err
    assert f"{site.base}/nowhere" in told.err
    assert "\x1b" not in told.err


def test_what_was_accepted_is_not_run_by_the_bootstrap_itself(site: Site, machine: Machine) -> None:
    mark = forge_plan(site)
    told = bootstrap(site, machine, "--accept-commands")
    assert not mark.exists()
    assert "offsite was not looked at" in told.out
    document = bootstrap(site, machine, "--accept-commands", "--json").json
    assert document["plans"][0]["not_looked_at"] == ["offsite"]
    assert document["plans"][0]["points"] == 1
    assert any(str(mark) in line for line in document["orders"]["plans/shop.yaml"])
    assert not mark.exists()


def test_plans_of_the_host_itself_are_shown_and_come_back(site: Site, machine: Machine) -> None:
    told = bootstrap(site, machine)  # it has no commands
    assert f"{site.base}/shop.db" in told.err
    machine.after("recover", "shop", "--target", "standby", "--yes")
    assert (site.base / "back/shop.db").is_file()


def test_a_kit_is_believed(site: Site, machine: Machine) -> None:
    told = machine.drd(
        "bootstrap", "--kit", "k", "--passphrase-file", "p", "--accept-commands", code=2
    )
    assert "by nothing else" in told.err


EVIL = module.Order('components.db.before: {"command": ["evil"]}', runs=True)

PLAN = """
plan: shop
owner: me
objectives: {rpo: 15m, rto: 30m}
repositories:
  primary: {url: /srv/repo, password: {command: [cat, pw]}, protection: none}
  other: {url: /srv/other, password: {credential: other}, copy_of: primary}
components:
  db: {kind: sqlite, path: /srv/shop.db, before: {command: [sh, -c, "evil"]}}
  pg: {kind: postgres, dsn: {file: /etc/shadow}}
checks:
  - {name: rows, kind: rows, component: db}
  - {name: sql, kind: sql, component: db, query: "select evil()", expect: 1}
runbook:
  - {restore: all}
  - {command: {run: [evil, two]}}
  - {http: {url: "http://evil/"}}
  - {check: all, rollback: [evil, back]}
targets: {standby: {db: {path: /etc/cron.d/x}}}
drill: {every: 7d, reach: ["evil:1"], read: [/etc]}
heartbeat: {url: {env: EVIL}, on: [backup.succeeded]}
kit: {recipients: [age1evil], file: /srv/kit}
new_key: {of: a, newer: drd}
"""


def test_what_a_plan_orders_is_told_whole_and_nothing_else() -> None:
    assert orders(PLAN, url="/srv/repo", known=[SecretRef("command", ("cat", "pw"))]) == [
        'repositories.other.url: "/srv/other"',
        'components.db.path: "/srv/shop.db"',
        'components.db.before: {"command": ["sh", "-c", "evil"]}',
        'components.pg.dsn: {"file": "/etc/shadow"}',
        'checks.1.query: "select evil()"',
        "checks.1.expect: 1",
        'runbook.1: {"command": {"run": ["evil", "two"]}}',
        'runbook.2.http.url: "http://evil/"',
        'runbook.3.rollback: ["evil", "back"]',
        'targets.standby.db.path: "/etc/cron.d/x"',
        'drill.reach: ["evil:1"]',
        'drill.read: ["/etc"]',
        'heartbeat.url: {"env": "EVIL"}',
        'kit.recipients: ["age1evil"]',
        'kit.file: "/srv/kit"',
        'new_key.of: "a"',
        'new_key.newer: "drd"',
    ]


def test_commands_steps_and_unknown_keys_may_run_something() -> None:
    found = module.orders(PLAN, url="/srv/repo", known=[SecretRef("command", ("cat", "pw"))])
    assert [order.line.partition(":")[0] for order in found if order.runs] == [
        "components.db.before",
        "runbook.1",
        "runbook.2.http.url",
        "runbook.3.rollback",
        "new_key.of",
        "new_key.newer",
    ]
    (secret,) = (o for o in module.orders(PLAN, url="/srv/repo") if '["cat"' in o.line)
    assert secret.runs
    config = module.orders("state: sqlite:///x\nnotify: [{kind: exec, command: [x]}]", url="/r")
    assert [order.runs for order in config] == [False, False, True]


def test_the_command_of_a_secret_that_is_not_known_is_told() -> None:
    told = orders(PLAN, url="/srv/repo")
    assert 'repositories.primary.password: {"command": ["cat", "pw"]}' in told
    assert 'repositories.primary.url: "/srv/repo"' in orders(PLAN, url="/srv/another")


def test_what_drd_yaml_orders_is_told() -> None:
    text = (
        "state: sqlite:////srv/x.db\nwork_dir: /etc\nlimits: {runs: 2}\nplans: x\n"
        "people: [{name: Eve, user: eve}]\nnotify: [{kind: exec, command: [evil]}]\n"
    )
    assert orders(text, url="/srv/repo") == [
        'state: "sqlite:////srv/x.db"',
        'work_dir: "/etc"',
        'people.0.name: "Eve"',
        'people.0.user: "eve"',
        'notify.0.kind: "exec"',
        'notify.0.command: ["evil"]',
    ]


def test_names_cannot_paint_on_the_terminal() -> None:
    (line,) = orders('plan: x\n"a\\e[2Jb\\u202e": "\\e[1A\\u202e"\n', url="/srv/repo")
    assert line.isprintable()
    assert line.isascii()


@pytest.mark.parametrize("answer", ["accept", "yes", ""])
def test_a_person_at_a_terminal_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    args = argparse.Namespace(accept_commands=False, json=False, quiet=False)
    found = {"plans/shop.yaml": [EVIL]}
    if answer == "accept":
        accept(args, datetime(2026, 11, 25, tzinfo=UTC), found)
    else:
        with pytest.raises(Cancelled):
            accept(args, datetime(2026, 11, 25, tzinfo=UTC), found)
    assert '{"command": ["evil"]}' in capsys.readouterr().err


def test_nobody_is_asked_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    args = argparse.Namespace(accept_commands=False, json=False, quiet=False)
    with pytest.raises(UsageError):
        accept(args, datetime(2026, 11, 25, tzinfo=UTC), {"plans/shop.yaml": [EVIL]})
    path = module.Order('components.db.path: "/srv/shop.db"', runs=False)
    accept(args, datetime(2026, 11, 25, tzinfo=UTC), {"plans/shop.yaml": [path]})
