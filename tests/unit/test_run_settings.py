"""What the daemon hands to the processes of its runs."""

from __future__ import annotations

from pathlib import Path

from drd.config.daemon import load_settings
from drd.config.run_settings import VARIABLE, from_environment, to_text
from drd.model.plan import SecretRef


def test_a_run_uses_the_people_and_kit_in_force(tmp_path: Path) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text(
        "kit: {required: true, file: /k, passphrase: {command: [pass, kit]}}\n"
        "people: [{name: Anna, user: anna, roles: [commander, operator]}, {name: Bert}]\n"
        "regimes: r\nplaybooks: p\nexercises: e\ntemplates: t\nawareness: a\n"
        "records: {key: {file: /etc/records.key}}\n"
        "notify: [{kind: webhook, url: {file: /etc/hook}}]\n"
    )
    settings = load_settings(file, explicit=True)
    text = to_text(settings)
    file.write_text("people: []\n")

    found = from_environment({VARIABLE: text})

    assert found is not None
    assert found.roles == {"Anna": ("commander", "operator"), "Bert": ()}
    assert found.users == {"anna": "Anna"}
    own = (found.regimes_dir, found.playbooks_dir, found.exercises_dir)
    own += (found.templates_dir, found.awareness_dir)
    assert [place.name for place in own if place is not None] == list("rpeta")
    assert found.kit_required is True
    assert found.kit_watch == settings.kit_watch
    assert found.kit_watch is not None
    assert found.records_key == settings.records_key == SecretRef("file", "/etc/records.key")
    assert (found.file, found.state_url) == (file, settings.state_url)
    assert "/etc/hook" not in text
    assert from_environment({}) is None
