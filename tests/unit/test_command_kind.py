"""Components of kind `command`: what a plan may say of them, and what `drd plan new` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.config.starter import FoundComponents, starter
from drd.errors import ToolMissing, UsageError
from drd.kinds.command import SPEC
from drd.kinds.command.discovery import wishes
from drd.kinds.command.kind import CommandKind
from drd.kinds.command.settings import CommandSettings
from drd.kinds.registry import by_hand_of
from drd.model.plan import Component
from drd.ports import Ability, Workplace
from drd.registry import KINDS
from tests.config_support import changed, load, problems

SERVE = 'serve: {command: [x, "${port}"]}'


def plan(keys: str, check: str = "") -> str:
    box = f"components:\n  box: {{kind: command, dump: [x], restore: [y]{keys}}}\n"
    text = changed("components:\n", box)
    return text.replace("checks:\n", f"checks:\n{check}", 1) if check else text


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        (', count: [c, "${port}"], path: /p', "count", "unknown value ${port}"),
        (
            ', count: ["${path}"], path: /p',
            "count[0]",
            "the first word must be a program, not a ${value}",
        ),
        (', count: [c, "${path}"]', "count", "uses ${path}, but `path` is missing"),
        (', query: [q, "${address}"]', "query", "uses ${address}, but `serve` is missing"),
        (
            f', count: [c, "${{address}}"], {SERVE}',
            "count",
            "uses ${address}, but `address` is missing",
        ),
        (', serve: {command: [x, "${dump}"]}', "serve.command", "unknown value ${dump}"),
        (
            ", env: {A: b}, secrets: {A: {env: X}}",
            "env.A",
            "is also under `secrets` or `secret_files`",
        ),
        (
            ', secrets: {"A B": {env: X}}',
            "secrets.A B",
            "is not a valid name of an environment variable",
        ),
        (", count: [bin/count]", "count[0]", '"bin/count" is a relative path'),
    ],
)
def test_a_wrong_setting_of_a_command_component_is_refused_at_its_key(
    keys: str, path: str, message: str, tmp_path: Path
) -> None:
    (found,) = problems(tmp_path, plan(keys))
    assert (found.path, found.message) == (f"components.box.{path}", message)
    assert found.hint


def test_a_check_that_a_command_component_cannot_answer_is_refused_with_the_missing_key(
    tmp_path: Path,
) -> None:
    rows = "  - {name: own, kind: rows, component: box}\n"
    (found,) = problems(tmp_path, plan("", rows))
    lacking = "a rows check cannot read component box, which cannot be compared with its source"
    assert found.message == lacking
    assert "add `count`" in found.hint
    asked = '  - {name: own, kind: sql, component: box, query: q, expect: "> 0"}\n'
    (found,) = problems(tmp_path, plan("", asked))
    assert "which cannot answer queries" in found.message
    assert "add `query`" in found.hint
    assert load(tmp_path, plan(", query: [q]", asked)).plan.components["box"]


def test_a_target_that_does_not_fit_is_refused_before_a_recovery_needs_it(tmp_path: Path) -> None:
    load_first = f', address: a, count: [c, "${{address}}"], {SERVE[:-1]}, first: true}}'
    serve = f', address: a, count: [c, "${{address}}"], {SERVE}'
    for keys, target, wrong in (
        (load_first, "path: /x", "has no `address`, but `restore` loads the dump into a running"),
        (serve, "address: b", "has no `path`, but `restore` writes into a directory"),
    ):
        text = f"{plan(keys)}targets:\n  standby:\n    box: {{{target}}}\n"
        (found,) = problems(tmp_path, text)
        assert found.message.startswith(wrong)
        assert (found.path, found.line) == ("targets.standby.box", len(text.splitlines()))
        assert found.hint.startswith("add `")
    warned = load(tmp_path, f"{plan(serve)}targets: {{standby: {{box: {{path: /x}}}}}}\n")
    assert "has no `address`, which `count` of the component uses" in [
        w.message for w in warned.warnings
    ]
    fits = load(tmp_path, f"{plan(serve)}targets: {{standby: {{box: {{path: /x, address: b}}}}}}\n")
    assert not [w for w in fits.warnings if "address" in w.message]


def test_abilities_follow_the_settings() -> None:
    bare = CommandSettings(kind="command", dump=["x"], restore=["y"])
    assert SPEC.of(bare).can == {Ability.KEEP, Ability.BESIDE}
    assert SPEC.of(bare).comparison is None
    whole = bare.model_copy(update={"path": "/p", "count": ["c"], "query": ["q"]})
    assert SPEC.of(whole) is SPEC


def test_a_new_plan_has_the_command_and_says_what_is_missing(tmp_path: Path) -> None:
    (wish,) = wishes(["tar -C '/srv/my app' -c ."])
    text = starter("pages", FoundComponents([(SPEC, wish)]), "/mnt/nas").text
    assert "dump: [tar, -C, /srv/my app, -c, .]" in text
    assert "CHANGE THIS" in text
    assert load(tmp_path, text, "pages.yaml").plan.components["tar"].kind == "command"


def test_a_text_that_is_not_a_command_starts_no_plan() -> None:
    for line in ("", "echo 'open"):
        with pytest.raises(UsageError) as caught:
            wishes([line])
        assert caught.value.hint
    with pytest.raises(ToolMissing):
        wishes(["no-such-program-here -x"])


def test_doctor_warns_of_a_restore_that_runs_programs_which_the_dump_names(
    tmp_path: Path,
) -> None:
    for words, expected in (
        (["sqlite3", "-bail", "x"], 1),
        (["sqlite3", "-safe", "x"], 0),
        (["cat"], 0),
    ):
        settings = CommandSettings.model_validate({"kind": "command", "restore": words})
        found = CommandKind().sandbox_findings(
            Component("box", "command", settings), Workplace(tmp_path, "drill-1")
        )
        told = [f.text for f in found if f.severity == "warning"]
        assert ["`.shell`" in text for text in told] == [True] * expected


def test_the_page_by_hand_asks_a_service_only_after_a_person_has_started_it() -> None:
    given = {
        "kind": "command",
        "restore": ["load"],
        "path": "/srv/keys",
        "address": "http://127.0.0.1:2379",
        "count": ["count", "${address}"],
        "query": ["ask", "${address}", "${query}"],
    }
    settings = KINDS["command"].settings.model_validate(given)
    hand = by_hand_of("command")(
        Component("keys", "command", settings), None, place="", resolve=str
    )
    start, compare = hand.passages[-2:]
    assert (start.adapt, start.commands) == (True, "")
    assert "Start the service of keys" in start.text
    begin = "TARGET=/srv/keys\nADDRESS=http://127.0.0.1:2379\n"
    assert compare.commands.startswith(begin), "a later run of the script may begin here"
    assert 'count "$ADDRESS")' in compare.commands
    assert hand.ask == "ask http://127.0.0.1:2379"
    assert hand.environment == "DRD_PATH=/srv/keys DRD_ADDRESS=http://127.0.0.1:2379"
