"""Packages that drd.yaml names: what is taken from them, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd import registry
from drd.cli.main import main
from drd.config.daemon import load_settings
from drd.config.run_settings import VARIABLE, from_environment, to_text
from drd.daemon.reload import reread
from drd.errors import ConfigError, NotifyError
from drd.kit.document import Commands
from drd.kit.programs import KitPrograms
from drd.kit.steps import step_in_words
from drd.kit.steps_by_hand import StepsByHand
from drd.model.message import Message
from drd.notifiers import open_notifier
from drd.registry import ACTIONS, CHECKS, NOTIFIERS
from tests.config_support import GOOD, changed, load, problems
from tests.extension_support import (
    EXAMPLES,
    forget_modules,
    install,
    install_example,
    mine,
    packages_in,
    refused,
    settings_of,
    unusable,
    use,
)

CHECK = (
    "  - {name: files, kind: files, component: etc}\n"
    "  - {name: motd, kind: contains, component: etc, path: /etc/shop/motd, text: open}\n"
)
WITH_CHECK = changed("  - {name: files, kind: files, component: etc}\n", CHECK)
STEPS = "runbook:\n  - restore: all\n  - {note: {file: /srv/notes, line: '${plan} is back'}}\n"


@pytest.fixture(autouse=True)
def packages(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with packages_in(short_tmp / "site", monkeypatch) as site:
        yield site


def test_the_members_of_a_package_that_is_named_are_there(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    assert "contains" in CHECKS
    assert "note" in ACTIONS
    assert "logbook" in NOTIFIERS
    assert CHECKS.extension("contains") == ("drd-example", "1.2.0")


def test_members_of_a_removed_package_are_gone(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    use(tmp_path, "log: {level: info}\n")
    assert "contains" not in CHECKS
    assert "note" not in ACTIONS


def test_a_refused_file_leaves_in_use_what_was(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    assert refused(tmp_path, "extensions: []\nlimit: 3\n").message == 'unknown key "limit"'
    assert "contains" in CHECKS


def test_a_plan_uses_check_and_step(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    plan = load(tmp_path, WITH_CHECK + STEPS).plan
    assert [c.kind for c in plan.checks][-1] == "contains"
    assert [s.kind for s in plan.runbook] == ["restore", "note"]


def test_mistakes_in_its_settings_have_line_and_remedy(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    text = WITH_CHECK.replace("component: etc, path: /etc/shop/motd", "component: db, pth: /x")
    said = [(p.path, p.message) for p in problems(tmp_path, text)]
    assert ("checks[3].pth", 'unknown key "pth"') in said
    fits = problems(
        tmp_path, WITH_CHECK.replace("contains, component: etc", "contains, component: db")
    )
    assert fits[0].message == "a contains check cannot read component db, which is of kind postgres"
    assert fits[0].hint == "this kind of check reads files components."
    step = problems(tmp_path, GOOD + STEPS.replace("${plan}", "${plam}"))
    assert (step[0].path, step[0].message) == (
        "runbook[1].note.line",
        "drd cannot insert a value for ${plam} here",
    )


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (WITH_CHECK, "checks[3].kind", 'unknown kind "contains"'),
        (GOOD + STEPS, "runbook[1]", "is not a step of a runbook"),
    ],
)
def test_a_kind_of_an_installed_package_that_is_not_named_is_refused_with_the_setting(
    packages: Path, tmp_path: Path, text: str, path: str, message: str
) -> None:
    install_example(packages)
    (problem,) = problems(tmp_path, text)
    assert (problem.path.removesuffix(".kind"), problem.message) == (
        path.removesuffix(".kind"),
        message,
    )
    name = "contains" if text == WITH_CHECK else "note"
    assert problem.hint == (
        f'the package drd-example adds "{name}": write extensions: [drd-example] into drd.yaml.'
    )
    assert "drd_example" not in sys.modules


def test_the_kit_says_how_a_person_does_the_step_and_what_to_install(
    packages: Path, tmp_path: Path
) -> None:
    install_example(packages)
    use(tmp_path)
    plan = load(tmp_path, WITH_CHECK + STEPS).plan
    step = plan.runbook[-1]
    assert step_in_words(plan, step) == "note in /srv/notes: ${plan} is back"
    _, commands = StepsByHand(plan, None, {}).step(step)
    assert commands == Commands("echo shop' is back' >>/srv/notes\n")
    assert "the Python package drd-example 1.2.0, in addition to drd" in KitPrograms().take(plan)


# --- hash and versions ------------------------------------------------------------------------


def test_the_hash_of_a_plan_has_the_first_number_of_what_it_uses(
    packages: Path, tmp_path: Path
) -> None:
    without = load(tmp_path, GOOD).plan.digest
    found = {}
    for version in ("1.2.0", "1.9.3", "2.0.0"):
        forget_modules()  # as in a new process
        install_example(packages, version=version)
        use(tmp_path)
        assert load(tmp_path, GOOD).plan.digest == without
        plan = load(tmp_path, WITH_CHECK).plan
        assert plan.resolved["extensions"] == {"drd-example": version[0]}
        found[version] = plan.digest
    assert found["1.2.0"] == found["1.9.3"] != found["2.0.0"]


# --- what is refused --------------------------------------------------------------------------


def test_a_package_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    problem = unusable(tmp_path, "log: {level: info}\nextensions:\n  - drd-nowhere\n")
    assert (problem.line, problem.path) == (3, "extensions[0]")
    assert problem.message == "the package drd-nowhere is not installed"
    assert problem.hint == (
        f"install drd-nowhere into {sys.prefix}, from the address that its author gave you: `pip "
        "install drd-nowhere` alone may install a stranger's package from PyPI. Or remove "
        "drd-nowhere from `extensions` in drd.yaml, and remove what uses it from the plans."
    )


def test_a_package_without_entry_points_adds_nothing(packages: Path, tmp_path: Path) -> None:
    install(packages, "drd-mine", {"mine.py": ""}, {"console_scripts": {"mine": "mine:main"}})
    assert (
        unusable(tmp_path, "extensions: [drd-mine]\n").message
        == "the package drd-mine adds nothing to drd"
    )


def test_a_name_that_drd_has_is_refused(packages: Path, tmp_path: Path) -> None:
    mine(packages, "raise AssertionError('imported')", name="sql")
    problem = unusable(tmp_path, "extensions: [drd-mine]\n")
    assert problem.message == (
        "the package drd-mine adds the check sql, but drd itself has a check sql"
    )


def test_a_name_that_another_package_has_is_refused(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    mine(packages, "", name="contains")
    file = settings_of(tmp_path, "extensions:\n  - drd-example\n  - drd-mine\n")
    warnings = load_settings(file, explicit=True).warnings
    assert [(one.line, one.path) for one in warnings] == [
        (2, "extensions[0]"),
        (3, "extensions[1]"),
    ]
    for one in warnings:
        assert one.message == (
            "the packages drd-example and drd-mine add a check with the same name, "
            "contains; drd does not use the parts that several packages add, and refuses "
            "only the plans that need these parts"
        )
        assert one.hint == "remove one of the packages from `extensions`."
    assert "note" in ACTIONS


def test_a_package_that_cannot_be_imported_says_why(packages: Path, tmp_path: Path) -> None:
    mine(packages, "import nothing_of_that_name\n")
    problem = unusable(tmp_path, "extensions: [drd-mine]\n")
    assert problem.message == (
        "drd cannot import the package drd-mine: ModuleNotFoundError: No module named "
        "'nothing_of_that_name'"
    )
    assert problem.hint == f"to see the whole error: {sys.executable} -c 'import mine'"


@pytest.mark.parametrize(
    ("code", "group", "name", "why"),
    [
        ("SPEC = 3", "drd.checks", "odd", "which is not a CheckKind"),
        (
            "from drd.checks.sql import SPEC",
            "drd.checks",
            "odd",
            "which calls itself sql",
        ),
        (
            "from drd.checks.sql import *\nSPEC = CheckKind('odd', SqlCheck, SqlValue())",
            "drd.checks",
            "odd",
            'which has settings without kind: Literal["odd"]',
        ),
        (
            "import dataclasses as d, drd.actions.sql as s; SPEC=d.replace(s.SPEC, name='retries')",
            "drd.actions",
            "retries",
            "which is not a valid name of a step",
        ),
    ],
)
def test_a_class_that_is_not_a_member_is_refused(
    packages: Path, tmp_path: Path, *, code: str, group: str, name: str, why: str
) -> None:
    mine(packages, code, group, name)
    assert unusable(tmp_path, "extensions: [drd-mine]\n").message.endswith(why)


def test_a_channel_of_a_package_has_its_errors_named(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    problem = refused(tmp_path, "extensions: [drd-example]\nnotify: [{kind: logbook, path: x}]\n")
    assert (problem.path, problem.message) == (
        "notify[0].path",
        '"x" is not an absolute path',
    )


def test_a_channel_of_a_package_takes_messages(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    text = f"extensions: [drd-example]\nnotify: [{{kind: logbook, path: {tmp_path}/book}}]\n"
    (spec,) = load_settings(settings_of(tmp_path, text), explicit=True).channels
    data = {"event": "drill", "plan": "shop", "severity": "info", "title": "t", "text": "x"}
    more = {"alert": None, "run": None, "details": {}, "at": "2026-03-01T12:00:00Z"}
    open_notifier(spec, resolve=pytest.fail).deliver(Message.from_json({**data, **more}))
    assert json.loads((tmp_path / "book").read_text())["title"] == "t"


# --- what a package that cannot be used leaves alone --------------------------------------------


@pytest.mark.parametrize("code", [None, "raise OSError('out of order')\n", "raise SystemExit(3)\n"])
def test_a_plan_that_does_not_use_a_broken_package_goes_on(
    packages: Path, tmp_path: Path, code: str | None
) -> None:
    before = load(tmp_path, GOOD).plan.digest
    if code is not None:
        mine(packages, code)
    unusable(tmp_path, "extensions: [drd-mine]\n")
    assert load(tmp_path, GOOD).plan.digest == before


def test_a_broken_package_leaves_the_others_in_use(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    use(tmp_path)
    before = load(tmp_path, WITH_CHECK).plan.digest
    unusable(tmp_path, "extensions: [drd-nowhere, drd-example]\n")
    assert load(tmp_path, WITH_CHECK).plan.digest == before


def test_a_plan_that_uses_a_package_that_cannot_be_imported_is_refused(
    packages: Path, tmp_path: Path
) -> None:
    mine(packages, "raise OSError('out of order')\n", name="contains")
    unusable(tmp_path, "extensions: [drd-mine]\n")
    (problem,) = problems(tmp_path, WITH_CHECK)
    line = WITH_CHECK.splitlines().index(CHECK.splitlines()[1]) + 1
    assert (problem.file, problem.line) == (str(tmp_path / "shop.yaml"), line)
    assert problem.path == "checks[3].kind"
    assert problem.message == (
        'kind "contains" is unavailable: drd cannot import the package drd-mine: OSError: out of '
        "order"
    )
    assert problem.hint == f"to see the whole error: {sys.executable} -c 'import mine'"


@pytest.mark.parametrize(
    ("text", "name"), [(WITH_CHECK, "contains"), (GOOD + STEPS, "note")], ids=["check", "step"]
)
def test_a_plan_that_may_use_a_missing_package_is_refused(
    tmp_path: Path, text: str, name: str
) -> None:
    unusable(tmp_path, "extensions: [drd-nowhere]\n")
    (problem,) = problems(tmp_path, text)
    assert problem.message == (
        f'unknown kind "{name}": an extension may add it, but the package drd-nowhere is not '
        "installed"
    )
    assert problem.hint.startswith(
        f"install drd-nowhere into {sys.prefix}, from the address that its author gave you"
    )


def test_a_misspelt_kind_of_drd_is_not_a_matter_of_a_missing_package(tmp_path: Path) -> None:
    unusable(tmp_path, "extensions: [drd-nowhere]\n")
    text = changed("kind: files, component: etc", "kind: filse, component: etc")
    (problem,) = problems(tmp_path, text)
    assert problem.message == 'unknown kind "filse"'
    assert problem.hint == 'did you mean "files"?'


def test_of_a_name_that_two_packages_add_neither_is_used(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    mine(packages, "from drd_example.contains import SPEC\n", name="contains")
    for names in ("drd-example, drd-mine", "drd-mine, drd-example"):
        use(tmp_path, f"extensions: [{names}]\n")
        (problem,) = problems(tmp_path, WITH_CHECK)
        first, second = names.split(", ")
        assert problem.message == (
            f'kind "contains" is unavailable: the packages {first} and {second} add a check with '
            "the same name, contains"
        )
        assert "drd_example" in sys.modules  # for its step
        assert load(tmp_path, GOOD + STEPS).plan.runbook[-1].kind == "note"


def test_messages_for_a_channel_of_a_missing_package_wait(tmp_path: Path) -> None:
    text = "extensions: [drd-nowhere]\nnotify:\n  - {kind: logbook, on: [drill], path: /x}\n"
    settings = load_settings(settings_of(tmp_path, text), explicit=True)
    (channel,) = settings.channels
    assert (channel.name, channel.on) == ("logbook-1", ("drill",))
    warning = settings.warnings[-1]
    assert (warning.line, warning.path) == (3, "notify[0].kind")
    assert warning.message == (
        "the channel logbook-1 cannot deliver messages: the package drd-nowhere is not installed"
    )
    with pytest.raises(NotifyError) as caught:
        open_notifier(channel, resolve=pytest.fail)
    assert not caught.value.permanent
    assert caught.value.message == (
        'the kind of this channel, "logbook", is unavailable: the package drd-nowhere is not '
        "installed"
    )


def test_a_channel_spelled_like_one_of_drd_stops_no_command_while_a_package_is_missing(
    tmp_path: Path,
) -> None:
    text = "extensions: [drd-nowhere]\nnotify: [{kind: smtps, relay: mail.example}]\n"
    settings = load_settings(settings_of(tmp_path, text), explicit=True)
    assert [channel.name for channel in settings.channels] == ["smtps-1"]
    warning = settings.warnings[-1]
    assert (warning.path, warning.message) == (
        "notify[0].kind",
        "the channel smtps-1 cannot deliver messages: the package drd-nowhere is not installed",
    )
    assert warning.hint.startswith('if you meant "smtp", write smtp; otherwise install ')


def test_a_misspelt_channel_is_refused_while_no_package_is_missing(
    packages: Path, tmp_path: Path
) -> None:
    install_example(packages)
    text = "extensions: [drd-example]\nnotify: [{kind: webhok, url: https://x.example}]\n"
    assert refused(tmp_path, text).message == 'unknown kind "webhok"'


def test_of_several_missing_packages_all_are_named(tmp_path: Path) -> None:
    use(tmp_path, "extensions: [drd-nowhere, drd-elsewhere]\n")
    (problem,) = problems(tmp_path, WITH_CHECK)
    assert problem.message == (
        'unknown kind "contains": an extension may add it, but the package drd-nowhere is not '
        "installed, and the package drd-elsewhere is not installed"
    )
    assert "install drd-nowhere into" in problem.hint
    assert "install drd-elsewhere into" in problem.hint


def test_a_run_of_the_daemon_goes_on_without_a_package_that_it_does_not_use(tmp_path: Path) -> None:
    told = to_text(
        load_settings(settings_of(tmp_path, "extensions: [drd-nowhere]\n"), explicit=True)
    )
    found = from_environment({VARIABLE: told})
    assert found is not None
    assert found.extensions == ("drd-nowhere",)
    assert [one.name for one in registry.unavailable()] == ["drd-nowhere"]


# --- who says so ------------------------------------------------------------------------------


def test_a_process_of_a_run_has_what_the_daemon_has(packages: Path, tmp_path: Path) -> None:
    install_example(packages)
    file = settings_of(tmp_path, "extensions: [drd-example]\n")
    told = to_text(load_settings(file, explicit=True))
    registry.use(())
    found = from_environment({VARIABLE: told})
    assert found is not None
    assert found.extensions == ("drd-example",)
    assert "contains" in CHECKS


def test_quick_commands_import_no_extensions(packages: Path, tmp_path: Path) -> None:
    mine(packages, "raise AssertionError('imported')")
    file = settings_of(tmp_path, "extensions: [drd-mine]\nnotify: [{kind: odd}]\n")
    assert load_settings(file, explicit=True, extended=False).channels == ()


def test_a_reload_takes_another_list_and_a_refused_one_changes_nothing(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))  # of a service, which was given none
    install_example(packages)
    file = settings_of(tmp_path, "log: {level: info}\n")
    app: Any = SimpleNamespace(settings=load_settings(file, explicit=True))
    app.read_settings = lambda: load_settings(file, explicit=True)
    settings_of(tmp_path, "extensions: [drd-example]\n")
    assert reread(app).changed == ("extensions",)
    assert "contains" in CHECKS
    settings_of(tmp_path, "extensions: []\nnotify: [{kind: webhook, url: {credential: none}}]\n")
    with pytest.raises(ConfigError, match="none"):
        reread(app)
    assert "contains" in CHECKS


def test_a_reload_takes_no_package_away_that_is_still_named(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    install_example(packages)
    file = settings_of(tmp_path, "extensions: [drd-example]\n")
    app: Any = SimpleNamespace(settings=load_settings(file, explicit=True))
    app.read_settings = lambda: load_settings(file, explicit=True)
    packages.rename(tmp_path / "away")
    settings_of(tmp_path, "log: {level: info}\nextensions: [drd-nowhere, drd-example]\n")
    with pytest.raises(ConfigError) as caught:
        reread(app)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (2, "extensions[1]")
    assert problem.message == "the package drd-example is not installed"
    assert "contains" in CHECKS
    settings_of(tmp_path, "log: {level: debug}\nextensions: [drd-nowhere]\n")
    assert set(reread(app).changed) == {"extensions", "log"}
    assert "contains" not in CHECKS


STARTING = """
from dataclasses import replace
from drd.ports.kinds import Starting, Wish


def wishes(given):
    return [Wish("notes", "notes", lambda live, credential, at=at: [("path", at)]) for at in given]


SPEC = NotesKind.spec = replace(SPEC, starting=Starting("mine:wishes"))
"""


def _notes(site: Path, more: str = "") -> None:
    text = (EXAMPLES / "drd-notes/drd_notes.py").read_text().replace("drd_notes:", "mine:")
    install(site, "mine", {"mine.py": text + more}, {"drd.kinds": {"notes": "mine:SPEC"}})


def _new(directory: Path, *words: str) -> int:
    drd_yaml = settings_of(directory, "extensions: [mine]\n")
    return main(["plan", "new", "--config", str(drd_yaml), "--output", "-", *words])


def test_a_plan_begins_with_a_kind_of_a_package(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _notes(packages, STARTING)
    assert _new(tmp_path, "--no-postgres", "--kind", "notes", "/srv/a", "/srv/b") == 0
    text = capsys.readouterr().out
    assert "    kind: notes\n    path: /srv/a\n" in text
    assert "    kind: notes\n    path: /srv/b\n" in text


def test_a_kind_with_which_no_plan_can_begin_is_refused_by_name(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _notes(packages)
    assert _new(tmp_path, "--kind", "notes", "/srv/a") == 2
    assert capsys.readouterr().err == (
        "drd: drd plan new cannot write components of kind notes\n"
        "HINT: write the component into the plan by hand: the documentation of mine lists "
        "its keys.\n"
    )
    assert _new(tmp_path, "--kind", "mongo", "/srv/a") == 2
    assert "components of kind mongo are not supported" in capsys.readouterr().err
