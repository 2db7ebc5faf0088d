"""Attack: whoever can write a row of the catalogue has the daemon, and root, carry it out.

The daemon took a plan's text from `plan_sources`, and root took `runs.plan` for a path to a file
whose commands it ran. Now the text in force is root's file as it was loaded, and a row names, never
orders.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drd.bootstrap import App, Console, app
from drd.cli.main import main
from drd.daemon.plan_texts import PlanTexts
from drd.daemon.plans import PlanBook
from drd.errors import ConfigError, UnknownPlan, UsageError
from drd.flows.run_kinds import _asked
from drd.flows.schedules import Agenda
from drd.model.drd_facts import SIGN_OF_LIFE
from drd.model.run import Run, RunKind, RunState, sound_id
from drd.model.run_details import AskedOptions, RunDetail
from drd.modes import is_roots_alone
from drd.process import rights
from drd.process.rights import Purpose
from tests.catalogue_support import plan as catalogue_plan
from tests.e2e.daemons import daemon, quick_plan, rows, until
from tests.e2e.site import Site, make_tree
from tests.user_support import NOBODY, as_root

PLAN = """\
plan: {name}
objectives: {{rpo: 1h, rto: 1h}}
components:
  conf: {{kind: files, paths: [{paths}]}}
repositories:
  primary: {{url: {base}/repo, password: {{env: X}}}}
"""


def change_row(base: Path, statement: str, *values: Any) -> None:
    """As whoever has the rights of the service's user could."""
    with closing(sqlite3.connect(base / "state/drd.db")) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    return site


class Loaded:
    """What a daemon that starts now has in force."""

    def __init__(self, base: Path) -> None:
        self.app = App(str(base / "drd.yaml"))
        self.agenda = Agenda(self.app.catalogue.queue)
        self.book = PlanBook(self.app, self.agenda)
        self.refused = self.book.load(running=False).refused
        self.app.handed = self.book.texts

    def differing(self) -> dict[str, str]:
        return self.book.texts.differing(self.app.catalogue.queue.accepted_texts())

    def paths(self) -> object:
        [component] = self.app.plans.in_force("shop").components.values()
        return component.settings.paths  # type: ignore[attr-defined]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(
        f"state: sqlite:///{tmp_path}/state/drd.db\nplans: plans\nwork_dir: w\ncache_dir: c\n"
    )
    write(tmp_path, "/etc/hostname")
    return tmp_path


Load = Callable[[], Loaded]


@pytest.fixture
def load(base: Path) -> Iterator[Load]:
    """Starts a daemon, and ends those of a test."""
    with ExitStack() as ends:

        def load() -> Loaded:
            loaded = Loaded(base)
            ends.callback(loaded.app.close)
            return loaded

        yield load


def write(base: Path, paths: str) -> None:
    text = PLAN.format(name="shop", paths=paths, base=base)
    (base / "plans/shop.yaml").write_text(text)


def forge(base: Path) -> None:
    text = PLAN.format(name="shop", paths="/etc/shadow", base=base)
    change_row(base, "update plan_sources set text = ?", text)


# --- the daemon -----------------------------------------------------------------------------


def test_a_changed_row_is_reported_and_not_executed(base: Path, load: Load) -> None:
    now = load()
    forge(base)
    assert now.paths() == ["/etc/hostname"]
    assert "the stored text of plan shop differs" in now.differing()["shop"]


def test_healthy_twin_row_of_the_loaded_text_is_not_an_alert(base: Path, load: Load) -> None:
    now = load()
    assert now.paths() == ["/etc/hostname"]
    assert now.differing() == {}


def test_row_that_was_changed_before_a_start_is_replaced_by_the_file(
    base: Path, load: Load
) -> None:
    Loaded(base).app.close()
    forge(base)
    now = load()
    assert now.paths() == ["/etc/hostname"]
    assert "differed from its file, and was replaced" in now.differing()["shop"]
    now.book.load(running=True)
    assert now.differing() == {}
    assert "/etc/shadow" not in (now.app.catalogue.queue.accepted("shop") or "")


def test_after_a_start_with_a_broken_file_the_stored_text_serves_on(base: Path, load: Load) -> None:
    Loaded(base).app.close()
    (base / "plans/shop.yaml").write_text("plan: shop\nobjectives: {rpo: never}\n")
    now = load()
    assert set(now.refused) == {"shop"}
    assert now.paths() == ["/etc/hostname"]
    assert now.differing() == {}
    forge(base)
    assert now.paths() == ["/etc/hostname"]
    assert set(now.differing()) == {"shop"}


def test_file_that_root_loaded_by_another_command_is_in_force(base: Path, load: Load) -> None:
    now = load()
    write(base, "/etc/hosts")
    with closing(App(str(base / "drd.yaml"))) as other:
        other.plans.load("shop")
    assert now.differing() == {}
    assert now.paths() == ["/etc/hosts"]


def test_changed_file_waits_for_the_reload_of_a_daemon_that_lives(base: Path, load: Load) -> None:
    """Also which repositories are meant: what the catalogue offers and counts follows from it."""
    now = load()
    now.app.catalogue.queue.note(SIGN_OF_LIFE, {"state": "running"}, datetime.now(UTC))
    before = (base / "plans/shop.yaml").read_text()
    write(base, "/etc/hosts")
    plan = base / "plans/shop.yaml"
    plan.write_text(plan.read_text().replace(f"url: {base}", f"url: {base}/elsewhere"))
    told: list[str] = []
    with closing(App(str(base / "drd.yaml"), Console(warn=told.append))) as other:
        with pytest.raises(UsageError, match="the URL of repository primary in"):
            other.plans.load("shop")
        plan.write_text(plan.read_text().replace("/elsewhere", ""))
        other.plans.load("shop")
        assert other.catalogue.queue.accepted("shop") == before
    assert "differs from the text of plan shop that the daemon has loaded" in told[0]
    assert "systemctl reload drd" in told[0]
    assert now.differing() == {}
    assert now.paths() == ["/etc/hostname"]

    plan.write_text(plan.read_text().replace(f"url: {base}", f"url: {base}/elsewhere"))
    now.book.load(running=True)
    assert now.paths() == ["/etc/hosts"]
    assert "elsewhere" in now.app.catalogue.health.of_plan("shop")[0].url


def test_text_that_nobody_has_stored_is_a_difference() -> None:
    texts = PlanTexts()
    texts.take("shop", "/nowhere/shop.yaml", "plan: shop\n", None)
    assert set(texts.differing({})) == {"shop"}
    assert texts.differing({"shop": "plan: shop\n", "other": "x"}) == {}


def test_real_daemon_goes_on_by_its_text_and_says_so(site: Site) -> None:
    quick_plan(site, "every: 1s, jitter: none")
    taken = site.base / "taken"
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "a backup", running)
        [(text,)] = site.catalogue("select text from plan_sources")
        hook = f"kind: files, before: {{command: [touch, {taken}]}}"
        change_row(site.base, "update plan_sources set text = ?", text.replace("kind: files", hook))
        before = len(rows(site, where="state = 'succeeded'"))
        until(lambda: len(rows(site, where="state = 'succeeded'")) > before + 1, "backups", running)
        running.reload()  # the row is put right by it
        until(lambda: is_told(site), "the alert", running)
        [healed] = running.events("plan.stored_text_differs")
        assert healed["plan"] == "shop"
    assert not taken.exists()
    assert site.catalogue("select text from plan_sources") == [(text,)]
    site.assert_clean()


def is_told(site: Site) -> bool:
    found = site.drd("alerts", "shop", "--json").json["alerts"]
    return [a["severity"] for a in found if a["kind"] == "plan-text"] == ["critical"]


# --- root -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["undo", "resume", "rollback", "done", "cancel"])
def test_plan_of_a_row_is_a_name_and_no_path(site: Site, verb: str) -> None:
    quick_plan(site)
    site.drd("backup", "shop")
    [(run,)] = rows(site, "id")
    taken = site.base / "taken"
    evil = site.base / "evil.yaml"
    evil.write_text(
        f"plan: evil\nobjectives: {{rpo: 1h, rto: 1h}}\ncomponents:\n"
        f"  db: {{kind: postgres, dsn: {{command: [touch, {taken}]}}}}\n"
        "repositories:\n  primary: "
        f"{{url: {site.base}/r, password: {{command: [touch, {taken}]}}}}\n"
        f"targets:\n  here: {{db: {{dsn: {{command: [touch, {taken}]}}}}}}\n"
    )
    change_row(
        site.base,
        "update runs set plan = ?, kind = 'recovery', state = 'waiting', finished_at = null,"
        ' detail = \'{"target": "here", "point": "x", "components": []}\' where id = ?',
        str(evil),
        run,
    )
    words = {"undo": ["--dry-run"], "done": ["--dry-run"]}.get(verb, [])
    done = site.drd(verb, run, *words, code=None)
    assert not taken.exists(), done
    if verb != "cancel":
        wrong = f"a plan with the name '{evil}', which is not a valid name"
        assert wrong in done.err, done


def test_healthy_twin_plan_is_found_by_its_name(site: Site) -> None:
    quick_plan(site)
    site.drd("backup", "shop")
    with closing(App(str(site.base / "drd.yaml"))) as app:
        assert app.plans.load_known("shop").name == "shop"
        for name in ("../shop", "/etc/shop.yaml", "shop.yaml", "", "Shop", "shop\n"):
            with pytest.raises(UnknownPlan, match=r"a plan with the name .*, which is not a valid"):
                app.plans.load_known(name)
            with pytest.raises(UnknownPlan):
                app.plans.in_force(name)


def test_the_pid_in_a_row_is_not_killed(site: Site) -> None:
    quick_plan(site)
    site.drd("backup", "shop")
    [(run,)] = rows(site, "id")
    with subprocess.Popen(["sleep", "600"]) as victim:
        change_row(
            site.base,
            "update runs set owner_pid = ?, state = 'running', finished_at = null where id = ?",
            victim.pid,
            run,
        )
        site.drd("cancel", run, code=None)
        assert victim.poll() is None
        victim.send_signal(signal.SIGKILL)


def test_healthy_twin_run_that_lives_is_cancelled(site: Site) -> None:
    plan = "kind: files, before: {command: [sleep, '600'], timeout: 20m}"
    quick_plan(site)
    file = site.base / "plans/shop.yaml"
    file.write_text(file.read_text().replace("kind: files", plan, 1))
    with closing(App(str(site.base / "drd.yaml"))) as app:
        app.plans.load("shop")
    running = site.start("backup", "shop")
    [(run,)] = until(lambda: rows(site, "id", "state = 'running'"), "the run")
    with closing(App(str(site.base / "drd.yaml"))) as app:
        assert app.catalogue.runs.process_of(app.catalogue.runs.get(run)) == running.pid
    site.drd("cancel", run)
    assert running.wait(30) == 130
    site.assert_clean()


@as_root
def test_root_goes_by_its_own_file_where_the_state_is_another_user_s(base: Path) -> None:
    Loaded(base).app.close()
    forge(base)
    for place in [base / "state", *(base / "state").iterdir()]:
        os.chown(place, NOBODY, NOBODY)
    with app(str(base / "drd.yaml")) as opened:
        [component] = opened.plans.in_force("shop").components.values()
        assert component.settings.paths == ["/etc/hostname"]  # type: ignore[attr-defined]
        with rights.root(Purpose.TARGETS):
            (base / "plans/shop.yaml").write_text("plan: shop\nobjectives: {rpo: never}\n")
        with pytest.raises(ConfigError):
            opened.plans.in_force("shop")


@as_root
def test_root_gets_the_text_of_a_file_that_is_gone_to_read_and_not_to_act_by(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(base / "drd.yaml")
    with app(config) as ours:
        PlanBook(ours, Agenda(ours.catalogue.queue)).load(running=False)
    change_row(base, "update plan_sources set text = text || '# \x1b[2Jevil'")
    (base / "plans/shop.yaml").unlink()
    for path in (base / "state", *(base / "state").iterdir()):
        os.chown(path, NOBODY, NOBODY)
    with app(config, Console()) as roots, pytest.raises(UnknownPlan) as gone:
        roots.plans.in_force("shop")
    assert f"the file of plan shop is gone: {base}/plans/shop.yaml. Root uses only" in str(gone)
    assert "`drd plan show shop --loaded` prints the text" in gone.value.hint
    assert main(["plan", "show", "shop", "--loaded", "--config", config]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("plan: shop\n")
    assert "# \\x1b[2Jevil" in out
    assert "which user nobody can change: read the whole text before" in err
    for command in (["doctor"], ["doctor", "shop"], ["plan", "show", "shop"]):
        assert main([*command, "--config", config]) in (1, 2)
        said = "".join(capsys.readouterr())
        assert "the file of plan shop is gone" in said
        assert "drd plan show shop --loaded" in said
        assert "plan new" not in said


@as_root
def test_file_that_another_user_could_have_written_is_not_root_s(tmp_path: Path) -> None:
    assert is_roots_alone(Path("/etc/passwd"))
    file = tmp_path / "plan.yaml"
    file.touch()
    file.chmod(0o666)
    assert not is_roots_alone(file)
    link = tmp_path / "link"
    link.symlink_to("/etc/passwd")
    assert not is_roots_alone(link)
    assert not is_roots_alone(Path("/etc/../etc/passwd"))
    assert not is_roots_alone(Path("etc/passwd"))


def test_a_run_s_row_is_kept_for_the_plan_that_it_names(base: Path) -> None:
    """Healthy twin of all above: nothing is refused that names a plan by its rule."""
    with closing(App(str(base / "drd.yaml"))) as app:
        app.plans.load("shop")
        owned = app.catalogue.runs.begin(
            catalogue_plan("shop"), RunKind.BACKUP, trigger="manual", at=app.clock.now()
        )
        assert app.plans.load_known(app.catalogue.runs.get(owned.run.id).plan).name == "shop"
        owned.release()


@pytest.mark.parametrize("run", ["--config=/evil.yaml", "../../etc", "", "a/b", "4f2a\n"])
def test_id_of_a_row_is_neither_a_path_nor_an_option(run: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a run"):
        sound_id(run)


def test_healthy_twin_ids_that_drd_makes() -> None:
    assert sound_id("4f2a1c3e") == "4f2a1c3e"


def test_options_of_a_row_are_names_and_known_scenarios() -> None:
    def asked(**options: Any) -> Run:
        return Run(
            "4f2a1c3e",
            "shop",
            RunKind.DRILL,
            "manual",
            RunState.PENDING,
            None,
            detail=RunDetail(asked=AskedOptions.from_json(options)),
        )

    sound = {"point": "latest", "scenario": "region-loss", "components": ["conf"]}
    assert _asked(asked(**sound)).to_json() == sound
    for evil in (
        {"point": "--password-command=id"}, {"repository": "/srv/evil"}, {"components": ["../x"]},
        {"scenario": "nothing"},
    ):  # fmt: skip
        with pytest.raises(UsageError):
            _asked(asked(**evil))
