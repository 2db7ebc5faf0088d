"""Root carries out a playbook on the state of another user, and is killed more than once: each
resume and each rollback notes what it does in root's own record, so that the next one continues
from there, and takes nothing from rows that the user may have changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.security.test_root_ledger import changes
from tests.security.test_root_rights import owned
from tests.user_support import as_root

pytestmark = as_root

PLAYBOOK = """
playbook: contain
title: Contain
about: Two commands that leave a mark.
use_when: Always.
tasks:
  - name: contain
    text: Contain.
    role: operator
    steps:
      - name: one
        command: {{run: [sh, -c, "echo one >>{did}; echo {base}/honest"]}}
        keep: {{file: output}}
        rollback: {{command: {{run: [sh, -c, "echo back-one >>{did}"]}}, repeat: safe}}
        repeat: safe
      - name: two
        command: {{run: [sh, -c, "echo two >>{did}; touch '${{steps.one.file}}'"]}}
        rollback: {{command: {{run: [sh, -c, "echo back-two >>{did}"]}}, repeat: safe}}
        repeat: safe
      - name: three
        command: {{run: [sh, -c, "test -e {base}/go"]}}
        repeat: safe
        on_failure: abort
"""


@pytest.fixture
def site(short_tmp: Path) -> Iterator[Site]:
    """Of a service user; the playbook is root's."""
    made = Site(short_tmp)
    base = made.base
    (base / "playbooks").mkdir()
    text = PLAYBOOK.format(base=base, did=base / "did")
    (base / "playbooks/contain.yaml").write_text(text)
    with (base / "drd.yaml").open("a") as file:
        file.write("playbooks: playbooks\n")
    made.drd("runs")
    for name in ("state", "work", "cache", "repo"):
        owned(base / name)
    return made


def run_of(site: Site) -> str:
    return str(site.catalogue("select id from runs where kind = 'playbook'")[0][0])


def did(site: Site) -> list[str]:
    return (site.base / "did").read_text().split()


def test_root_resumes_and_rolls_back_after_each_of_several_kills(site: Site) -> None:
    site.killed_at("undone:one", "playbook", "run", "contain", "--yes")
    run = run_of(site)
    for moment in ("after:one", "before:two", "undone:two", "after:two"):
        site.killed_at(moment, "resume", run)
    site.drd("resume", run, code=1)
    (site.base / "go").touch()
    site.drd("resume", run)
    assert did(site) == ["one", "one", "two", "two"]  # each of them once more after its kill
    for moment in ("undone:rollback two", "after:rollback two", "undone:rollback one"):
        site.killed_at(moment, "rollback", run)
    site.drd("rollback", run)
    assert did(site)[4:] == ["back-two", "back-two", "back-one", "back-one"]
    assert (site.base / "honest").exists()


def test_root_takes_nothing_from_a_row_that_was_changed_after_a_resume(site: Site) -> None:
    site.killed_at("undone:one", "playbook", "run", "contain", "--yes")
    run = run_of(site)
    site.killed_at("after:one", "resume", run)
    forged = f"json_replace(result, '$.file', '{site.base}/forged')"
    changes(site, f"update steps set result = {forged} where name = 'one'")
    [(result,)] = site.catalogue("select result from steps where name = 'one'")
    assert "forged" in str(result)
    for verb in ("resume", "rollback"):
        refused = site.drd(verb, run, code=None)
        assert refused.code != 0
        assert "root's own record of this run differ: its step one is" in refused.err
    assert did(site) == ["one", "one"]
    assert not (site.base / "forged").exists()
