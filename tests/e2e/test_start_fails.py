"""A recovery in place whose last step cannot start the service: why, and what leads on."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.site import Site, small_site
from tests.user_support import NOBODY

UNITS = """#!/bin/sh
case $1 in
show) echo "ActiveState=$(cat {base}/unit)"; echo Type=simple ;;
stop) echo inactive >{base}/unit ;;
start)
    stat -c %u {base}/shop.db $(find {base}/etc) | sort -u >{base}/owners
    [ -e {base}/broken ] && {{ echo "Job for $3 failed." >&2; exit 1; }}
    echo active >{base}/unit ;;
esac
"""
RUNBOOK = """
runbook:
  - {name: stop-shop, stop: {unit: shop.service}, rehearse: skip, reason: in production only}
  - {name: data, restore: [db, conf]}
  - {name: start-shop, start: {unit: shop.service}, rehearse: skip, reason: in production only}
"""
SEE_WHY = "journalctl -u shop.service -n 20"


def stopped_at_start(base: Path) -> tuple[Site, str, str]:
    """Return the run as well, and what was said."""
    site = small_site(base)
    tools = base / "bin"
    tools.mkdir()
    (tools / "systemctl").write_text(UNITS.format(base=base))
    (tools / "systemctl").chmod(0o755)
    (base / "unit").write_text("active\n")
    (base / "broken").touch()
    site.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    plan = base / "plans/shop.yaml"
    plan.write_text(plan.read_text() + RUNBOOK)
    if os.geteuid() == 0:
        for path in (base / "shop.db", base / "etc", *(base / "etc").rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    site.drd("backup", "shop")
    said = site.drd("recover", "shop", "--in-place", "--overwrite", "--yes", code=1).out
    run = str(next(r["run"] for r in site.runs() if r["kind"] == "recovery"))
    return site, run, said


def test_a_service_that_does_not_start_is_to_be_looked_at_before_the_recovery_goes_on(
    short_tmp: Path,
) -> None:
    site, run, said = stopped_at_start(short_tmp)
    why = f"see why: `{SEE_WHY}`. Before another start: `systemctl reset-failed shop.service`"
    assert "`systemctl` ended with exit code 1: Job for shop.service failed.\n" in said
    assert why in said
    assert f"To try start-shop again: `drd resume {run}`" in said
    owner = NOBODY if os.geteuid() == 0 else os.geteuid()
    assert (short_tmp / "owners").read_text() == f"{owner}\n", "before the service starts"
    shown = site.drd("run", "show", run)
    assert "check      step" not in shown.out, "the steps are above"
    assert (
        "  next       1. find out why shop.service does not start, and correct the cause: "
        f"{SEE_WHY}\n" in (shown.out)
    )
    tasks = site.drd("run", "show", run, "--json").json["next"]
    assert [(t["code"], t["command"]) for t in tasks] == [
        ("start", SEE_WHY),
        ("resume", f"drd resume {run}"),
    ]
    (short_tmp / "broken").unlink()
    site.drd("resume", run, code=5)  # the runbook has no check
    assert (short_tmp / "unit").read_text() == "active\n"
