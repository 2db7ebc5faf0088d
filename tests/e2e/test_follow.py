"""People who may read the state, and whose runs the daemon carries out."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest

from drd.cli.main import main
from tests.e2e.daemons import daemon, quick_plan, rows, until
from tests.e2e.site import Site, make_tree
from tests.user_support import NOBODY, acting_as, as_root

LOADED_LATE = (
    "drd.cli.backup", "drd.cli.checks_table", "drd.cli.drill", "drd.cli.follow", "drd.cli.session",
    "drd.cli.readiness", "drd.flows.backup", "drd.flows.drill",
)  # fmt: skip
"""The interpreter of these tests may lie where only root can read."""


@pytest.fixture
def site(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    quick_plan(site, "every: 1h, jitter: none")
    monkeypatch.setenv("DRD_CONFIG", str(site.base / "drd.yaml"))
    return site


@as_root
def test_who_does_not_own_the_state_leaves_word_and_watches(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    state = site.base / "state"
    os.chown(state, 0, NOBODY)
    state.chmod(0o2770)
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "the first backup", running)
        for module in LOADED_LATE:
            import_module(module)
        assert main(["runs", "shop", "--json"]) == 0
        capsys.readouterr()
        with acting_as(NOBODY):
            assert main(["backup", "shop", "--json"]) == 0
            backed_up = json.loads(capsys.readouterr().out)
            assert main(["drill", "shop", "--json"]) == 0
            drilled = json.loads(capsys.readouterr().out)
            assert main(["readiness", "shop", "--json"]) == 0
            [looked] = json.loads(capsys.readouterr().out)["plans"]
            assert main(["backup", "shop", "--component", "conf"]) == 1
            assert "the state belongs to root, who alone can use --component" in (
                capsys.readouterr().err
            )
        assert backed_up["complete"] is True
        assert [c["component"] for c in backed_up["components"]] == ["conf"]
        assert drilled["result"] == "passed"
        assert (looked["plan"], looked["readiness"]) == ("shop", "ready")
        assert all("proof" not in f and f["severity"] for f in looked["findings"])
    shown = site.drd("run", "show", backed_up["run"], "--follow", "--json").json
    assert (shown["state"], shown["trigger"]) == ("succeeded", "manual")
    assert shown["why"].startswith("asked for by ")
    with acting_as(NOBODY):
        assert main(["backup", "shop"]) == 1
    assert "no daemon runs that could do it" in capsys.readouterr().err
    assert len(rows(site, where="trigger = 'manual' and kind <> 'readiness'")) == 2
    site.assert_clean()


def test_a_run_that_goes_on_can_be_watched_to_its_end(site: Site) -> None:
    wait = f"until [ -e {site.base}/go ]; do sleep 0.1; done"
    plan = site.base / "plans/shop.yaml"
    hook = f'kind: files, before: {{command: [sh, -c, "{wait}"], timeout: 120s}}'
    plan.write_text(plan.read_text().replace("kind: files", hook, 1))
    with daemon(site) as running:
        [(run,)] = until(lambda: rows(site, "id", "state = 'running'"), "a run", running)
        refused = site.drd("backup", "shop", code=11)
        assert f"drd run show {run} --follow" in refused.err
        (site.base / "go").touch()
        shown = site.drd("run", "show", run, "--follow")
        assert "manifest  succeeded" in shown.err
        assert f"backup {run} of shop: succeeded" in shown.out
        assert "deadline   " in shown.out
    site.assert_clean()
