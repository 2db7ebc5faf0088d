"""Kits of several plans and repositories: where only a copy is left, or a server has an authority
of its own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pyrage
import pytest

from tests.e2e.copies import copied_site, offsite_of, write_plan
from tests.e2e.kit_site import Machine, printed_commands, run_bash, sqlite_dump
from tests.e2e.site import PASSWORD, SMALL, Site, make_sqlite, make_tree, small_site
from tests.light_repository import begin_in_bucket
from tests.repository_support import new_bucket
from tests.servers import S3Server
from tests.servers.tls import TlsProxy, self_signed

pytestmark = pytest.mark.faults


def export(site: Site, *plans: str) -> tuple[str, ...]:
    """The options that name the kit and what opens it."""
    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    recipient = str(identity.to_public())
    site.drd("kit", "export", *plans, "--to", f"{site.base}/k", "--recipient", recipient)
    return "--kit", f"{site.base}/k", "--identity", f"{site.base}/secrets/identity"


def unpacked(site: Site, into: Path) -> Path:
    command = f"tail -n +2 {site.base}/k | age -d -i {site.base}/secrets/identity | tar -x"
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=into, check=True)
    return into / "recovery-kit"


def test_a_copy_is_enough_for_a_kit(short_tmp: Path) -> None:
    site = copied_site(short_tmp / "host")
    write_plan(site, more="kit: {file: KIT, identity: {file: ID}}\n".replace(
        "KIT", f"{site.base}/k").replace("ID", f"{site.base}/secrets/identity"))  # fmt: skip
    site.plan(f"components:\n  conf: {{kind: files, paths: [{site.base}/etc]}}\n", name="second")
    for name in ("shop", "second"):
        site.drd("backup", name)
    site.drd("copy", "shop")
    kit = export(site, "shop", "second")
    Path(site.repository).rename(site.base / "gone")
    told = site.drd("kit", "verify", *kit[1:], code=10).out
    assert "primary  drd cannot use this repository with the kit, see below" in told
    assert "offsite  the kit opens this repository; its newest restore point is" in told

    drill = site.drd("drill", "shop", "--scenario", "host-loss", "--json").json
    assert drill["result"] == "passed"

    machine = Machine(short_tmp / "root")
    told = machine.drd("bootstrap", *kit, "--root", str(machine.root)).out
    assert "shop: 1 restore point, newest" in told
    assert "second: drd could not list the restore points of this plan" in told
    machine.after("recover", "shop", "--target", "standby", "--yes")
    back = site.base / "back"
    assert sqlite_dump(back / "shop.db") == sqlite_dump(site.base / "shop.db")
    for place in (back / "shop.db", back / "etc"):
        subprocess.run(["rm", "-rf", place], check=True)

    place = short_tmp / "by-hand"
    place.mkdir()
    folder = unpacked(site, place)
    page = (folder / "runbooks/shop/runbook.md").read_text()
    first, copy = (
        page.split(f"export RESTIC_REPOSITORY={url}\n")[1].split("```")[0]
        for url in (site.repository, offsite_of(site))
    )
    script = printed_commands(page).replace(
        f"export RESTIC_REPOSITORY={site.repository}\n{first}",
        f"export RESTIC_REPOSITORY={offsite_of(site)}\n{copy}",
    )
    assert site.repository + "\n" not in script
    run_bash(script, folder, {})
    assert sqlite_dump(back / "shop.db") == sqlite_dump(site.base / "shop.db")


def test_a_lock_of_the_lost_host_does_not_stop_a_recovery_by_hand(short_tmp: Path) -> None:
    (short_tmp / "host").mkdir()
    site = small_site(short_tmp / "host")
    site.drd("backup", "shop")
    export(site, "shop")
    folder = unpacked(site, short_tmp)
    around = {**os.environ, "RESTIC_PASSWORD": PASSWORD}
    restic = ["restic", "-r", site.repository, "--no-cache"]
    busy = [*restic, "--limit-download", "1", "check", "--read-data"]
    silent = subprocess.DEVNULL
    with subprocess.Popen(busy, env=around, stdout=silent, stderr=silent) as exclusive:
        limit = time.monotonic() + 60
        while not any(len(name) == 64 for name in site.locks()):
            assert time.monotonic() < limit
        exclusive.kill()
    refused = subprocess.run([*restic, "snapshots"], env=around, capture_output=True, check=False)
    assert refused.returncode == 11, "the lock stops a command that respects it"
    run_bash("bash runbooks/shop/recover-by-hand.sh", folder, {})
    assert sqlite_dump(site.base / "back/shop.db") == sqlite_dump(site.base / "shop.db")
    assert site.locks(), "the commands have removed nothing"


def test_an_own_authority_comes_with_the_kit(s3: S3Server, short_tmp: Path) -> None:
    base = short_tmp / "host"
    base.mkdir()
    proxy = TlsProxy("127.0.0.1", s3.port, self_signed(base))
    try:
        bucket = new_bucket(s3)
        begin_in_bucket(s3, s3.repository(bucket, "p"), PASSWORD)
        site = Site(base, s3.repository(bucket, "p", f"https://127.0.0.1:{proxy.port}"))
        make_sqlite(base / "shop.db")
        make_tree(base / "etc")
        (base / "back").mkdir()
        keys = (
            f"access_key: {site.secret('id', s3.access_key)}, secret_key: "
            f"{site.secret('s3', s3.secret_key)}"
        )
        site.plan(SMALL.format(base=base), s3=f"    s3: {{{keys}, ca_cert: {base}/ca.pem}}\n")
        site.drd("backup", "shop")
        kit = export(site, "shop")
        (base / "ca.pem").rename(base / "lost.pem")
        site.drd("kit", "verify", *kit[1:])
        drill = ("drill", "shop", "--scenario", "host-loss", "--json", *kit)
        assert site.drd(*drill).json["result"] == "passed"
        machine = Machine(short_tmp / "root")
        machine.drd("bootstrap", *kit, "--root", str(machine.root))
        machine.after("recover", "shop", "--target", "standby", "--yes")
        assert sqlite_dump(base / "back/shop.db") == sqlite_dump(base / "shop.db")
        for place in (base / "back/shop.db", base / "back/etc"):
            subprocess.run(["rm", "-rf", place], check=True)
        folder = unpacked(site, short_tmp)
        run_bash(printed_commands((folder / "runbooks/shop/runbook.md").read_text()), folder, {})
        assert sqlite_dump(base / "back/shop.db") == sqlite_dump(base / "shop.db")
    finally:
        proxy.close()
