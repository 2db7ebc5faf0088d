"""What the commands of the bad day do with a broken drd.yaml: leave out what they can do without,
and refuse the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.cli.main import main
from drd.config.daemon import DaemonSettings, load_settings
from drd.config.daemon_schema import SPARE, DaemonFile
from drd.config.location import guessed_places
from drd.errors import ConfigError

SOUND = """\
state: sqlite:////srv/drd.db
people:
  - {name: Ann, phone: "+49 30 1234567", roles: [operator]}
notify:
  - {kind: exec, command: [/bin/a], name: a}
  - {kind: exec, command: [/bin/b], name: b, on: [letter]}
contacts:
  - {name: Bank, kind: customer, phone: ["+49 30 1234568"]}
  - {name: Page, kind: customer, phone: ["+49 30 1234569"], channel: b}
on_call:
  - {role: operator, people: [Ann]}
log: {level: debug}
limits: {runs: 2}
"""


def endured(tmp_path: Path, old: str, new: str) -> DaemonSettings:
    """The settings of the sound file with this change, which every other command refuses."""
    assert old in SOUND
    file = tmp_path / "drd.yaml"
    file.write_text(SOUND.replace(old, new))
    with pytest.raises(ConfigError):
        load_settings(file, explicit=True)
    return load_settings(file, explicit=True, enduring=True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: a}", "nmae: a}", '5: notify[0].nmae: unknown key "nmae"'),
        ("kind: exec, command: [/bin/a]", "kind: exce", '5: notify[0].kind: unknown kind "exce"'),
        ('kind: customer, phone: ["+49 30 1234568"]', "kind: bank", "8: contacts[0].kind: "),
        ("people: [Ann]", "people: [Bob]", '11: on_call[0].people[0]: there is no person "Bob"'),
        ('phone: "+49 30 1234567"', "phone: 0049", "3: people[0].phone: 0049 is read differently"),
        ("level: debug", "level: loud", '12: log.level: "loud" is not allowed here'),
        ("limits: {runs: 2}", "limits: 2", "13: limits: is a number, not a mapping"),
        ("notify:\n", "notifi:\n", '4: notifi: unknown key "notifi"'),
        ("limits: {runs: 2}", "kit: {requird: true}", '13: kit.requird: unknown key "requird"'),
        ("[/bin/a], name", "[/bin/a, name", 'notify: is not YAML: the [ in this line has no "]"'),
        ("name: b, on", 'name: "b, on', 'notify: is not YAML: the " in this line has no closing'),
        ("level: debug}", "level: debug", "log: is not YAML"),
    ],
)
def test_a_broken_setting_that_a_command_does_not_need_is_left_out_and_reported(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    settings = endured(tmp_path, old, new)
    assert told in "\n".join(map(str, settings.left_out))
    assert all(problem.hint for problem in settings.left_out)
    assert settings.state_url == "sqlite:////srv/drd.db"
    assert settings.roles == {"Ann": ("operator",)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("state: sqlite:////srv/drd.db", "state: /srv/drd.db"),
        ("state:", "stat:"),
        ("state:", "state: sqlite:////other.db\nstate:"),
        ("people:", "peple:"),
        ("people:", " people:"),
        ("roles: [operator]", "roles: operator"),
        ("roles: [operator]", "role: [operator]"),
        ("log: {level: debug}", "log:\n  people: []"),
        ("log: {level: debug}", "log:\n  gruops: {read: x}"),
        ("log: {level: debug}", "groups: {raed: x}"),
        ("log: {level: debug}", "run_as: 5"),
        ("log: {level: debug}", "records: {key: {env: X}}"),
        ("log: {level: debug}", "extensions: [no-such]\nincident: {severities: 3}"),
        ("log: {level: debug}", "something: else"),
        ("log: {level: debug}", "no key"),
        ("name: a}\n", 'name: "a}\n  people: []\n'),
    ],
)
def test_nothing_is_left_out_that_says_where_and_who(tmp_path: Path, old: str, new: str) -> None:
    """Without it drd would use another state, or let more people do more."""
    with pytest.raises(ConfigError):
        endured(tmp_path, old, new)


def test_the_sound_items_of_a_list_stay_and_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """The broken channel is left out first, then the contact's word for it, but not the contact."""
    settings = endured(tmp_path, "name: b, on: [letter]", "nmae: b")
    assert [channel.name for channel in settings.channels] == ["a"]
    assert [contact.name for contact in settings.contacts.contacts] == ["Bank", "Page"]
    assert [(p.line, p.path) for p in settings.left_out] == [
        (6, "notify[1].nmae"),
        (9, "contacts[1].channel"),
    ]
    settings = endured(tmp_path, "kind: exec, command: [/bin/a], name: a", "kind: exce")
    assert [channel.name for channel in settings.channels] == ["b"]
    settings.require("contacts", "people")
    with pytest.raises(ConfigError, match="notify"):
        settings.require("contacts", "notify")


def test_after_a_removed_item_the_paths_of_later_errors_are_those_of_the_file(
    tmp_path: Path,
) -> None:
    both = 'kind: customer, phone: ["+49 30 1234568"]}\n  - {name: Page'
    settings = endured(tmp_path, both, "kind: bank}\n  - {name: Page, hours: always, timezone: X")
    assert [(p.line, p.path) for p in settings.left_out] == [
        (8, "contacts[0].kind"),
        (9, "contacts[1].timezone"),
    ]


def test_a_sound_file_is_read_the_same(tmp_path: Path) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text(SOUND)
    settings = load_settings(file, explicit=True)
    assert load_settings(file, explicit=True, enduring=True) == settings
    assert settings.left_out == ()


def test_the_status_finds_the_state_of_a_file_that_is_not_yaml(tmp_path: Path) -> None:
    state = tmp_path / "a b.db"
    text = SOUND.replace("sqlite:////srv/drd.db", f'"sqlite:///{state}"')
    file = tmp_path / "drd.yaml"
    file.write_text(text.replace("name: a}", 'name: "a}'))
    assert guessed_places(file) is None, "there is no state"
    state.touch()
    found = guessed_places(file)
    assert found is not None
    assert found.state_url == f"sqlite:///{state}"


def test_every_spare_place_is_a_place_of_the_schema() -> None:
    assert {pattern[0] for pattern in SPARE} <= set(DaemonFile.model_fields)


def test_the_response_goes_on_and_a_backup_waits_for_the_correction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "drd.yaml"
    (tmp_path / "plans").mkdir()
    state = f"state: sqlite:///{tmp_path}/state/drd.db\nwork_dir: {tmp_path}/work\n"
    file.write_text(f"{state}notify:\n  - {{kind: exce, command: [/bin/true]}}\n")
    monkeypatch.setenv("DRD_CONFIG", str(file))
    assert main(["incident", "open", "the shop is down"]) == 0
    assert main(["incident", "log", "called the provider"]) == 0
    told = capsys.readouterr().err
    error = f'{file}:4: notify[0].kind: unknown kind "exce". This command goes on without this part'
    assert error in told
    assert 'Remedy: did you mean "exec"?' in told
    assert main(["backup", "shop"]) == 2
    assert f"drd: {file}:4: notify[0].kind" in capsys.readouterr().err
    assert main(["status"]) == 3
    assert f"drd.yaml is broken, so drd cannot make backups: {file}:4" in capsys.readouterr().out
    file.write_text(f"{state}people: [{{name: Ann, roles: lead}}]\n")
    assert main(["incident", "log", "called again"]) == 2
    assert "people[0].roles: is text, not a list" in capsys.readouterr().err
