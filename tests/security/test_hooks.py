"""A hook that timed out, failed or was killed used to leave its service in maintenance for good.

`after` runs once a capture was begun, however that ends; hooks and commands see the variables that
are documented, and nothing of drd's own.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests import light_tools
from tests.e2e.site import SMALL, Site, small_site

DOCUMENTED = {
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES",
    "TZ",
    "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "DRD_RUN", "DRD_STATE_ID",
}  # fmt: skip
SHELLS_OWN = {"PWD", "SHLVL", "_", "OLDPWD"}


def _script(site: Site, name: str, body: str) -> str:
    path = site.base / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def hooked_site(base: Path, before: str, *, timeout: str = "30s") -> Site:
    """`before` puts the service into maintenance, `after` takes it out."""
    site = small_site(base)
    maintenance = base / "maintenance"
    first = _script(site, "before", f"touch {maintenance}\n{before}")
    last = _script(site, "after", f"rm -f {maintenance}; echo after >> {base}/said")
    hooks = f"before: {{command: [{first}], timeout: {timeout}}}, after: {{command: [{last}]}}"
    site.plan(SMALL.format(base=base).replace("shop.db}\n", f"shop.db, {hooks}}}\n", 1))
    return site


@pytest.mark.parametrize("before", ["sleep 60", "exit 3", "kill -9 $$"])
def test_after_runs_when_before_did_not_end_well(short_tmp: Path, before: str) -> None:
    site = hooked_site(short_tmp, before, timeout="1s")
    told = site.drd("backup", "shop", code=None)
    assert told.code != 0
    assert not (short_tmp / "maintenance").exists()
    assert (short_tmp / "said").read_text() == "after\n"
    assert "before hook of db" in told.err


def test_after_runs_once_where_all_goes_well(short_tmp: Path) -> None:
    """The healthy twin."""
    site = hooked_site(short_tmp, "exit 0")
    site.drd("backup", "shop")
    site.drd("backup", "shop")
    assert not (short_tmp / "maintenance").exists()
    assert (short_tmp / "said").read_text() == "after\n" * 2


def test_after_runs_when_drd_was_killed_amid_before(short_tmp: Path) -> None:
    site = hooked_site(short_tmp, f"kill -9 $(cat {short_tmp}/drd.pid); sleep 5")
    words = " ".join(site.argv("backup", "shop"))
    killed = subprocess.run(
        ["sh", "-c", f"echo $$ > {short_tmp}/drd.pid; exec {words}"],
        env=site.env(),
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert (short_tmp / "maintenance").exists()
    _script(site, "before", "exit 7")  # it would put it there again, and may not succeed
    site.drd("retention", "shop")  # whatever comes next settles what died
    assert not (short_tmp / "maintenance").exists()
    [run] = [r for r in site.runs() if r["kind"] == "backup"]
    assert run["state"] == "interrupted"
    site.assert_clean()


def test_a_failing_after_hook_is_reported_and_the_run_settled(short_tmp: Path) -> None:
    site = hooked_site(short_tmp, "exit 0")
    site.killed_at("before:capture db", "backup", "shop")
    _script(site, "after", "echo cannot >&2; exit 4")
    told = site.drd("retention", "shop")
    assert "after hook of db exited with 4: cannot" in told.err
    [run] = [r for r in site.runs() if r["kind"] == "backup"]
    assert (run["state"], "after hook" in run["error"]) == ("interrupted", True)


def test_hooks_and_commands_see_the_documented_variables_only(short_tmp: Path) -> None:
    site = hooked_site(short_tmp, f"env > {short_tmp}/hook")
    site.environment = {
        "CREDENTIALS_DIRECTORY": str(short_tmp / "secrets"),
        "NOTIFY_SOCKET": f"{short_tmp}/notify",
        "DRD_SETTINGS_X": "x",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "PGPASSWORD": "pg-secret",
        "RESTIC_PASSWORD": "restic-secret",
    }
    plan = short_tmp / "plans/shop.yaml"
    # A check runs in the fence, where it can write nothing that stays: it compares by itself.
    known = "|".join(DOCUMENTED | SHELLS_OWN | set(light_tools.GO))
    seen_there = f"env | cut -d= -f1 | grep -vxE '{known}' | sort | tr '\\n' ' '"
    own = "DRD_DATA_TIME DRD_PLAN DRD_POINT "
    check = _script(site, "check", f'test "$({seen_there})" = "{own}"')
    command = _script(
        site, "secret", f"env > {short_tmp}/secret-env; cat {short_tmp}/secrets/restic"
    )
    text = plan.read_text().replace(
        "checks:\n", f"checks:\n  - {{name: own, kind: command, run: [{check}]}}\n", 1
    )
    plan.write_text(
        text.replace(f"{{file: {short_tmp}/secrets/restic}}", f"{{command: [{command}]}}", 1)
    )
    site.drd("backup", "shop")
    site.drd("drill", "shop")
    seen = {name: _variables(short_tmp / name) for name in ("hook", "secret-env")}
    beside = DOCUMENTED | SHELLS_OWN | set(light_tools.GO)  # these the tests pass on
    assert seen["hook"] - beside == {"DRD_COMPONENT"}
    assert seen["secret-env"] - beside == set()


def _variables(file: Path) -> set[str]:
    return {line.split("=", 1)[0] for line in file.read_text().splitlines()}


def test_unit_leaves_no_core_of_drd() -> None:
    unit = Path(__file__).parents[2] / "drd/systemd/drd.service"
    assert "\nLimitCORE=0\n" in unit.read_text()
