"""Which plans the daemon takes from a directory of many."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from drd.bootstrap import App
from drd.catalogue.summary import read_status
from drd.daemon.exposed_files import ExposedFiles
from drd.daemon.plans import PlanBook
from drd.flows.schedules import Agenda
from drd.flows.status.overview import collect
from drd.flows.status.refused_plans import loads_it
from drd.model.drd_facts import DaemonFacts
from drd.plan_files import plan_files
from tests.extension_support import forget_modules, install_example, mine, packages_in
from tests.integration.test_schedule_command import PLAN


def test_a_stop_waits_for_no_thousands_of_plans(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text("state: sqlite:///state/drd.db\nwork_dir: w\ncache_dir: c\n")
    for number in range(120):
        (tmp_path / f"plans/p{number}.yaml").write_text(PLAN.format(name=f"p{number}"))
    with closing(App(str(tmp_path / "drd.yaml"))) as app:
        book = PlanBook(app, Agenda(app.catalogue.queue))
        seen: list[tuple[int, int]] = []
        found = book.load(running=False, so_far=lambda *at: bool(seen.append(at)))
        assert seen == [(100, 120)]
        assert (len(found.accepted), found.removed, dict(found.refused)) == (100, (), {})
        assert len(book.load(running=False).accepted) == 120


def test_a_secret_file_that_one_plan_alone_names_is_that_plans(tmp_path: Path) -> None:
    """So that the alert about a missing one is the plan's, too."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(
        "state: sqlite:///state/drd.db\nwork_dir: w\ncache_dir: c\n"
        f"notify: [{{kind: webhook, url: {{file: {tmp_path}/hook}}}}]\n"
    )
    files = {"shop": ("own", "shared"), "web": ("shared", "hook")}
    for name, (first, second) in files.items():
        text = PLAN.format(name=name).replace("{env: X}", f"{{file: {tmp_path}/{first}}}")
        copy = (
            f"  copy: {{url: /srv/c, password: {{file: {tmp_path}/{second}}}, copy_of: primary}}\n"
        )
        text = text.replace("backup:", f"{copy}backup:")
        (tmp_path / f"plans/{name}.yaml").write_text(text)
    for name in ("own", "shared", "hook"):
        (tmp_path / name).touch(mode=0o600)
    with closing(App(str(tmp_path / "drd.yaml"))) as app:
        PlanBook(app, Agenda(app.catalogue.queue)).load(running=False)
        assert ExposedFiles(app).secret_files() == {
            f"{tmp_path}/own": "shop",
            f"{tmp_path}/shared": "",
            f"{tmp_path}/hook": "",
        }


def test_a_plan_that_needs_a_new_credential_is_shown_with_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload would refuse it again. One that is broken waits for its correction and a reload."""
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text("state: sqlite:///state/drd.db\nwork_dir: w\ncache_dir: c\n")
    texts = {name: PLAN.format(name=name) for name in ("known", "new", "broken")}
    files = {name: tmp_path / f"plans/{name}.yaml" for name in texts}
    for name in ("known", "broken"):
        files[name].write_text(texts[name])
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with closing(App(str(tmp_path / "drd.yaml"))) as app:
        book = PlanBook(app, Agenda(app.catalogue.queue))
        book.load(running=True)
        for name in ("known", "new"):
            files[name].write_text(texts[name].replace("{env: X}", "{credential: later}"))
        files["broken"].write_text(texts["broken"] + "evry: 1h\n")
        refused = book.load(running=True).refused
        assert {n: why.needs_restart for n, why in refused.items()} == {
            "known": True,
            "new": True,
            "broken": False,
        }
        now = app.clock.now()
        facts = read_status(app.settings.state_url)._replace(daemon=DaemonFacts(now, False, "1"))
        shown = collect(lambda: facts, plan_files(tmp_path / "plans"), now)
        remedies = {
            p.plan: r.remedy for p in shown.plans for r in p.reasons if r.kind == "plan-not-loaded"
        }
        assert remedies == {
            name: f"drd plan check {files[name]} && systemctl {how} drd"
            for name, how in (("broken", "reload"), ("known", "restart"), ("new", "restart"))
        }
        assert loads_it(app.catalogue.queue, "known") == "systemctl restart drd"
        assert loads_it(app.catalogue.queue, "broken") == "systemctl reload drd"
        for file, name in ((files["known"], "known"), (files["new"], "new")):
            file.write_text(texts[name])
        book.load(running=True)
        assert read_status(app.settings.state_url).refused == {}


def test_a_plan_is_read_again_when_its_package_has_another_version_or_is_gone(
    tmp_path: Path, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its file alone it would be known from the catalogue."""
    step = "runbook:\n  - restore: all\n  - {note: {file: /srv/notes, line: back}}\n"
    settings = (
        "state: sqlite:///state/drd.db\nwork_dir: w\ncache_dir: c\nextensions: [drd-example]\n"
    )
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(settings)
    (tmp_path / "plans/shop.yaml").write_text(PLAN.format(name="shop") + step)
    (tmp_path / "plans/other.yaml").write_text(PLAN.format(name="other"))
    digests = []
    with packages_in(short_tmp / "site", monkeypatch) as site:
        for version in ("1.2.0", "2.0.0", None):
            forget_modules()  # as in a new process
            if version is None:
                site.rename(short_tmp / "away")
            else:
                install_example(site, version=version)
            with closing(App(str(tmp_path / "drd.yaml"))) as app:
                loaded = PlanBook(app, Agenda(app.catalogue.queue)).load(running=False)
                assert list(loaded.refused) == ([] if version else ["shop"])
                rows = {row.name: row for row in app.catalogue.queue.plan_rows()}
                digests.append((rows["shop"].digest, rows["other"].digest))
    assert digests[0][0] != digests[1][0] == digests[2][0]
    assert len({other for _, other in digests}) == 1


def test_a_plan_is_read_again_when_another_package_adds_its_check_as_well(
    tmp_path: Path, short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart, with the package that it was accepted with in use for other members."""
    settings = "state: sqlite:///state/drd.db\nwork_dir: w\ncache_dir: c\n"
    (tmp_path / "plans").mkdir()
    for name, step in (
        ("shop", "{note: {file: /srv/notes, line: back}}"),
        ("other", "{await_file: {file: /srv/notes}}"),
    ):
        text = f"{PLAN.format(name=name)}runbook:\n  - restore: all\n  - {step}\n"
        (tmp_path / f"plans/{name}.yaml").write_text(text)
    with packages_in(short_tmp / "site", monkeypatch) as site:
        install_example(site)
        for names in ("[drd-example]", "[drd-example, drd-mine]"):
            (tmp_path / "drd.yaml").write_text(f"{settings}extensions: {names}\n")
            with closing(App(str(tmp_path / "drd.yaml"))) as app:
                loaded = PlanBook(app, Agenda(app.catalogue.queue)).load(running=False)
                assert list(loaded.refused) == ([] if names == "[drd-example]" else ["shop"])
            mine(site, "from drd_example.note import SPEC\n", "drd.actions", "note")
    assert loaded.refused["shop"].error.endswith(
        'kind "note" is unavailable: the packages drd-example and drd-mine add a step with the '
        "same name, note"
    )
