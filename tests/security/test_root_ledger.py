"""Attack: the service's user changes what the catalogue says of a recovery that root carries out,
and waits for root to go on with it.

Root believed the rows: `drd resume` of a recovery into a standby overwrote production, and what a
row said that a step had printed became an argument of a command that root ran. Now root goes by its
own record, which nobody else can write.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from drd.bootstrap import app
from drd.errors import ManifestRefused, NotAsNoted
from drd.flows.components.repository_choice import Holders
from drd.flows.repository.manifests import require_sealed
from drd.flows.root import ledger
from drd.flows.root.trusted_rows import RootsRowTrust
from drd.model.run import RunKind, StepState
from drd.model.run_details import RecoveryDetail
from drd.process.private import root_place
from tests.e2e.site import Site, make_tree, one_tree
from tests.security.test_root_rights import owned, roots_files
from tests.user_support import as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")

_RUNBOOK = """
drill: {{every: 7d}}
runbook:
  - {{name: bring, restore: [conf]}}
  - {{name: find, command: {{run: [echo, "{base}/honest"]}}}}
  - name: mark
    command: {{run: [touch, "${{steps.find.output}}"]}}
    rollback: {{run: [rm, -rf, "${{steps.find.output}}"]}}
  - {{name: gate, command: {{run: [sh, -c, "test -e {base}/go"]}}}}
  - {{name: end, command: {{run: [touch, "${{steps.find.output}}.end"]}}}}
  - {{name: look, check: [files]}}
"""


def with_runbook(base: Path) -> str:
    """The body of the plan."""
    return one_tree(base / "etc", base / "back") + _RUNBOOK.format(base=base)


RECOVER = ("recover", "shop", "--target", "standby", "--yes")


@pytest.fixture
def site(short_tmp: Path) -> Iterator[Site]:
    """Of a service user; the plan, the target and the source are root's alone."""
    made = Site(short_tmp)
    make_tree(made.base / "etc")
    made.plan(with_runbook(made.base))
    for name in ("state", "work", "cache", "repo"):
        owned(made.base / name)
    made.drd("backup", "shop")
    return made


def stopped(site: Site) -> str:
    """A recovery of root's that failed at its gate, which is open now."""
    site.drd(*RECOVER, code=1)
    (site.base / "go").touch()
    return run_of(site)


def run_of(site: Site) -> str:
    query = "select id from runs where kind = 'recovery' order by started_at desc"
    return str(site.catalogue(query)[0][0])


def changes(site: Site, *statements: str) -> None:
    """By the service's user."""
    code = f"import sqlite3; c = sqlite3.connect('{site.base}/state/drd.db')\n"
    code += "".join(f"c.execute({s!r})\n" for s in statements) + "c.commit()"
    user = [f"--reuid={OWNER.pw_uid}", f"--regid={OWNER.pw_gid}", "--clear-groups"]
    subprocess.run(["setpriv", *user, "--", "/usr/bin/python3", "-I", "-c", code], check=True)


def noted(site: Site) -> list[Path]:
    return sorted(ledger._path(site.base / "work", "x").parent.glob("*.json"))


def said(key: str, value: object) -> str:
    return (
        f"update runs set detail = json_set(detail, '$.{key}', json('{json.dumps(value)}')) "
        "where kind = 'recovery'"
    )


def output(step: str, value: str) -> str:
    return (
        f"update steps set result = json_set(result, '$.output', '{value}') where name = '{step}'"
    )


STEP = "insert into steps (run, name, position, kind, state, attempt, started_at, result)"

ATTACKS = {
    "in place": [said("in_place", True), said("target", "in-place"), said("overwrite", True)],
    "no undo": [said("overwrite", True), said("no_undo", True)],
    "accepts paths": [said("accept_paths", True)],
    "owners": [said("no_owner", True)],
    "as owner": [said("as_owner", True)],
    "part": [said("part", {"tables": [], "paths": ["/etc"], "into": "/root/x"})],
    "components": [said("begun", [])],
    "unknown word": [said("new", 1)],
    "no words": ["update runs set detail = '{}' where kind = 'recovery'"],
    "another plan": ["update runs set plan = 'other' where kind = 'recovery'"],
    "who began it": ["update runs set actor = null where kind = 'recovery'"],
    "output": [output("find", "/root/x")],
    "another subject": ["update steps set subject = 'other' where name like 'restore %'"],
    "step gone": ["delete from steps where name = 'find'"],
    "all steps gone": ["delete from steps"],
    "step done": ["update steps set state = 'succeeded' where name = 'gate'"],
    "step not done": ["update steps set state = 'failed' where name = 'mark'"],
    "step of nobody": [
        (
            f"{STEP} select run, 'end', 9, kind, 'succeeded', 1, started_at, '{{}}' from steps "
            "where "
            "name = 'mark'"
        )
    ],
    "data": [
        f"update component_snapshots set snapshot = '{'ab' * 32}'",
        "delete from seals",
    ],
    "paths": [
        "update component_snapshots set facts = json_set(facts, '$.paths', json('[\"/root\"]'))"
    ],
}


def test_root_does_not_resume_from_forged_rows(site: Site) -> None:
    run = stopped(site)
    (site.base / "etc/precious").write_text("made since")
    plan = (site.base / "plans/shop.yaml").read_text()
    (site.base / "plans/other.yaml").write_text(plan.replace("plan: shop", "plan: other"))
    site.drd("plan", "check")
    state = site.base / "state/drd.db"
    with closing(sqlite3.connect(state)) as there, closing(sqlite3.connect(":memory:")) as before:
        there.backup(before)
        for attack, statements in ATTACKS.items():
            changes(site, *statements)
            told = site.drd("resume", run, code=None)
            assert told.code in (1, 2), (attack, told)
            assert not (site.base / "honest.end").exists(), attack
            assert (site.base / "etc/precious").exists(), attack
            before.backup(there)
    assert not Path("/root/x").exists()
    assert not Path("/root/x.end").exists()
    site.drd("resume", run)
    assert (site.base / "honest.end").exists()


def test_root_shows_both_versions_and_how_to_begin_anew(site: Site) -> None:
    run = stopped(site)
    changes(site, output("find", "/etc/cron.d/x\x1b[2J"))
    told = site.drd("resume", run, code=2).err
    assert "/etc/cron.d/x" in told
    assert f"{site.base}/honest" in told
    assert "\x1b" not in told
    assert "drd recover shop --target standby --point" in told
    site.drd(*RECOVER, "--overwrite")
    assert (site.base / "honest.end").exists()


WRITTEN = {
    "before": "update steps set subject = substr(name, 9) where name like 'restore %'",
    "since": (
        "update steps set subject = '', remedy = null, "
        "error = error || coalesce(char(10) || 'remedy: ' || remedy, '')"
    ),
}
"""How the rows are that an earlier drd wrote before the catalogue was upgraded, and afterwards."""


@pytest.mark.parametrize("when", WRITTEN)
def test_record_of_an_earlier_drd_is_as_good_as_one_of_today(site: Site, when: str) -> None:
    gate, plan = f"test -e {site.base}/go", site.base / "plans/shop.yaml"
    fails = f"{gate} || (echo could not load: >&2; exit 3)"
    plan.write_text(plan.read_text().replace(gate, fails))
    run = stopped(site)
    gone = "update steps set error = 'gone', remedy = 'look.' where name = 'restore conf'"
    changes(site, gone)
    (file,) = noted(site)
    record = json.loads(file.read_text())
    record["schema"] = 2
    for now, before, _ in record["steps"].values():
        for row in filter(None, (now, before)):
            if row["subject"] == "conf":
                row["error"], row["remedy"] = "gone", "look."
            del row["subject"]
            if remedy := row.pop("remedy"):
                row["error"] += f"\nremedy: {remedy}"
    end = record["end"]
    assert end["detail"]["remedy"] or end["error"]
    file.write_text(json.dumps(record))
    changes(site, *ATTACKS["another subject"])
    site.drd("resume", run, code=2)
    changes(site, WRITTEN[when])
    site.drd("resume", run)
    assert (site.base / "honest.end").exists()


def test_an_untouched_recovery_of_root_is_resumed(site: Site) -> None:
    run = stopped(site)
    (file,) = noted(site)
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    told = site.drd("resume", run)
    assert "has changed since" not in told.err
    assert (site.base / "honest.end").exists()
    assert roots_files(site) == []
    assert site.drd("rollback", run).code == 0
    assert not (site.base / "honest").exists()
    assert "was rolled back" in site.drd("resume", run, code=2).err
    changes(site, "delete from decisions")
    site.drd("resume", run, code=2)
    site.drd("done", run, "--yes")
    assert noted(site) == []
    site.assert_clean()


def test_root_rolls_nothing_back_from_forged_rows(site: Site) -> None:
    run = stopped(site)
    (site.base / "roots").mkdir(mode=0o700)
    changes(site, output("find", f"{site.base}/roots"))
    site.drd("rollback", run, code=2)
    assert (site.base / "roots").exists()
    assert (site.base / "honest").exists()
    changes(site, output("find", f"{site.base}/honest"))
    site.drd("rollback", run)
    assert not (site.base / "honest").exists()


def test_a_recovery_without_roots_record_belongs_to_its_user(site: Site) -> None:
    run = stopped(site)
    for file in noted(site):
        file.unlink()
    for verb in ("resume", "rollback"):
        told = site.drd(verb, run, code=2).err
        assert f"sudo -u games drd {verb} {run}" in told
    site.drd("undo", run, "--dry-run")
    site.drd(*RECOVER, "--overwrite")
    assert (site.base / "honest.end").exists()


def test_a_dead_recovery_with_forged_rows_begins_anew(site: Site) -> None:
    site.killed_at("before:gate", *RECOVER)
    run = run_of(site)
    (site.base / "go").touch()
    changes(site, output("find", "/root/x"))
    site.drd(*RECOVER, "--overwrite")
    assert run_of(site) != run
    assert (site.base / "honest.end").exists()
    assert not Path("/root/x.end").exists()
    site.assert_clean()


def test_undo_uses_roots_record(site: Site) -> None:
    (site.base / "back").mkdir()
    (site.base / "back/former").touch()
    (site.base / "go").touch()
    site.drd(*RECOVER, "--overwrite")
    run = run_of(site)
    changes(site, said("target", "in-place"), said("begun", []))
    site.drd("undo", run, "--yes")
    assert (site.base / "back/former").exists()


def single(into: Path) -> dict[str, object]:
    return {"tables": [], "paths": ["/x/conf"], "into": str(into)}


def test_root_uses_no_place_that_only_a_row_names(site: Site) -> None:
    """Neither to look, nor to exchange, nor to remove: also where others may put things beside
    root's."""
    run = stopped(site)
    shared = site.base / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "conf").write_text("root's")
    theirs = shared / f"conf.drd_{run}_before"
    theirs.write_text("games'")
    os.chown(theirs, OWNER.pw_uid, OWNER.pw_gid)
    changes(site, said("part", single(shared)), said("target", "in-place"), said("in_place", True))
    for file in noted(site):
        file.unlink()
    for words in (("undo", run, "--dry-run"), ("undo", run), ("done", run)):
        told = site.drd(*words, *(() if "--dry-run" in words else ("--yes",)), code=2).err
        assert f"sudo -u games drd undo {run}" in told
    assert (shared / "conf").read_text() == "root's"
    assert theirs.read_text() == "games'"


def test_root_undoes_a_single_thing_by_its_own_record(site: Site) -> None:
    into = site.base / "single"
    into.mkdir()
    files = (p for p in (site.base / "etc").rglob("*") if p.is_file() and not p.is_symlink())
    wanted = next(files)
    (into / wanted.name).write_text("former")
    words = (
        "recover",
        "shop",
        "--target",
        "standby",
        "--component",
        "conf",
        "--path",
        str(wanted),
        "--into",
        str(into),
    )
    site.drd(*words, "--overwrite", "--yes")
    run = run_of(site)
    assert (into / wanted.name).read_text() != "former"
    changes(site, said("part", single(site.base / "elsewhere")))
    site.drd("undo", run, "--yes")
    assert (into / wanted.name).read_text() == "former"


def over_former(site: Site) -> str:
    (site.base / "back").mkdir()
    (site.base / "back/former").touch()
    (site.base / "go").touch()
    site.drd(*RECOVER, "--overwrite")
    assert len(list(site.base.glob("back*"))) == 2
    return run_of(site)


def test_done_removes_kept_copies_before_the_record(site: Site) -> None:
    """Whatever plan the row names, whether the reminder is there or not, whatever the point
    says."""
    file = site.base / "plans/shop.yaml"
    other = file.read_text().replace("plan: shop", "plan: other").replace("/back}", "/elsewhere}")
    (site.base / "plans/other.yaml").write_text(other)
    run = over_former(site)
    site.drd("plan", "check")
    changes(
        site,
        "update runs set plan = 'other' where kind = 'recovery'",
        "delete from steps where name = 'set aside'",
        "delete from component_snapshots",
    )
    site.drd("done", run, "--yes")
    assert list(site.base.glob("back*")) == [site.base / "back"]
    assert noted(site) == []


def test_done_of_an_untouched_recovery_works(site: Site) -> None:
    run = over_former(site)
    site.drd("done", run, "--yes")
    assert list(site.base.glob("back*")) == [site.base / "back"]
    assert noted(site) == []


def test_a_recovery_that_root_gave_up_is_not_to_be_continued_as_another_user(site: Site) -> None:
    (site.base / "go").touch()
    site.killed_at("before:restore conf", *RECOVER)
    run = run_of(site)
    site.drd("done", run, "--accept-unfinished", "--yes")
    told = site.drd("resume", run, code=None)
    assert told.code != 0
    assert re.search(rf"`drd done` ended run {run} of shop at [-0-9: ]+ UTC, so nobody", told.err)
    assert "HINT: start a new recovery: `drd recover shop …`" in told.err
    assert "sudo -u" not in told.err


MOMENTS = [f"{when}:mark" for when in ("noted", "before", "undone", "after")]
MOMENTS += ["noted:preflight", "after:preflight", "noted:restore conf", "undone:restore conf"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_root_killed_at_any_moment_resumes(site: Site, moment: str) -> None:
    (site.base / "go").touch()
    site.killed_at(moment, *RECOVER)
    run = run_of(site)
    site.drd("resume", run)
    assert run_of(site) == run
    assert (site.base / "honest.end").exists()
    site.assert_clean()


def test_root_killed_at_the_beginning_begins_anew(site: Site) -> None:
    (site.base / "go").touch()
    site.killed_at("noted:run", *RECOVER)
    assert site.catalogue("select id from runs where kind = 'recovery'") == []
    site.drd(*RECOVER)
    site.assert_clean()


def test_the_same_command_resumes_a_dead_recovery_of_root(site: Site) -> None:
    (site.base / "go").touch()
    site.killed_at("after:mark", *RECOVER)
    run = run_of(site)
    site.drd(*RECOVER)
    assert run_of(site) == run


def test_root_killed_during_undo_continues(site: Site) -> None:
    run = stopped(site)
    for moment in ("noted", "before", "undone"):
        site.killed_at(f"{moment}:rollback mark", "rollback", run)
    site.drd("rollback", run)
    assert not (site.base / "honest").exists()


def test_state_of_root_needs_no_record(site: Site) -> None:
    shutil.rmtree(root_place(site.base / "work"), ignore_errors=True)
    for name in ("state", "work", "cache", "repo"):
        for path in (site.base / name, *(site.base / name).rglob("*")):
            os.lchown(path, 0, 0)
    run = stopped(site)
    site.drd("resume", run)
    assert noted(site) == []


def test_a_row_that_appears_meanwhile_is_ignored(site: Site) -> None:
    """While root's process carries the recovery out."""
    with app(str(site.base / "drd.yaml")) as opened:
        plan = opened.plans.load("shop")
        services = opened.services(plan)
        assert isinstance(services.row_trust, RootsRowTrust)
        catalogue, now = services.catalogue, services.clock.now()
        point = catalogue.points.of_plan("shop")[0].id
        detail = RecoveryDetail(target="standby", point=point)
        owned = catalogue.runs.begin(
            plan, RunKind.RECOVERY, trigger="manual", detail=detail, at=now
        )
        catalogue.steps.begin(owned, "bring", "restore", now)
        catalogue.steps.finish(owned, "bring", StepState.SUCCEEDED, at=now)
        changes(
            site,
            f"{STEP} select run, 'find', 9, 'command', 'succeeded', 1, started_at, '{{}}' "
            "from steps where name = 'bring'",
        )
        with pytest.raises(NotAsNoted):
            catalogue.steps.begin(owned, "find", "command", now)
        changes(site, "delete from steps where name = 'find'")
        catalogue.steps.begin(owned, "find", "command", now)
        owned.release()


def test_manifest_is_the_one_that_the_recovery_began_with(site: Site) -> None:
    """Also where the catalogue's seals are gone."""
    changes(site, "delete from seals")
    with app(str(site.base / "drd.yaml")) as opened:
        plan = opened.plans.load("shop")
        services = opened.services(plan)
        catalogue, now = services.catalogue, services.clock.now()
        point = catalogue.points.of_plan("shop")[0]
        detail = RecoveryDetail(target="standby", point=point.id)
        owned = catalogue.runs.begin(
            plan, RunKind.RECOVERY, trigger="manual", detail=detail, at=now
        )
        manifest = Holders(services, plan, catalogue.points.get("shop", point.id)).manifest()
        owned.release()
        again = opened.services(plan)
        again.row_trust.believed(again.catalogue.runs.get(owned.run.id), "resume")
        require_sealed(again, manifest, "primary")
        with pytest.raises(ManifestRefused):
            require_sealed(again, replace(manifest, digest="0" * 64), "primary")


def test_long_result_is_known_by_its_digest(site: Site) -> None:
    file = site.base / "plans/shop.yaml"
    file.write_text(file.read_text().replace(f'echo, "{site.base}/honest"', "seq, '3000'", 1))
    file.write_text(file.read_text().replace("${steps.find.output}", f"{site.base}/honest"))
    run = stopped(site)
    changes(site, "update steps set result = replace(result, '2999', '2998') where name = 'find'")
    assert "sha256" in site.drd("resume", run, code=2).err
