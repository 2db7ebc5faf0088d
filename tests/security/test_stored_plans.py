"""A plan or a drd.yaml that comes out of a repository is input: whoever has the repository's
password can store one. `drd bootstrap --repository` shows what they would have drd do, puts them in
force only after a confirmation, and opens nothing meanwhile but the repository that was named."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from drd.cli.stored_plans import accept
from drd.config.daemon_schema import DaemonFile
from drd.config.json_schema import SchemaView
from drd.config.schema import PlanFile
from drd.errors import Cancelled, UsageError
from drd.fields import Settings
from drd.kit import given_away
from drd.kit import plan_effects as module
from drd.kit.playbook_effects import own_text_orders
from drd.kit.stored_text import patterns
from drd.model.plan import SecretRef
from drd.model.schemes import SCHEMES
from drd.registry import KINDS
from tests.e2e.kit_site import Machine
from tests.e2e.site import PASSWORD, Result, Site
from tests.security.forging import add_text, own_tar, store_own


def orders(
    text: str,
    *,
    url: str,
    access: Mapping[str, object] = MappingProxyType({}),
    known: Collection[SecretRef] = (),
) -> list[str]:
    return [order.line for order in module.orders(text, url=url, access=access, known=known)]


@pytest.fixture
def site(stored: Site) -> Site:
    return stored


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
    """The site's own plan and configuration, each with a command more; what both would leave
    behind."""
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


def test_stored_plans_run_nothing_before_they_are_accepted(site: Site, machine: Machine) -> None:
    mark = forge_plan(site)
    told = bootstrap(site, machine, code=2)
    assert not mark.exists()
    assert not machine.root.exists()
    assert f"touch {mark}" in told.err
    assert "repositories.offsite.password" in told.err
    assert "notify.0.command" in told.err
    assert f"{site.base}/nowhere" in told.err
    assert "\x1b" not in told.err


def test_the_bootstrap_does_not_run_commands_that_it_was_told_to_accept(
    site: Site, machine: Machine
) -> None:
    mark = forge_plan(site)
    told = bootstrap(site, machine, "--accept-commands")
    assert not mark.exists()
    assert "shop: drd did not read repository offsite. To get its" in told.out
    document = bootstrap(site, machine, "--accept-commands", "--json").json
    assert document["plans"][0]["not_looked_at"] == ["offsite"]
    assert document["plans"][0]["points"] == 1
    assert any(str(mark) in line for line in document["orders"]["plans/shop.yaml"])
    assert not mark.exists()


def test_secret_of_the_host_is_handed_to_no_address_out_of_the_repository(
    site: Site, machine: Machine
) -> None:
    """No command is needed for that: the daemon sends the key's id to the bucket with each
    request."""
    text = (site.base / "plans/shop.yaml").read_text()
    secret = site.base / "only-root-may-read-this"
    more = (
        "repositories:\n"
        f"  off: {{url: 's3:http://127.0.0.1:9/bucket/c', copy_of: primary,"
        " password: {credential: x},"
        f" s3: {{access_key: {{file: {secret}}}, secret_key: {{env: HOME}}}}}}\n"
    )
    plan = text.replace("repositories:\n", more)
    store_own(site, own_tar(lambda tar: add_text(tar, "./etc/shop.yaml", plan)))
    told = bootstrap(site, machine, code=2)
    assert not machine.root.exists()
    assert f'! repositories.off.s3.access_key: {{"file": "{secret}"}}' in told.err
    assert '! repositories.off.password: {"credential": "x"}' in told.err
    assert "  repositories.primary.password" in told.err
    assert "reveal secrets" in told.err
    bootstrap(site, machine, "--accept-commands")


def test_a_stored_plan_with_an_impossible_account_is_refused_with_its_line(
    site: Site, machine: Machine
) -> None:
    text = (site.base / "plans/shop.yaml").read_text()
    more = (
        "repositories:\n"
        "  off: {url: 'azure:box:/c', copy_of: primary, password: {credential: x},"
        " azure: {account_name: 'evil.example:8843/x'}}\n"
    )
    plan = text.replace("repositories:\n", more)
    line = plan[: plan.index("  off:")].count("\n") + 1
    store_own(site, own_tar(lambda tar: add_text(tar, "./etc/shop.yaml", plan)))
    told = bootstrap(site, machine, "--accept-commands", code=2)
    assert (
        f"shop.yaml:{line}: repositories.off.azure.account_name: 'evil.example:8843/x' is not a "
        "valid name of a storage account" in told.err
    )
    assert "write 3 to 24 lower-case letters and digits" in told.err
    assert not machine.root.exists()


def test_plans_of_the_host_itself_are_shown_and_come_back(site: Site, machine: Machine) -> None:
    told = bootstrap(site, machine)  # it has no commands
    assert f"{site.base}/shop.db" in told.err
    machine.after("recover", "shop", "--target", "standby", "--yes")
    assert (site.base / "back/shop.db").is_file()


def test_plans_from_a_kit_need_no_confirmation(site: Site, machine: Machine) -> None:
    told = machine.drd(
        "bootstrap", "--kit", "k", "--passphrase-file", "p", "--accept-commands", code=2
    )
    assert "--accept-commands cannot be combined with --kit" in told.err


EVIL = module.PlanEffect('components.db.before: {"command": ["evil"]}', asks=True)

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


def test_effects_of_a_plan_are_listed_completely() -> None:
    assert orders(PLAN, url="/srv/repo", known=[SecretRef("command", ("cat", "pw"))]) == [
        'repositories.other.url: "/srv/other"',
        'repositories.other.password: {"credential": "other"}',
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


def asking(
    text: str,
    *,
    url: str = "/srv/repo",
    access: Mapping[str, object] = MappingProxyType({}),
    known: Collection[SecretRef] = (),
) -> list[str]:
    found = module.orders(text, url=url, access=access, known=known)
    return [order.line.partition(": ")[0] for order in found if order.asks]


def test_commands_steps_secrets_and_unknown_keys_are_asked_about() -> None:
    assert asking(PLAN, known=[SecretRef("command", ("cat", "pw"))]) == [
        "components.db.before",
        "components.pg.dsn",
        "runbook.1",
        "runbook.2.http.url",
        "runbook.3.rollback",
        "drill.reach",
        "drill.read",
        "heartbeat.url",
        "kit.recipients",
        "kit.file",
        "new_key.of",
        "new_key.newer",
    ]
    assert "repositories.primary.password" in asking(PLAN)
    assert asking("state: sqlite:///x\nnotify: [{kind: exec, command: [x]}]", url="/r") == [
        "notify.0.command"
    ]


# --- secrets that go elsewhere ------------------------------------------------------------------

TYPED = "s3:https://s3.example.com/acme/shop"
KNOWN = [SecretRef("file", "/etc/drd/pw"), SecretRef("credential", "id")]


def with_repository(words: str, more: str = "") -> str:
    return f"plan: shop\nrepositories:\n  x: {{{words}}}\n{more}"


HANDED_OUT = {
    "a key to another bucket": with_repository(
        "url: 's3:http://evil/b', password: {file: /etc/drd/pw}, s3: {access_key: {file: /root/x}}"
    ),
    "the known password at another bucket": with_repository(
        "url: 's3:http://evil/b', password: {file: /etc/drd/pw}"
    ),
    "another key to the bucket that was named": with_repository(
        f"url: '{TYPED}', password: {{file: /etc/drd/pw}}, s3: {{access_key: {{file: /root/x}}}}"
    ),
    "a key that is no key of a path": with_repository(
        "url: /srv/r, password: {file: /etc/drd/pw}, s3: {access_key: {file: /root/x}}"
    ),
    "a connection by "
    "reference": "plan: x\ncomponents: {db: {kind: postgres, dsn: {credential: x}}}",
    "a connection "
    "elsewhere": "plan: x\ncomponents: {db: {kind: postgres, dsn: 'host=db1 dbname=x'}}",
    "a connection to two": (
        "plan: x\ntargets: {t: {db: {dsn: 'postgresql://localhost,evil/x'}}}\n"
        "components: {db: {kind: postgres, dsn: 'dbname=x'}}"
    ),
    "a password file beside a connection": (
        "plan: x\ncomponents: {db: {kind: postgres, dsn: 'dbname=x passfile=/root/.pgpass'}}"
    ),
    "a service": "plan: x\ncomponents: {db: {kind: postgres, dsn: 'service=evil'}}",
    "no connection": "plan: x\ncomponents: {db: {kind: postgres, dsn: '???'}}",
    "a heartbeat": "plan: x\nheartbeat: {url: {env: SECRET}}",
    "what opens a kit": "plan: x\nkit: {file: /srv/k, passphrase: {file: /etc/hostname}}",
    "whom a kit opens to": "plan: x\nkit: {recipients: [age1evil]}",
    "whom every kit opens to": "kit: {recipients: [age1evil]}",
    "a query of a server": (
        "plan: x\ncomponents: {db: {kind: postgres, dsn: 'dbname=x user=postgres'}}\n"
        "checks: [{name: a, kind: sql, component: db, query: \"select lo_export(1, '/x')\", "
        "expect: 1}]"
    ),
    "a query of something": (
        "plan: x\nchecks: [{name: a, kind: sql, component: db, query: select 1, expect: 1}]"
    ),
    "what a drill reads": "plan: x\ndrill: {read: [/root]}",
    "what a drill reaches": "plan: x\ndrill: {reach: ['evil:443']}",
    "root's files": "plan: x\ncomponents: {all: {kind: files, paths: [/srv, /root/keys]}}",
    "the whole host": "plan: x\ncomponents: {all: {kind: files, paths: [/]}}",
    "root's files by a "
    "detour": "plan: x\ncomponents: {a: {kind: files, paths: ['//srv/../root/']}}",
    "a database of root's": "plan: x\ncomponents: {db: {kind: sqlite, path: /var/lib/drd/drd.db}}",
    "a channel": "notify: [{kind: webhook, url: {credential: x}}]",
    "a mail login": (
        "notify: [{kind: smtp, host: evil, user: u, password: {credential: x}, to: [a@b]}]"
    ),
}


@pytest.mark.parametrize("how", HANDED_OUT)
def test_effects_that_could_leak_need_acceptance(how: str) -> None:
    assert asking(HANDED_OUT[how], url=TYPED, known=KNOWN)


AZURE = "azure:box:/p"
SAS = SecretRef("credential", "sas")


def at_azure(settings: str) -> str:
    return with_repository(
        f"url: 'azure:box:p/', password: {{file: /etc/drd/pw}}, azure: {{{settings}}}"
    )


def asked_at_azure(settings: str, **typed: object) -> list[str]:
    text = at_azure(settings)
    found = asking(text, url=AZURE, access={"account_sas": SAS, **typed}, known=[*KNOWN, SAS])
    return [key.removeprefix("repositories.x.") for key in found]


@pytest.mark.parametrize("account", ["evil", "evil.example:8843/x", "{credential: sas}", "[acme]"])
def test_a_secret_goes_to_no_other_account_at_the_same_address(account: str) -> None:
    settings = f"account_name: {account}, account_sas: {{credential: sas}}"
    if account.startswith("evil."):
        settings = settings.replace(account, f'"{account}"')
    assert asked_at_azure(settings, account_name="acme") == [
        "password", "azure.account_name", "azure.account_sas"
    ]  # fmt: skip
    # The machine's own login needs no secret in the plan.
    settings = settings.partition(", account_sas")[0]
    assert "azure.account_name" in asked_at_azure(settings, account_name="acme")


def test_a_secret_goes_to_no_server_of_another_suffix() -> None:
    ours = "account_name: acme, account_sas: {credential: sas}"
    other = f"{ours}, endpoint_suffix: evil.example"
    home, away = {"account_name": "acme"}, {"account_name": "acme", "endpoint_suffix": "a.example"}
    asked = ["password", "azure.account_sas", "azure.endpoint_suffix"]
    assert asked_at_azure(other, **home) == asked
    assert asked_at_azure(other, **away) == asked
    assert asked_at_azure(ours, **away) == asked
    told = orders(at_azure(ours), url=AZURE, access=away, known=[*KNOWN, SAS])
    assert "repositories.x.azure.endpoint_suffix: null" in told


def test_healthy_twin_the_account_that_was_named_needs_no_option() -> None:
    ours = "account_name: acme, account_sas: {credential: sas}"
    usual = f"{ours}, endpoint_suffix: Core.windows.net"
    assert asked_at_azure(ours, account_name="acme") == []
    assert asked_at_azure(usual, account_name="acme") == []
    assert asked_at_azure(ours, account_name="acme", endpoint_suffix="core.windows.net") == []


def test_every_setting_in_plain_text_is_judged_to_move_no_data_or_to_be_a_place() -> None:
    plain = {
        f"{scheme.name}.{key}": setting.place is not None
        for scheme in SCHEMES.values()
        for key, setting in scheme.settings.items()
        if not setting.secret
    }
    assert plain == {
        "rest.user": False,
        "rest.ca_cert": False,
        "azure.account_name": True,
        "azure.endpoint_suffix": True,
        "gs.project_id": False,
    }


HONEST = f"""
plan: shop
owner: me
objectives: {{rpo: 15m, rto: 30m}}
repositories:
  primary:
    url: {TYPED}/
    password: {{file: /etc/drd/pw}}
    s3: {{access_key: {{credential: id}}, region: eu-1, ca_cert: /etc/ssl/acme.pem}}
  nas: {{url: /mnt/nas/shop, password: {{credential: nas}}, copy_of: primary}}
components:
  db: {{kind: postgres, dsn: "postgresql:///shop?host=/run/postgresql&port=5433"}}
  other: {{kind: postgres, dsn: "host=127.0.0.1 dbname=other user=drd sslmode=prefer"}}
  sessions: {{kind: sqlite, path: /var/lib/shop/sessions.db}}
  conf: {{kind: files, paths: [/etc/shop, /srv/shop], exclude: ["*.tmp"]}}
backup: {{every: 15m}}
checks: [{{name: rows, kind: sql, component: sessions, query: "select count(*) from x",
    expect: "> 0"}}]
targets: {{standby: {{db: {{dsn: "dbname=back"}}, conf: {{path: /srv/back}}}}}}
drill: {{every: 7d, scenarios: [database-loss]}}
kit: {{shares: 2/3, required: true}}
"""

HONEST_CONFIG = """
state: {url: "postgresql://drd@db1/drd", password: {credential: drd-state}}
work_dir: /var/lib/drd/other
groups: {read: drd, operate: drd-operator}
run_as: drd
people: [{name: Ann, phone: "1"}]
on_call: [{role: approver, people: [Ann], hours: always}]
absences: [{person: Ann, from: 2026-12-20, to: 2027-01-03}]
contacts: [{name: Acme, kind: customer, phone: "+49 30 123", note: call first, plans: ["x-*"]}]
organisation: {facts: {role: controller}}
incident: {open: [{alert: points-vanished, plans: "x-*"}]}
limits: {runs: 2}
alerts: {hold: 5m}
"""

MAIL = """
notify:
  - {kind: smtp, name: mail, host: localhost, port: 25, tls: none, sender: drd@example.com,
      to: [a@example.com],
     min_severity: warning, on: [firing, drill], plans: ["orders-*"], timeout: 30s,
         ca_cert: /etc/ssl/ca.pem}
"""


def test_healthy_twin_an_honest_host_needs_no_option() -> None:
    assert asking(HONEST, url=TYPED, known=KNOWN) == []
    assert asking(HONEST_CONFIG, url=TYPED, known=KNOWN) == []
    shown = orders(HONEST_CONFIG, url=TYPED)
    assert 'people.0.phone: "1"' in shown
    assert 'state.password: {"credential": "drd-state"}' in shown


# --- rights and messages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("groups: {operate: users}", ["groups.operate"]),
        ("groups: {read: users}", ["groups.read"]),
        (
            "people: [{name: Eve, user: eve, roles: [operator]}]",
            ["people.0.user", "people.0.roles"],
        ),
        ("people: [{name: Eve, email: eve@evil.example}]", ["people.0.email"]),
        ("run_as: eve", ["run_as"]),
        (MAIL, ["notify.0.host", "notify.0.to"]),
        (
            "contacts: [{name: BSI, kind: authority, mail: [eve@evil.example], age: age1evil}]",
            ["contacts.0.mail", "contacts.0.age"],
        ),
        ("metrics: {http: '127.0.0.1:9000'}", ["metrics.http"]),
        ("metrics: {textfile: /tmp/x.prom}", ["metrics.textfile"]),
        (
            "incident: {intake: {listen: '127.0.0.1:9', token: {file: /srv/t}, mapping: /srv/m}}",
            ["incident.intake.listen", "incident.intake.token", "incident.intake.mapping"],
        ),
        ("records: {timestamp: {url: 'http://evil', ca: /srv/ca}}",
         ["records.timestamp.url", "records.timestamp.ca"]),
    ],
)  # fmt: skip
def test_rights_and_messages_for_others_need_acceptance(text: str, asked: list[str]) -> None:
    assert asking(text) == asked


@pytest.mark.parametrize("key", ["state", "work_dir", "cache_dir", "public_dir"])
@pytest.mark.parametrize("whose", ["a directory of a user", "a place that a user can make"])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to a user")
def test_places_of_other_users_need_acceptance(tmp_path: Path, key: str, whose: str) -> None:
    """Root acts as the owner of the state: programs that it starts then belong to that user."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)
    place = theirs if whose == "a directory of a user" else theirs / "new"
    value = f"sqlite:///{place}/drd.db" if key == "state" else str(place)
    assert asking(f"{key}: '{value}'") == [key]
    link = tmp_path / "link"
    link.symlink_to(place)
    assert asking(f"{key}: '{value.replace(str(place), str(link))}'") == [key]
    assert asking(f"{key}: '{value.replace(str(theirs), str(tmp_path / 'own'))}'") == []
    assert asking(f"{key}: '{value.replace(str(place), '/tmp/made-by-anybody')}'") == [key]


def test_a_drd_yaml_that_makes_a_user_an_operator_is_not_put_in_force_unseen(
    site: Site, machine: Machine
) -> None:
    text = (site.base / "plans/shop.yaml").read_text()
    config = (site.base / "drd.yaml").read_text()
    assert "groups" not in config
    assert "notify" not in config
    config += "groups: {operate: users}\nnotify: [{kind: smtp, host: evil, to: [eve@evil]}]\n"
    store_own(
        site,
        own_tar(lambda tar: (add_text(tar, "./etc/shop.yaml", text),
                             add_text(tar, "./etc/drd.yaml", config))),
    )  # fmt: skip
    told = bootstrap(site, machine, code=2)
    assert not machine.root.exists()
    assert '! groups.operate: "users"' in told.err
    assert '! notify.0.host: "evil"' in told.err
    assert '! notify.0.to: ["eve@evil"]' in told.err
    assert "give users of this host rights in drd" in told.err
    bootstrap(site, machine, "--accept-commands")


def test_what_a_plan_forgets_is_shown() -> None:
    """The host may delete where whoever stored the plan may only add."""
    shown = orders("plan: x\nretention: {last: 1, keep_within: 1d}\n", url=TYPED)
    assert shown == ["retention.last: 1", 'retention.keep_within: "1d"']


RCLONE = """
plan: shop
repositories:
  primary:
    url: rclone:nas:shop
    password: {{file: {password}}}
    rclone: {{config: {{file: {config}}}}}
components:
  conf: {{kind: files, paths: [/etc/shop, /srv/shop/]}}
  db: {{kind: sqlite, path: /var/lib/shop/shop.db}}
targets: {{standby: {{conf: {{path: /mnt/back}}}}}}
"""


@pytest.mark.parametrize(
    ("config", "by"),
    [
        ("/srv/shop/rclone.conf", "components.conf.paths"),
        ("/srv/./other/../shop/deep/rclone.conf", "components.conf.paths"),
        ("/var/lib/shop/shop.db", "components.db.path"),
        ("/mnt/back/rclone.conf", "targets.standby.conf.path"),
    ],
)
def test_a_file_that_a_recovery_replaces_is_trusted_only_after_acceptance(
    config: str, by: str
) -> None:
    """Whoever has the password stores a plan of which a recovery writes its own rclone.conf: rclone
    runs the commands in it."""
    text = RCLONE.format(config=config, password="/etc/shop.pw")
    known = [SecretRef("file", config), SecretRef("file", "/etc/shop.pw")]
    found = module.orders(text, url="rclone:nas:shop", known=known)
    (asked,) = [order.line for order in found if order.asks]
    assert asked == (
        f'repositories.primary.rclone.config: {{"file": "{config}"}}, which a recovery of {by} '
        "replaces"
    )


def test_a_file_that_another_plans_recovery_replaces_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/srv/shop")
    text = RCLONE.format(config="/srv/nas/rclone.conf", password=f"{tmp_path}/link/pw")
    known = [SecretRef("file", "/srv/nas/rclone.conf"), SecretRef("file", f"{tmp_path}/link/pw")]
    (linked,) = asking(text, url="rclone:nas:shop", known=known)
    assert linked == "repositories.primary.password", "behind a link of this host"
    other = "plan: nas\ncomponents: {all: {kind: files, paths: [/srv/nas]}}\n"
    by_file = module.stored_orders(
        {"shop": text, "nas": other}, None, url="rclone:nas:shop", access={}, known=known
    )
    asked = [order.line.partition(":")[0] for order in by_file["plans/shop.yaml"] if order.asks]
    assert asked == ["repositories.primary.password", "repositories.primary.rclone.config"]
    assert not any(order.asks for order in by_file["plans/nas.yaml"])


def test_healthy_twin_files_beside_what_is_restored_need_no_option() -> None:
    text = RCLONE.format(config="/srv/shop-rclone.conf", password="/etc/shop.pw")
    known = [SecretRef("file", "/srv/shop-rclone.conf"), SecretRef("file", "/etc/shop.pw")]
    assert asking(text, url="rclone:nas:shop", known=known) == []


def test_the_command_of_a_secret_that_is_not_known_is_reported() -> None:
    told = orders(PLAN, url="/srv/repo")
    assert 'repositories.primary.password: {"command": ["cat", "pw"]}' in told
    assert 'repositories.primary.url: "/srv/repo"' in orders(PLAN, url="/srv/another")


def test_effects_of_drd_yaml_are_listed() -> None:
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


def test_names_cannot_control_the_terminal() -> None:
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
    path = module.PlanEffect('components.db.path: "/srv/shop.db"', asks=False)
    accept(args, datetime(2026, 11, 25, tzinfo=UTC), {"plans/shop.yaml": [path]})


def test_own_texts_of_a_repository_are_shown_and_templates_need_acceptance(
    site: Site, machine: Machine
) -> None:
    """A template is executed, and what it writes goes to people outside; a duty may replace one of
    drd's."""
    text = (site.base / "plans/shop.yaml").read_text()
    own = {"templates/customers.en.j2": "Subject: x\n{{ 1 }}\n", "regimes/eu-gdpr-33.yaml": "{}\n"}
    store_own(
        site,
        own_tar(lambda tar: [add_text(tar, f"./etc/{name}", content)
                             for name, content in {"shop.yaml": text, **own}.items()]),
    )  # fmt: skip
    told = bootstrap(site, machine, code=2)
    assert not machine.root.exists()
    assert "regimes/eu-gdpr-33.yaml:\n  a duty to report" in told.err
    assert "templates/customers.en.j2:\n! a template, which drd executes" in told.err
    found = own_text_orders({name: data.encode() for name, data in own.items()})
    assert {name: [e.asks for e in effects] for name, effects in found.items()} == {
        "templates/customers.en.j2": [True], "regimes/eu-gdpr-33.yaml": [False],
    }  # fmt: skip


# --- every key there is ---------------------------------------------------------------------------


def keys_of(model: type[Settings]) -> Iterator[tuple[str, ...]]:
    """The keys of a schema that hold values, with `*` for names and places in lists; without
    secrets."""
    root = model.model_json_schema()

    def below(node: dict[str, Any], key: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if "$ref" in node:
            yield from below(root["$defs"][node["$ref"].rpartition("/")[2]], key)
            return
        branches = [*node.get("anyOf", ()), *node.get("oneOf", ())]
        known = node.get("properties", {})
        if "credential" in known:
            return
        for branch in branches:
            yield from below(branch, key)
        for name, about in known.items():
            yield from below(about, (*key, name))
        for about in (
            *node.get("patternProperties", {}).values(),
            node.get("additionalProperties"),
        ):
            if isinstance(about, dict):
                yield from below(about, (*key, "*"))
        if "items" in node:
            yield from below(node["items"], (*key, "*"))
        elif not branches and not known and node.get("type") not in ("object", "null"):
            yield key

    yield from dict.fromkeys(below(root, ()))


def is_under(key: tuple[str, ...], patterns: Collection[tuple[str, ...]]) -> bool:
    """Whether a pattern means this key, or what it lies in. A list of plain values is one value."""
    return any(
        len(pattern) <= len(key) and all(p in ("*", k) for p, k in zip(pattern, key, strict=False))
        for pattern in patterns
    )


RUN = {
    "plan": "components.*.before.command components.*.after.command components.*.bin_dir "
    "checks.*.run targets.*.*.bin_dir components.*.in targets.*.*.in runbook erasures "
    "checks.*.query kit.recipients kit.file "
    "repositories.*.command repositories.*.azure.account_name repositories.*.azure.endpoint_suffix",
    "daemon": "notify.*.command kit.recipients kit.file extensions incident.roles "
    "records.timestamp.url records.timestamp.ca",
}
"""What is meant to be asked about, beside secrets. A key that comes to be belongs here, or in the
lists of `drd.kit.plan_effects`, or its type says that it is one of a few words, a number, a time or
a name."""


OF_KINDS = frozenset(
    place
    for spec in KINDS
    for place in (
        *(("components", "*", key) for key in spec.keys),
        *(("targets", "*", "*", key) for key in spec.target_keys),
    )
)
"""What each kind says of keys of its own."""


@pytest.mark.parametrize(("which", "model"), [("plan", PlanFile), ("daemon", DaemonFile)])
def test_every_key_of_the_schema_is_known_to_ask_or_not(which: str, model: type[Settings]) -> None:
    known = module._HARMLESS[which] | module._ONLY_DATA | OF_KINDS
    known |= given_away.GIVES | given_away.PLACES
    run = patterns(RUN[which])
    view = SchemaView(model)
    open_keys = {
        key
        for key in keys_of(model)
        if not is_under(key, known | run | patterns("drill.read drill.reach"))
        and not all(module._is_one_of_few(node) for node in view.nodes(placed(key), {}))
    }
    assert open_keys == set()


def placed(key: tuple[str, ...]) -> tuple[str | int, ...]:
    """With a place in a list for each `*` that stands for one; names go for any."""
    lists = {"notify", "checks", "runbook", "people"}
    return tuple(
        0 if part == "*" and ((n == 1 and key[0] in lists) or n == len(key) - 1) else part
        for n, part in enumerate(key)
    )


def test_every_key_of_the_lists_is_in_a_schema() -> None:
    there = {*keys_of(PlanFile), *keys_of(DaemonFile), ("repositories", "*", "password")}
    lists = (*module._HARMLESS.values(), module._ONLY_DATA, OF_KINDS)
    lists += (given_away.GIVES, given_away.PLACES)
    gone = {p for patterns in lists for p in patterns if not any(is_under(k, {p}) for k in there)}
    assert gone == set()
