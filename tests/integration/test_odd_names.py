"""Names that commands would take for options: a new plan has none, one in force keeps its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from drd.bootstrap import App
from drd.config.plan_file import load_plan
from drd.errors import ConfigError, Problem

PLAN = """\
plan: {plan}
owner: team
objectives: {{rpo: 1h, rto: 1h}}
repositories:
  primary: {{url: /srv/repo, password: {{env: PASSWORD}}}}
components:
  {component}: {{kind: files, paths: [/srv/data]}}
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(
        f"state: sqlite:///{tmp_path}/drd.db\nplans: plans\ncache_dir: {tmp_path}/cache\n"
    )
    with closing(App(str(tmp_path / "drd.yaml"))) as opened:
        yield opened


def written(tmp_path: Path, plan: str, component: str) -> str:
    file = tmp_path / "plans" / "p.yaml"
    file.write_text(PLAN.format(plan=plan, component=component))
    return str(file)


def refusal(app: App, file: str) -> list[Problem]:
    with pytest.raises(ConfigError) as refused:
        app.plans.load(file)
    return refused.value.problems


def test_a_new_plan_whose_name_is_like_an_option_is_refused(app: App, tmp_path: Path) -> None:
    file = written(tmp_path, "-shop", "conf")
    [problem] = refusal(app, file)
    assert (problem.file, problem.line, problem.path) == (file, 1, "plan")
    assert problem.message == (
        "the name -shop begins with a hyphen: commands would take it for an option"
    )
    assert problem.hint == "choose a name that begins with a letter or a digit."
    assert app.catalogue.plans.names() == []


def test_a_new_component_whose_name_is_like_an_option_is_refused(app: App, tmp_path: Path) -> None:
    app.plans.load(written(tmp_path, "shop", "conf"))
    [problem] = refusal(app, written(tmp_path, "shop", "-conf"))
    assert (problem.line, problem.path, problem.severity) == (7, "components.-conf", "error")


def test_a_plan_in_force_keeps_its_names(app: App, tmp_path: Path) -> None:
    loaded = load_plan(Path(written(tmp_path, "-shop", "-conf")))
    app.plans.accept(loaded)  # as an older drd did
    changed = Path(written(tmp_path, "-shop", "-conf"))
    changed.write_text(changed.read_text().replace("rpo: 1h", "rpo: 2h"))
    assert app.plans.load(str(changed)).objectives.rpo_s == 7200
    [problem] = refusal(app, written(tmp_path, "-shop", "-other"))
    assert problem.path == "components.-other"


def test_the_names_in_force_are_known_without_reading_the_text_in_force(
    app: App, tmp_path: Path
) -> None:
    app.plans.accept(load_plan(Path(written(tmp_path, "-shop", "-conf"))))
    [row] = app.catalogue.queue.plan_rows(["-shop"])
    assert row.schedule is not None
    app.catalogue.queue.accept("-shop", "nobody reads this", row.schedule)
    assert app.plans.load(written(tmp_path, "-shop", "-conf")).name == "-shop"
    app.catalogue.queue.accept("-shop", "nobody reads this", row.schedule)
    [problem] = refusal(app, written(tmp_path, "-shop", "-other"))
    assert problem.path == "components.-other"


def test_in_a_row_of_an_older_drd_the_text_has_the_names_in_force(app: App, tmp_path: Path) -> None:
    loaded = load_plan(Path(written(tmp_path, "-shop", "-conf")))
    app.plans.accept(loaded)
    [row] = app.catalogue.queue.plan_rows(["-shop"])
    older = {key: value for key, value in (row.schedule or {}).items() if key != "components"}
    app.catalogue.queue.accept("-shop", loaded.text, older)
    [problem] = refusal(app, written(tmp_path, "-shop", "-other"))
    assert problem.path == "components.-other"
    assert app.plans.load(written(tmp_path, "-shop", "-conf")).name == "-shop"


def test_a_plan_that_comes_back_keeps_its_names(app: App, tmp_path: Path) -> None:
    file = written(tmp_path, "-shop", "conf")
    assert app.plans.load(file, coming_back=True).name == "-shop"


def test_the_check_of_a_plan_warns_of_such_a_name(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    found = load_plan(Path(written(tmp_path, "shop", "-conf"))).warnings
    [warning] = [w for w in found if w.path == "components.-conf" and "hyphen" in w.message]
    assert warning.message.endswith("; drd refuses a new plan with such a name")
    assert (warning.line, warning.severity) == (7, "warning")
