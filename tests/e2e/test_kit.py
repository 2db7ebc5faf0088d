"""The recovery kit: made on a host, opened where there is nothing of it."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

import pyrage
import pytest

from tests import warm
from tests.e2e.kit_site import (
    PASSPHRASE,
    KitSite,
    Machine,
    kit_site,
    open_with_age,
    printed_commands,
    run_bash,
)
from tests.e2e.site import PASSWORD, Result, Site, make_tree, small_site
from tests.e2e.test_docs import bash, commands
from tests.servers import S3Server, postgres_server, short_directory

pytestmark = pytest.mark.xdist_group("kit")  # the host is made once


@pytest.fixture(scope="module")
def host(s3: S3Server) -> Iterator[KitSite]:
    with (
        short_directory(Path(os.environ["DRD_TEST_RUN"])) as base,
        postgres_server(base / "a", password="source pw") as source,
        postgres_server(base / "b", password="standby: p\\w'd", tcp=True) as standby,
    ):
        yield kit_site(base, s3, source, standby)


def test_printed_commands_bring_everything_back_without_drd(host: KitSite, short_tmp: Path) -> None:
    host.empty_standby()
    host.export()
    (short_tmp / "wrong").write_text("another passphrase")
    wrong = ("--passphrase-file", f"{short_tmp}/wrong")
    told = host.site.drd("kit", "verify", str(host.file), *wrong, code=12)
    assert "the passphrase does not open" in told.err
    assert stat.S_IMODE(host.file.stat().st_mode) == 0o600
    kit = open_with_age(host.file, short_tmp)
    folder = kit / "runbooks/shop"
    page = (folder / "runbook.md").read_text()
    script = printed_commands(page)
    web = re.findall(
        r'<pre class="bash">(.*?)</pre>', (folder / "runbook.html").read_text(), re.DOTALL
    )
    assert html.unescape("".join(web)) == script
    for secret in (PASSWORD, host.s3.secret_key, "source pw", "standby: p"):
        assert secret not in page
    assert "Ann Example | incident commander, operator | +49 30 1234" in page
    assert sorted(p.name for p in folder.glob("*.md")) == [
        "runbook-incident-commander.md",
        "runbook-operator.md",
        "runbook.md",
    ]
    assert (
        "People with this role: Ann Example, Bob Example."
        in (folder / "runbook-operator.md").read_text()
    )
    # Nothing but the kit, the bucket and the empty server.
    told = run_bash(script, kit, {"PATH": f"{host.standby.bin_dir}:{os.environ['PATH']}"})
    assert "public.orders: 1000 rows" in told
    assert "gateway: 3 files as at the backup" in told
    host.assert_back()
    # The script has the same commands, and starts from any directory.
    host.empty_standby()
    by_hand = folder / "recover-by-hand.sh"
    lines = iter(by_hand.read_text().splitlines())
    assert all(line in lines for line in script.splitlines())
    start = f"bash {quote(str(by_hand))} </dev/null"
    said = run_bash(start, short_tmp, {"PATH": f"{host.standby.bin_dir}:{os.environ['PATH']}"})
    assert said.endswith("Every command succeeded.\n")
    host.assert_back()
    # The same again finds what it restored, and touches nothing.
    path = f"{host.standby.bin_dir}:{os.environ['PATH']}"
    said = run_bash(start, short_tmp, {"PATH": path})
    assert said.count(": restored before by this script, from the same restore point\n") == 3
    assert said.endswith("Every command succeeded.\n")
    host.assert_back()
    # Data that it did not make stays, and no command is named that would remove it.
    (short_tmp / "recovery-kit/recovered").rename(short_tmp / "recovery-kit/of-a-former-kit")
    with pytest.raises(AssertionError, match="database back exists and is not empty") as refused:
        run_bash(start, short_tmp, {"PATH": path})
    assert "dropdb" not in str(refused.value).split("is not empty")[-1]
    host.assert_back()


def test_by_hand_a_script_that_failed_in_the_middle_goes_on(host: KitSite, short_tmp: Path) -> None:
    """The dump of the database arrives cut off, and a file is in the way of another component. The
    third component comes back in the first run."""
    host.empty_standby()
    kit = open_with_age(host.export(), short_tmp)
    start = f"bash {quote(str(kit / 'runbooks/shop/recover-by-hand.sh'))} </dev/null"
    cut = short_tmp / "cut"
    cut.mkdir()
    (cut / "restic").write_text(f"""#!/bin/bash
if [[ -e {cut}/now && "$*" == *dump*/*.dump ]]; then
    {shutil.which("restic")} "$@" | head -c -400
else
    exec {shutil.which("restic")} "$@"
fi
""")
    (cut / "restic").chmod(0o755)
    path = f"{cut}:{host.standby.bin_dir}:{os.environ['PATH']}"

    def fails() -> tuple[list[str], list[str]]:
        """Return what the script names as not restored, and the commands that it names."""
        with pytest.raises(AssertionError, match="Correct the cause, then start") as failed:
            run_bash(start, short_tmp, {"PATH": path})
        told = str(failed.value).rpartition("Every command succeeded")[2].splitlines()
        names = [line.split()[2] for line in told if line.startswith("NOT restored: ")]
        return names, [line.strip() for line in told if re.match("  [a-z]+ .*--", line)]

    (cut / "now").touch()
    (host.back / "sessions.db").write_text("of another program")
    names, [remove] = fails()
    assert names == ["orders-db", "sessions"]
    assert remove.endswith("dropdb --if-exists -- 'back'")
    (cut / "now").unlink()
    assert fails() == (names, [remove]), "the half of a database is in the way"
    run_bash(remove, short_tmp, {"PATH": path})
    assert fails() == (["sessions"], [])
    (host.back / "sessions.db").unlink()
    said = run_bash(start, short_tmp, {"PATH": path})
    assert "orders-db: restored before by this script" in said
    assert "gateway: restored before by this script" in said
    assert said.endswith("Every command succeeded.\n")
    host.assert_back()


def test_by_hand_a_fresh_server_admits_root_and_files_get_to_their_places(short_tmp: Path) -> None:
    """Without a target, where only the system user postgres has a role."""
    with postgres_server(short_tmp / "pg") as server:
        site = Site(short_tmp / "host")
        make_tree(site.base / "etc")
        server.execute("create database warehouse")
        server.execute("create table orders as select generate_series(1, 1000) id", "warehouse")
        server.execute("create extension hstore", "warehouse")
        where = f"host={server.socket_dir}&port={server.port}"
        site.plan(f"""
components:
  orders-db: {{kind: postgres, dsn: "postgresql://postgres@/warehouse?{where}"}}
  gateway: {{kind: files, paths: [{site.base}/etc]}}
checks:
  - {{name: gateway, kind: command, component: gateway,
      run: [sh, -c, 'test -f "$DRD_PATH{site.base}/etc/app.conf"']}}
""")
        site.drd("backup", "shop")
        (short_tmp / "passphrase").write_text(f"{PASSPHRASE}\n")
        kit = short_tmp / "shop.kit"
        key = ("--passphrase-file", f"{short_tmp}/passphrase")
        site.drd("kit", "export", "shop", "--to", str(kit), *key)
        server.execute("drop database warehouse")
        (site.base / "etc/app.conf").write_text("of the new host")
        folder = open_with_age(kit, short_tmp)
        page = (folder / "runbooks/shop/runbook.md").read_text()
        around = {"PGHOST": str(server.socket_dir), "PGPORT": str(server.port)}
        path = f"{server.bin_dir}:{os.environ['PATH']}"
        said = run_bash(printed_commands(page), folder, {"PATH": path, **around})
        assert f"{site.base}/etc is back" in said
        assert server.execute("select count(*) from orders", "warehouse") == [(1000,)]
        assert (site.base / "etc.before/app.conf").read_text() == "of the new host"
        assert (site.base / "etc/app.conf").read_text() == "listen 8080;\n"
        # The superuser that they made is gone again, and what it owned belongs to postgres.
        superusers = server.execute("select rolname from pg_roles where rolsuper")
        assert superusers == [("postgres",)]
        owner = "select extowner::regrole::text from pg_extension where extname = 'hstore'"
        assert server.execute(owner, "warehouse") == [("postgres",)]


def test_a_kit_holds_what_a_recovery_needs_and_no_more(host: KitSite, short_tmp: Path) -> None:
    identity = short_tmp / "identity"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    recipient = re.search(r"age1\w+", identity.read_text())
    assert recipient
    host.export("--recipient", recipient[0])
    command = f"tail -n +2 {host.file} | age -d -i {identity} | tar -x"
    assert (
        command.replace(str(host.file), "THIS-FILE").replace(str(identity), "YOUR-IDENTITY-FILE")
        in host.file.read_text().partition("\n")[0]
    )
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=short_tmp, check=True)
    kit = short_tmp / "recovery-kit"
    index = json.loads((kit / "kit.json").read_text())
    assert {s["use"] for s in index["secrets"]} == {
        "repository primary of shop: password",
        "repository primary of shop: access_key",
        "repository primary of shop: secret_key",
        "target standby of shop: orders-db",
    }
    held = {s["use"].split()[-1]: (kit / s["file"]).read_text() for s in index["secrets"]}
    assert held["password"] == PASSWORD
    assert held["secret_key"] == host.s3.secret_key
    everything = b"".join(p.read_bytes() for p in kit.rglob("*") if p.is_file())
    assert b"source pw" not in everything, "a restore needs no login of the source"
    (plan,) = index["plans"]
    (point,) = plan["points"]
    assert point["id"] == host.site.points()[0]["point"]
    assert {c["component"]: c["summary"] for c in point["components"]}["orders-db"] == {
        "tables": 2,
        "rows": 1500,
    }
    assert plan["repositories"][0]["id"]
    assert (kit / "etc/plans/shop.yaml").read_text() == (
        host.site.base / "plans/shop.yaml"
    ).read_text()
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in (kit / "secrets").iterdir())
    told = host.site.drd("kit", "verify", str(host.file), "--identity", str(identity), "--json")
    assert told.json["plans"][0]["current"] is True


# --- an empty machine, with a kit or the repository's password in somebody's hand -------------


@pytest.fixture
def machine(short_tmp: Path) -> Machine:
    return Machine(short_tmp / "root")


@pytest.fixture
def lost(host: KitSite) -> Iterator[KitSite]:
    """The host is gone; somebody has a kit, and somebody else knows the repository's password."""
    identity = pyrage.x25519.Identity.generate()
    host.export("--recipient", str(identity.to_public()))
    host.identity.write_text(str(identity))
    host.password.write_text(PASSWORD)
    host.empty_standby()
    gone = host.site.base.with_name("gone")
    gone.mkdir()
    names = ("secrets", "plans", "state", "cache", "work", "drd.yaml")
    for name in names:
        (host.site.base / name).rename(gone / name)
    yield host
    for name in names:
        (gone / name).rename(host.site.base / name)
    gone.rmdir()


def bootstrap(lost: KitSite, machine: Machine, *words: str, code: int = 0) -> str:
    kit = ("--kit", str(lost.file), "--identity", str(lost.identity))
    result = machine.drd("bootstrap", *kit, "--root", str(machine.root), *words, code=code)
    return result.out + result.err


def test_service_comes_back_from_a_kit_on_an_empty_machine(lost: KitSite, machine: Machine) -> None:
    lost.empty_standby()
    told = bootstrap(lost, machine)
    assert f"drd --config {machine.config} recover shop --target standby --dry-run" in told
    assert "needed later" in told, "the source's login is in no kit"
    assert "needed to recover" not in told
    credentials = machine.config.parent / "credentials"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o700
    for secret in [*credentials.iterdir(), *machine.root.rglob("secrets/*")]:
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    plan = (machine.config.parent / "plans/shop.yaml").read_text()
    assert "# where we go when the host is gone" in plan, "comments are worth most on this day"
    old = str(lost.site.base / "secrets")
    assert plan.count(old) == plan.count(f"{machine.root}{old}") > 0
    runs = machine.after("runs", "--json").json["runs"]
    assert [(r["kind"], r["state"]) for r in runs] == [
        ("kit", "succeeded"),
        ("backup", "succeeded"),
    ]
    told = machine.after("recover", "shop", "--target", "standby", "--yes", "--json").json
    assert told["result"] == "passed"
    lost.assert_back()
    # Again: everything is there and the same, so nothing is written.
    before = machine.everything()
    assert "wrote" not in bootstrap(lost, machine)
    made = machine.everything().keys() - before.keys()
    assert all("/cache/" in path for path in made), "but what may be lost at any time"
    assert before.keys() <= machine.everything().keys()
    assert len(machine.after("runs", "--json").json["runs"]) == 3, "and the kit is known already"


def test_service_comes_back_from_the_repository_alone(lost: KitSite, machine: Machine) -> None:
    lost.empty_standby()
    machine.environment = {
        "AWS_ACCESS_KEY_ID": lost.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": lost.s3.secret_key,
    }
    url = ("--repository", lost.site.repository)
    key = ("--password-file", str(lost.password))
    root = ("--root", str(machine.root))
    asked = machine.drd("bootstrap", *url, *key, *root, code=2).err
    assert "--accept-commands" in asked
    assert not machine.root.exists()
    told = machine.drd("bootstrap", *url, *key, *root, "--accept-commands").out
    machine.environment = {"KIT_TEST_KEY": lost.s3.access_key}
    standby = machine.root / str(lost.site.base).lstrip("/") / "secrets/standby"
    assert f"needed to recover: {standby} (targets.standby.orders-db.dsn of shop)" in told
    assert [r["kind"] for r in machine.after("runs", "--json").json["runs"]] == ["backup"]
    assert len(machine.after("points", "shop", "--json").json["points"]) == 1
    standby.parent.mkdir(parents=True, exist_ok=True)
    standby.write_text(lost.standby.dsn("back"))
    machine.after("recover", "shop", "--target", "standby", "--yes")
    lost.assert_back()


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_kit_that_does_not_open_leaves_nothing_behind(
    lost: KitSite, machine: Machine, short_tmp: Path, key: str
) -> None:
    (short_tmp / "wrong").write_text("another password")
    url = ("--repository", lost.site.repository + ("" if key else "-nowhere"))
    machine.environment = {
        "AWS_ACCESS_KEY_ID": lost.s3.access_key,
        "AWS_SECRET_ACCESS_KEY": lost.s3.secret_key,
    }
    file = str(short_tmp / "wrong")
    code = 12 if key else 10
    root = ("--root", str(machine.root))
    told = machine.drd("bootstrap", *url, "--password-file", file, *root, code=code)
    remedy = "give a file with the right password: --password-file" if key else "check the URL: "
    assert f"HINT: {remedy}" in told.err
    assert not machine.root.exists()


# --- a small host, whose repository is a directory --------------------------------------------


@pytest.fixture
def small(short_tmp: Path) -> Site:
    """With a kit for an identity, which opens faster than one with a passphrase."""
    site = small_site(short_tmp)
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    site.drd("backup", "shop")
    export = site.drd(
        "kit", "export", "shop", "--to", f"{site.base}/k", "--recipient", str(identity.to_public())
    )
    assert hashlib.sha256((site.base / "k").read_bytes()).hexdigest() in export.out
    return site


def test_without_a_target_the_kit_holds_the_logins_of_the_source(short_tmp: Path) -> None:
    """Which is where the service comes back to. Nothing is contacted, and one that is lost is
    told."""
    site = Site(short_tmp)
    dsn = site.secret("dsn", "postgresql://shop:source%20pw@db.example.com/shop")
    site.plan(
        f"components:\n  db: {{kind: postgres, dsn: {dsn}}}\n"
        f"  old: {{kind: postgres, dsn: {{file: {short_tmp}/secrets/lost}}}}\n"
    )
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    to = ("--to", f"{site.base}/k", "--recipient", str(identity.to_public()))
    told = site.drd("kit", "export", "shop", *to)
    assert "the kit lacks a secret: component old of shop: dsn (" in told.err
    command = f"tail -n +2 {site.base}/k | age -d -i {site.base}/secrets/identity | tar -xO"
    command += " recovery-kit/secrets/shop.db.dsn"
    done = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, check=True)
    assert done.stdout == "postgresql://shop:source%20pw@db.example.com/shop"


def test_with_a_target_the_export_names_the_logins_of_the_source_that_it_leaves_out(
    short_tmp: Path,
) -> None:
    site = Site(short_tmp)
    dsn = site.secret("dsn", "postgresql://shop:source%20pw@db.example.com/shop")
    back = site.secret("back", "postgresql://db.example.org/back")
    site.plan(
        f"components:\n  db: {{kind: postgres, dsn: {dsn}}}\n"
        f"targets:\n  standby:\n    db: {{dsn: {back}}}\n"
    )
    key = pyrage.x25519.Identity.generate().to_public()
    told = site.drd("kit", "export", "shop", "--to", f"{site.base}/k", "--recipient", str(key))
    left = f"the logins of production of plan shop: db.dsn (file {short_tmp}/secrets/dsn)"
    assert f"the kit does not contain {left}" in " ".join(told.err.split()), told


def verify(site: Site, *words: str, code: int = 0) -> Result:
    identity = f"{site.base}/secrets/identity"
    return site.drd("kit", "verify", f"{site.base}/k", "--identity", identity, *words, code=code)


def test_verify_tells_what_is_wrong(small: Site) -> None:
    kit, whole = small.base / "k", (small.base / "k").read_bytes()
    found = verify(small, "--json").json
    assert found["ok"] is True
    assert found["plans"][0]["newest_point"]["point"] == small.points()[0]["point"]
    assert 0 <= found["age_s"] < 600
    kit.write_bytes(whole[: len(whole) // 2])
    told = verify(small, code=1)
    assert "is damaged" in told.err
    assert "HINT: use another copy of the kit." in told.err
    kit.write_bytes(whole)
    plan = small.base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace("rto: 30m", "rto: 20m"))
    small.drd("catalogue", "verify")
    told = verify(small)
    assert (
        "has an older schedule or owner than the plan on this host, but recovers the same"
        in told.out
    )
    plan.write_text(plan.read_text().replace("name: orders are there", "name: orders"))
    small.drd("catalogue", "verify")
    told = verify(small, code=4)
    assert "plan shop was changed after the kit was made" in told.err
    Path(small.repository).rename(small.base / "aside")
    found = verify(small, "--json", code=10).json
    assert found["ok"] is False
    assert found["plans"][0]["repositories"][0]["error"]["exit"] == 10


@pytest.mark.faults
def test_a_script_that_changed_makes_the_kit_outdated(small: Site) -> None:
    script, plan = small.base / "replay", small.base / "plans/shop.yaml"
    script.write_text("#!/bin/sh\ntrue\n")
    script.chmod(0o755)
    steps = (
        f"[{{restore: [db, conf]}}, {{check: all}}, {{name: replay, command: {{run: [{script}]}}}}]"
    )
    plan.write_text(f"{plan.read_text()}runbook: {steps}\n")
    identity = pyrage.x25519.Identity.from_str((small.base / "secrets/identity").read_text())
    to = ("--to", f"{small.base}/k", "--recipient", str(identity.to_public()))
    small.drd("kit", "export", "shop", *to)
    verify(small)
    script.write_text("#!/bin/sh\nfalse\n")
    assert "plan shop was changed after the kit was made" in verify(small, code=4).err


def test_a_required_kit_that_is_not_in_order_is_found(small: Site) -> None:
    """By `drd doctor`: never tried, outdated, in order, and missing for a plan that has none."""

    def kit(code: int) -> str:
        items = small.drd("doctor", "shop", "--json", code=code).json["items"]
        (item,) = (i for i in items if i["name"].startswith(("recovery kit", "kit ")))
        assert item["ok"] == (code == 0)
        return str(item["detail"])

    config = small.base / "drd.yaml"
    assert "nobody has tested the kit of" in kit(0), "not required: a warning"
    config.write_text(config.read_text() + "kit: {required: true}\n")
    assert "nobody has tested the kit of" in kit(1)
    verify(small)
    assert kit(0) == "the kit is current and opened every repository"
    plan, text = small.base / "plans/shop.yaml", (small.base / "plans/shop.yaml").read_text()
    plan.write_text(text.replace("rto: 30m", "rto: 20m"))
    assert "contains an older text of the plan" in kit(0), "it recovers the same"
    plan.write_text(text.replace("name: orders are there", "name: orders"))
    assert "is outdated: the plan was changed afterwards" in kit(1)
    recipient = pyrage.x25519.Identity.from_str((small.base / "secrets/identity").read_text())
    plan.write_text(f"{plan.read_text()}kit: {{recipients: [{recipient.to_public()}]}}\n")
    small.drd("kit", "export", "shop", "--to", f"{small.base}/k")
    Path(small.repository).rename(small.base / "aside")
    verify(small, code=10)
    assert "did not open every repository" in kit(1)
    kinds = {(r["kind"], r["state"]) for r in small.runs()}
    assert ("kit", "succeeded") in kinds
    assert ("kit", "failed") in kinds


def test_verify_uses_nothing_of_the_host(small: Site) -> None:
    """Configuration, secrets, catalogue and cache are gone: only the repository is there."""
    (small.base / "secrets/identity").rename(small.base / "identity")
    for name in ("secrets", "plans", "state", "cache", "drd.yaml"):
        (small.base / name).rename(small.base / f"lost-{name}")
    (small.base / "secrets").mkdir()
    (small.base / "identity").rename(small.base / "secrets/identity")
    told = verify(small)
    assert "primary  the kit opens this repository; its newest restore point is" in told.out
    assert "not loaded on this host" in told.out
    assert not (small.base / "cache").exists()


def test_a_failed_export_leaves_what_was_there(small: Site) -> None:
    before, data = (small.base / "k").read_bytes(), (small.base / "shop.db").read_bytes()
    (small.base / "passphrase").write_text(PASSPHRASE)
    key = ("--passphrase-file", f"{small.base}/passphrase")
    told = small.drd("kit", "export", "shop", "--to", f"{small.base}/shop.db", *key, code=2)
    assert "exists and is not a recovery kit" in told.err
    (small.base / "secrets/restic").unlink()
    told = small.drd("kit", "export", "shop", "--to", f"{small.base}/k", *key, code=2)
    assert "secrets/restic" in told.err
    assert (small.base / "k").read_bytes() == before
    assert (small.base / "shop.db").read_bytes() == data


def test_commands_of_the_page_work(small: Site) -> None:
    (small.base / "kit-passphrase").write_text("five words for a kit\n")
    script = commands("docs/kit.md", "Make one")
    for shown, here in {
        "orders-api": "shop",
        "/mnt/usb": str(small.base),
        "/root": str(small.base),
    }.items():
        assert shown in script
        script = script.replace(shown, here)
    path = f"{warm.program(os.environ)}:{os.environ['PATH']}"
    told = bash(script, small.base, {**small.env(), "PATH": path})
    assert "same as on this host" in told
