"""What plans and drd.yaml say about recovery kits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drd.config.daemon import load_settings
from drd.config.plan_file import load_plan
from drd.errors import ConfigError, UsageError
from drd.kit.standing import recipients
from drd.model.plan import KitPolicy
from tests.config_support import GOOD


def test_a_kit_is_no_part_of_the_plans_hash(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD)
    before = load_plan(file).plan
    file.write_text(GOOD + "kit: {required: true, recipients: [age1abc]}\n")
    after = load_plan(file).plan
    assert before.kit == KitPolicy()
    assert after.kit == KitPolicy(required=True, recipients=("age1abc",))
    assert after.digest == before.digest


def test_a_recipient_that_is_no_public_key_is_refused_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text("log: {level: info}\nkit: {recipients: [AGE-SECRET-KEY-1]}\n")
    with pytest.raises(ConfigError, match=r"drd\.yaml:2: .*is no public key"):
        load_settings(file, explicit=True)


def test_plans_of_other_people_do_not_share_a_kit(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text("kit: {recipients: [age1all]}\n")
    settings = load_settings(tmp_path / "drd.yaml", explicit=True)
    (tmp_path / "plan.yaml").write_text(GOOD)
    one = load_plan(tmp_path / "plan.yaml").plan
    other = replace(one, name="other", kit=KitPolicy(recipients=("age1few",)))
    assert recipients(settings, [one]) == ("age1all",)
    assert recipients(settings, [other]) == ("age1few",)
    with pytest.raises(UsageError, match="name different recipients"):
        recipients(settings, [one, other])
    with pytest.raises(UsageError, match="nobody is named"):
        recipients(replace(settings, kit_recipients=()), [one])
