"""People who may read the state, and whose runs the daemon carries out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from drd.cli.main import main
from tests.e2e.daemons import daemon, quick_plan, rows, until
from tests.e2e.site import Site, make_tree
from tests.user_support import NOBODY, acting_as, as_root

LOADED_LATE = (
    "drd.cli.backup", "drd.cli.checks_table", "drd.cli.drill", "drd.cli.follow", "drd.cli.session",
    "drd.cli.readiness", "drd.flows.backup.run", "drd.flows.drill.run",
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
def test_non_owners_are_told_which_commands_need_root(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "the first backup", running)
        for module in LOADED_LATE:
            import_module(module)
        assert main(["runs", "shop", "--json"]) == 0
        capsys.readouterr()
        with acting_as(NOBODY):
            for words in (["backup", "shop"], ["runs", "shop"], ["readiness", "shop"]):
                assert main(words) == 1, words
                assert "sudo" in capsys.readouterr().err
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
