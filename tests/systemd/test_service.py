"""The service under its shipped unit, from `drd install` to `drd uninstall`, in this order."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drd.catalogue.migrate import OURS
from tests.catalogue_support import of_the_first_version
from tests.servers.nspawn import DRD, Machine

# In order, on one system.
pytestmark = pytest.mark.xdist_group("systemd-service")

PASSWORD = "correct horse battery staple"

HOOK = "(grep CapEff /proc/self/status; cat /etc/shop/only-root; env) >/var/lib/drd/hook 2>&1"

SHOP = f"""
plan: shop
objectives: {{rpo: 5m, rto: 10m}}
components:
  db: {{kind: postgres, dsn: "host=/run/shop dbname=shop"}}
  conf:
    kind: files
    paths: [/etc/shop]
    before: {{command: [sh, -c, "{HOOK}"]}}
  app: {{kind: sqlite, path: /var/lib/shop/app.db}}
repositories:
  primary: {{url: /srv/backups/shop, password: {{credential: shop-restic}}}}
backup: {{every: 1h, jitter: 1s}}
retention: {{daily: 7}}
checks:
  - {{name: rows, kind: rows, component: db}}
  - {{name: files, kind: files, component: conf}}
  - {{name: app, kind: sql, component: app, query: "select count(*) from t", expect: "> 0"}}
drill: {{every: 1h}}
"""

# By peer authentication, as on a Debian host whose administrator made a role for drd.
DATABASE = """
install -d -o postgres /run/shop
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
cd /run/shop
runuser -u postgres -- $bin/initdb -D /run/shop/data -A peer --no-sync >/dev/null
systemd-run -q --unit shop-db -p User=postgres $bin/postgres -D /run/shop/data -k /run/shop \\
  -c listen_addresses=
for i in $(seq 600); do
  runuser -u postgres -- $bin/pg_isready -q -h /run/shop && break; sleep 0.1; done
runuser -u postgres -- $bin/psql -q -h /run/shop -c 'create role drd login superuser' \\
  -c 'create database shop owner drd'
runuser -u drd -- $bin/psql -q -h /run/shop shop \\
  -c 'create table orders as select generate_series(1,1000) id'
"""

# In WAL mode and in use, by a service that lets nobody write beside its database.
APPLICATION = """
import sqlite3, time
c = sqlite3.connect("/var/lib/shop/app.db", isolation_level=None)
c.execute("pragma journal_mode = wal")
c.execute("create table t (n)")
while True:
    c.execute("insert into t values (1)")
    time.sleep(0.1)
"""

SLOW = """
plan: slow
objectives: {rpo: 1h, rto: 1h}
components:
  conf:
    kind: files
    paths: [/etc/hostname]
    before: {command: [sh, -c, "test -e /srv/go || exec sleep 117"], timeout: 5m}
repositories:
  primary: {url: /srv/backups/slow, password: {credential: shop-restic}}
backup: {every: 3s, jitter: none}
"""


@pytest.fixture(scope="module")
def service(system: Machine) -> Machine:
    """Installed and started, with a plan that needs what only root may read, a database that knows
    drd by its user, and a repository on a local disk."""
    system.run(DRD, "install")
    system.sh(DATABASE)
    system.sh("install -d -m 700 -o postgres /var/lib/shop")
    words = ("--unit", "shop-app", "-p", "User=postgres", sys.executable, "-c", APPLICATION)
    system.run("systemd-run", "-q", *words)
    system.wait_until(system.path("/var/lib/shop/app.db-wal").exists, 60, "the application")
    system.write("/etc/drd/credentials/shop-restic", PASSWORD, mode=0o600)
    system.write("/etc/shop/only-root", "for root's eyes", mode=0o600)
    system.write("/etc/drd/plans/shop.yaml", SHOP)
    system.sh("chmod 700 /etc/shop; install -d -o drd -g drd -m 2770 /srv/backups")
    for name in ("shop", "slow"):
        system.begin_repository(f"/srv/backups/{name}", PASSWORD)
    system.run("systemctl", "start", "drd")
    return system


def told(machine: Machine, *words: str) -> dict[str, Any]:
    """A document of drd, as root in a terminal gets it."""
    done = machine.run(DRD, *words, "--json", check=False)
    return dict(json.loads(done.stdout))


def runs(machine: Machine, plan: str, kind: str) -> list[dict[str, Any]]:
    return [r for r in told(machine, "runs", plan)["runs"] if r["kind"] == kind]


def main_pid(machine: Machine) -> str:
    return machine.unit("MainPID")


def is_active(machine: Machine) -> bool:
    return machine.unit("ActiveState") == "active" and machine.unit("SubState") == "running"


def test_start_is_over_when_the_service_is_ready(service: Machine) -> None:
    assert is_active(service)
    assert service.unit("NRestarts") == "0"
    assert service.unit("User") == "drd"
    status = service.run("systemctl", "status", "--no-pager", "drd").stdout
    # What it began with, or already its first action.
    assert re.search(r'Status: "(.*1 plan|started backup of shop)', status), status
    owners = service.sh("stat -c '%U:%G %a' /var/lib/drd /var/lib/drd/drd.db /var/cache/drd")
    assert owners.split("\n")[:3] == ["drd:drd 700", "drd:drd 600", "drd:drd 700"]


def test_the_hardened_service_makes_due_backups_and_drills(service: Machine) -> None:
    service.wait_for_run("shop", "drill", 120)
    assert any(r["state"] == "succeeded" for r in runs(service, "shop", "drill"))
    [point] = told(service, "points", "shop")["points"]
    assert point["complete"]
    assert point["proven_by"]
    kept = service.run(
        "restic", "-r", "/srv/backups/shop", "--no-lock", "dump", "--path", "/etc/shop", "latest",
        "/etc/shop/only-root", env={"RESTIC_PASSWORD": PASSWORD},
    )  # fmt: skip
    assert kept.stdout == "for root's eyes"


def test_a_hook_gets_no_rights_secrets_or_notify_socket(service: Machine) -> None:
    said = service.path("/var/lib/drd/hook").read_text()
    assert "CapEff:\t0000000000000000" in said
    assert "only-root: Permission denied" in said
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY", PASSWORD):
        assert name not in said
    own = {line.split("=")[0] for line in said.splitlines() if line.startswith("DRD_")}
    assert own == {"DRD_COMPONENT", "DRD_RUN", "DRD_STATE_ID"}


def test_a_core_of_drd_would_be_empty(service: Machine) -> None:
    pid = service.run("systemctl", "show", "-P", "MainPID", "drd").stdout.strip()
    limits = service.sh(f"grep 'Max core file size' /proc/{pid}/limits").split()
    assert limits[4:6] == ["0", "0"]


def test_root_in_a_terminal_leaves_nothing_that_the_service_cannot_use(service: Machine) -> None:
    done = service.run(DRD, "backup", "shop", "--component", "conf", "--json", check=False)
    assert json.loads(done.stdout)["components"][0]["state"] == "captured"
    assert service.sh("find /var/lib/drd /var/cache/drd /srv/backups -user root") == ""


def test_secrets_stay_out_of_the_journal_and_of_what_others_see(service: Machine) -> None:
    assert PASSWORD not in service.journal()
    others = service.run(
        "runuser", "-u", "nobody", "--", "ls", "/run/credentials/drd.service", check=False
    )
    assert "Permission denied" in others.stderr


def test_lines_of_one_plan_are_found_by_its_name(service: Machine) -> None:
    mine = service.journal("PLAN=shop")
    assert "run.over" in mine
    assert "daemon.started" not in mine


BROKEN = """
plan: broken
objectives: {rpo: 1h, rto: 1h}
components: {conf: {kind: files, paths: [/etc/not-there]}}
repositories: {primary: {url: /srv/backups/slow, password: {credential: shop-restic}}}
backup: {every: 1h, jitter: none}
"""


def lines_of(machine: Machine) -> list[dict[str, Any]]:
    """drd's own lines in the journal."""
    unit = ("-u", "drd.service", "SYSLOG_IDENTIFIER=drd", "-o", "json", "--no-pager", "--quiet")
    return [json.loads(line) for line in machine.run("journalctl", *unit).stdout.splitlines()]


def test_each_line_has_one_message_and_each_error_one_line(service: Machine) -> None:
    before = service.path("/etc/drd/drd.yaml").read_text()
    script = "notify: [{kind: exec, name: script, command: [/bin/true]}]\n"
    service.write("/etc/drd/drd.yaml", script)
    service.write("/etc/drd/plans/broken.yaml", BROKEN)
    service.run("systemctl", "reload", "drd")

    def said(event: str) -> list[dict[str, Any]]:
        return [line for line in lines_of(service) if line.get("EVENT") == event]

    service.wait_until(lambda: bool(said("message.delivered")), 60, "a message")
    service.wait_until(
        lambda: any(line["PLAN"] == "broken" for line in said("run.over")), 60, "the run"
    )
    lines = lines_of(service)
    assert {type(line["MESSAGE"]) for line in lines} == {str}, "not a list of two"
    assert all(line["MESSAGE"].startswith(line["EVENT"]) for line in lines)
    assert not said("tick")
    [over] = [line for line in said("run.over") if line["PLAN"] == "broken"]
    assert (over["STATE"], over["PRIORITY"]) == ("failed", "4")
    assert [line["EVENT"] for line in lines if "not-there" in line["MESSAGE"]] == ["run.over"]
    assert {line["EVENT"] for line in lines if line.get("RUN") == over["RUN"]} == {
        "run.dispatched",
        "run.over",
    }
    service.write("/etc/drd/drd.yaml", before)
    service.sh("rm /etc/drd/plans/broken.yaml")
    service.run("systemctl", "reload", "drd")
    service.run(DRD, "plan", "forget", "broken", "--yes")


def test_reload_takes_a_new_plan_and_refuses_a_broken_one(service: Machine) -> None:
    before = main_pid(service)
    service.write("/etc/drd/plans/slow.yaml", SLOW)
    service.write("/etc/drd/plans/shop.yaml", SHOP.replace("kind: rows", "kind: rowz"))
    service.run("systemctl", "reload", "drd")
    assert main_pid(service) == before
    assert re.search(r"plan.refused.*shop.yaml:\d+: .*rowz", service.journal("PLAN=shop"))
    assert told(service, "schedule", "slow")["items"]
    shop = told(service, "status", "shop")["plans"][0]
    assert any("rowz" in reason or "not loaded" in reason for reason in shop["reasons"])
    assert told(service, "schedule", "shop")["items"], "the plan of before is in force"
    service.write("/etc/drd/plans/shop.yaml", SHOP)
    service.run("systemctl", "reload", "drd")


def test_reload_refuses_a_credential_that_came_after_the_start(service: Machine) -> None:
    service.write("/etc/drd/credentials/other-restic", PASSWORD, mode=0o600)
    other = SLOW.replace("plan: slow", "plan: other").replace("shop-restic", "other-restic")
    service.write("/etc/drd/plans/other.yaml", other)
    service.run("systemctl", "reload", "drd")
    refused = service.journal("PLAN=other")
    assert re.search("does not have credential other-restic: .*systemctl restart drd", refused)
    assert not told(service, "schedule", "other")["items"]
    service.path("/etc/drd/plans/other.yaml").unlink()
    service.run("systemctl", "reload", "drd")


def test_lines_of_the_journal_have_fields_also_as_json(service: Machine) -> None:
    before = service.path("/etc/drd/drd.yaml").read_text()
    service.write("/etc/drd/drd.yaml", "log: {format: json}\n")
    service.write("/etc/drd/plans/shop.yaml", SHOP + "# as before\n")
    service.run("systemctl", "reload", "drd")
    lines = service.journal("PLAN=shop").splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert ("plan.accepted", "shop") in [(line["event"], line["plan"]) for line in told]
    service.write("/etc/drd/drd.yaml", before)
    service.run("systemctl", "reload", "drd")


def hooked(machine: Machine) -> set[str]:
    """The process of a backup of `slow` whose hook waits for two minutes."""
    return set(machine.run("pgrep", "-u", "drd", "-x", "sleep", check=False).stdout.split())


def test_killed_run_is_recorded_swept_and_done_again(service: Machine) -> None:
    service.wait_until(lambda: len(hooked(service)) == 1, 60, "a backup of slow that waits")
    before = hooked(service)
    [first] = [r for r in runs(service, "slow", "backup") if r["state"] == "running"]
    service.run("pkill", "-KILL", "-f", f"drd worker {first['run']}")
    service.wait_until(lambda: bool(hooked(service) - before), 60, "it is done again")
    [dead] = [r for r in runs(service, "slow", "backup") if r["run"] == first["run"]]
    assert (dead["state"], dead["error"]) == (
        "interrupted",
        "the process of the run was killed by SIGKILL",
    )
    assert "run.died" in service.journal(f"RUN={first['run']}")
    assert service.sh(f"find /var/lib/drd/work -name '*{first['run']}*'") == ""
    assert is_active(service)
    assert service.unit("NRestarts") == "0"


def test_stop_interrupts_what_runs_and_leaves_no_process(service: Machine) -> None:
    began = time.monotonic()
    service.run("systemctl", "stop", "drd")
    assert time.monotonic() - began < 30
    assert service.unit("Result") == "success"
    assert service.run("pgrep", "-u", "drd", check=False).stdout == ""
    states = [r["state"] for r in runs(service, "slow", "backup")]
    assert len(states) >= 2
    assert set(states) == {"interrupted"}
    assert service.sh("find /srv/backups -path '*/locks/*'") == ""
    service.write("/srv/go", "")
    service.run("systemctl", "start", "drd")
    service.wait_for_run("slow", "backup", 120)
    assert any(r["state"] == "succeeded" for r in runs(service, "slow", "backup"))
    service.path("/etc/drd/plans/slow.yaml").unlink()
    service.run("systemctl", "reload", "drd")


def test_killed_daemon_is_back_within_seconds(service: Machine) -> None:
    before, restarts = main_pid(service), int(service.unit("NRestarts"))
    service.run("kill", "-KILL", before)
    service.wait_until(
        lambda: main_pid(service) not in (before, "0") and is_active(service), 60, "back again"
    )
    assert int(service.unit("NRestarts")) == restarts + 1


def test_daemon_that_hangs_is_killed_by_the_watchdog_and_is_back(service: Machine) -> None:
    service.write(
        "/etc/systemd/system/drd.service.d/fast.conf",
        "[Service]\nWatchdogSec=10s\nTimeoutAbortSec=1s\n",
    )
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", "drd")
    before = main_pid(service)
    for _ in range(3):  # a living daemon feeds it
        fed = service.unit("WatchdogTimestampMonotonic")
        service.wait_until(
            lambda fed=fed: service.unit("WatchdogTimestampMonotonic") != fed, 10, "a sign of life"
        )
    assert main_pid(service) == before
    service.run("kill", "-STOP", before)
    service.wait_until(
        lambda: main_pid(service) not in (before, "0") and is_active(service), 90, "back again"
    )
    assert "Watchdog timeout" in service.journal()


def test_the_service_recovers_when_the_configuration_is_fixed(service: Machine) -> None:
    """One that cannot start is tried again until somebody has repaired the file."""
    before = service.path("/etc/drd/drd.yaml").read_text()
    service.write("/etc/drd/drd.yaml", "limts: {runs: 4}\n")
    assert service.run("systemctl", "restart", "drd", check=False).returncode != 0
    assert "drd.yaml:1" in service.journal("-n", "20")
    service.write("/etc/drd/drd.yaml", before)
    service.wait_until(lambda: is_active(service), 90, "active with a repaired drd.yaml")


def unsigned(machine: Machine) -> set[int]:
    """The numbers of the records that nobody signed."""
    records = told(machine, "records", "list")["records"]
    return {record["entry"] for record in records if not record["signature"]}


WITHOUT_KEY: set[int] = set()
"""The records of the time in which the service had no key: of a drill, if one became due then."""


def test_missing_credentials_directory_does_not_stop_the_start(service: Machine) -> None:
    assert unsigned(service) == set()
    service.sh("mv /etc/drd/credentials /etc/drd/elsewhere")
    service.run("systemctl", "restart", "drd")
    assert is_active(service)
    assert service.sh("stat -c %a /etc/drd/credentials").strip() == "700"
    service.run("systemctl", "stop", "drd")
    WITHOUT_KEY.update(unsigned(service))
    service.sh("rmdir /etc/drd/credentials; mv /etc/drd/elsewhere /etc/drd/credentials")


TRY_ALL = """
import fcntl, os, sys
for path in sys.stdin.read().split():
    for how in (os.O_RDONLY, os.O_RDWR):
        try:
            fcntl.flock(os.open(path, how), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (PermissionError, IsADirectoryError):
            continue
        print("opened", path)
"""


def test_member_of_the_group_reads_the_status_and_opens_nothing_of_the_state(
    service: Machine,
) -> None:
    service.sh(
        "for user in alice bob; do id $user || useradd --no-create-home $user; done >&2;"
        " usermod -aG drd alice"
    )

    def theirs_now() -> subprocess.CompletedProcess[str]:
        return service.run(DRD, "status", "--json", check=False, user="alice")

    def sees_the_daemon() -> bool:
        found = theirs_now()  # 3: read, and something is breached or unknown
        read = found.returncode in (0, 3)
        return read and json.loads(found.stdout)["daemon"]["state"] == "running"

    service.run("systemctl", "start", "drd")
    service.wait_until(sees_the_daemon, 90, "a summary of the daemon's")

    def verdicts(status: dict[str, Any]) -> list[str]:
        return [p["verdict"] for p in status["plans"]]

    service.wait_until(  # the summary is that of a moment before
        lambda: verdicts(json.loads(theirs_now().stdout)) == verdicts(told(service, "status")),
        60,
        "the same status as root's",
    )
    assert json.loads(theirs_now().stdout)["daemon"]["state"] == "running"
    service.write("/srv/try.py", TRY_ALL)
    everything = "find /var/lib/drd /var/cache/drd | tee /srv/paths"
    assert "/var/lib/drd/drd.db" in service.sh(everything)
    alice = f"runuser -u alice -- {sys.executable} /srv/try.py"
    assert service.sh(f"{alice} </srv/paths") == ""
    assert service.sh("echo /var/lib/drd-public/status | " + alice) != "", "what can be opened is"
    open_to_others = "find /var/lib/drd -perm /0066; stat -c '%U:%G %a' /var/lib/drd-public/status"
    assert service.sh(open_to_others).split("\n")[:1] == ["drd:drd 640"]
    refused = service.run(DRD, "status", check=False, user="bob")
    assert "sudo adduser bob drd" in refused.stderr

    service.run("systemctl", "stop", "drd")
    assert json.loads(theirs_now().stdout)["daemon"]["state"] == "stopped"
    alone = service.run(DRD, "backup", "shop", check=False, user="alice")
    assert "sudo drd backup shop" in alone.stderr
    service.run("systemctl", "start", "drd")


def test_state_of_before_is_upgraded_by_one_start(service: Machine) -> None:
    service.run("systemctl", "stop", "drd")
    service.sh(
        "find /var/lib/drd -maxdepth 2 -type d -exec chmod 2770 {} +; "
        "find /var/lib/drd -maxdepth 2 -type f -exec chmod 660 {} +; rm -r /var/lib/drd-public; "
        "touch /var/lib/drd/locks/run-deadbeef.lock; chown drd:drd /var/lib/drd/locks/*; "
        "chmod 660 /var/lib/drd/locks/*; rm -f /var/lib/drd/hook"  # not drd's own
    )
    assert (
        "removes the access rights of the group and of other users"
        in service.run(DRD, "install", "--dry-run").stdout
    )
    service.run(DRD, "install")
    service.run("systemctl", "start", "drd")
    service.wait_until(service.path("/var/lib/drd-public/status").exists, 60, "a summary")
    assert service.sh("find /var/lib/drd -perm /0066") == ""
    assert "state.closed" in service.journal()
    assert is_active(service)


def test_catalogue_of_the_version_before_is_brought_up_to_date(
    service: Machine, tmp_path: Path
) -> None:
    of_the_first_version(f"sqlite:///{tmp_path}/drd.db", tmp_path)
    service.run("systemctl", "stop", "drd")
    service.sh("mkdir /srv/aside; mv /var/lib/drd/drd.db* /srv/aside")
    # Without its file no run of the plan starts, which would find that the repository lacks it.
    service.sh("mv /etc/drd/plans/shop.yaml /srv/shop.yaml")
    service.path("/var/lib/drd/drd.db").write_bytes((tmp_path / "drd.db").read_bytes())
    service.sh("chown drd:drd /var/lib/drd/drd.db; chmod 660 /var/lib/drd/drd.db")
    service.run("systemctl", "start", "drd")
    assert [p["point"] for p in told(service, "points", "shop")["points"]] == ["aaaaaaaa"]
    [kept, _] = service.sh("stat -c '%n %U:%G %a' /var/lib/drd/drd.db.before-*").split("\n")
    assert kept == f"/var/lib/drd/drd.db.before-{OURS.head} drd:drd 600"
    service.sh("systemctl stop drd; rm /var/lib/drd/drd.db*; mv /srv/aside/* /var/lib/drd")
    service.sh("mv /srv/shop.yaml /etc/drd/plans/shop.yaml")
    service.run("systemctl", "start", "drd")


def test_enabled_service_is_back_after_a_reboot(service: Machine) -> None:
    service.run("systemctl", "add-wants", "basic.target", "drd.service")
    service.reboot()
    service.wait_until(lambda: is_active(service), 90, "active after the reboot")
    assert told(service, "points", "shop")["points"]


def test_uninstall_stops_it_and_keeps_what_is_precious(service: Machine) -> None:
    service.run(DRD, "uninstall")
    assert service.unit("ActiveState") == "inactive"
    assert not service.path("/etc/systemd/system/drd.service").exists()
    for kept in (
        "/etc/drd/plans/shop.yaml",
        "/etc/drd/credentials/shop-restic",
        "/etc/drd/credentials/drd-records-key",
        "/var/lib/drd/drd.db",
    ):
        assert service.path(kept).exists(), kept
    key = service.path("/etc/drd/credentials/drd-records-key").stat()
    assert (key.st_uid, stat.S_IMODE(key.st_mode)) == (0, 0o600)
    why = [line for line in service.journal().splitlines() if "records.unsigned" in line]
    assert unsigned(service) == WITHOUT_KEY, why  # the others by the key that install made
    records = told(service, "records", "list")["records"]
    signed = {record["actor"]["came"] for record in records if record["signature"]}
    assert signed >= {"schedule", "terminal"}, "by the service and by root"
    assert told(service, "points", "shop")["points"]
