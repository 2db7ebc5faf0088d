"""What plans and drd.yaml say about recovery kits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drd.config.daemon import load_settings
from drd.config.plan_file import load_plan
from drd.errors import ConfigError, UsageError
from drd.kit.state import keepers
from drd.model.plan import KitPolicy, KitWatch, SecretRef
from drd.model.schedule import schedule_of
from drd.model.sharing import Sharing
from tests.config_support import GOOD


def test_a_kit_is_not_a_part_of_the_plans_hash(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD)
    before = load_plan(file).plan
    file.write_text(GOOD + "kit: {required: true, recipients: [age1abc]}\n")
    after = load_plan(file).plan
    assert before.kit == KitPolicy()
    assert after.kit == KitPolicy(required=True, recipients=("age1abc",))
    assert after.digest == before.digest


def test_a_recipient_that_is_not_a_public_key_is_refused_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text("log: {level: info}\nkit: {recipients: [AGE-SECRET-KEY-1]}\n")
    with pytest.raises(ConfigError, match=r"drd\.yaml:2: .*is not a public key"):
        load_settings(file, explicit=True)


def test_plans_of_other_people_do_not_share_a_kit(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text("kit: {recipients: [age1all]}\n")
    settings = load_settings(tmp_path / "drd.yaml", explicit=True)
    (tmp_path / "plan.yaml").write_text(GOOD)
    one = load_plan(tmp_path / "plan.yaml").plan
    other = replace(one, name="other", kit=KitPolicy(recipients=("age1few",)))
    assert keepers(settings, [one]) == ("age1all",)
    assert keepers(settings, [other]) == ("age1few",)
    with pytest.raises(UsageError, match="have different recipients or shares under `kit`"):
        keepers(settings, [one, other])
    with pytest.raises(UsageError, match="the kit has no recipient"):
        keepers(replace(settings, kit_recipients=()), [one])


def test_a_plan_that_wants_shares_says_so(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text("kit: {shares: 2/3}\n")
    settings = load_settings(tmp_path / "drd.yaml", explicit=True)
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD)
    assert keepers(settings, [load_plan(file).plan]) == Sharing(2, 3)
    file.write_text(GOOD + "kit: {shares: 3/5}\n")
    assert keepers(settings, [load_plan(file).plan]) == Sharing(3, 5)
    file.write_text(GOOD + "kit: {recipients: [age1few]}\n")
    assert keepers(settings, [load_plan(file).plan]) == ("age1few",)


@pytest.mark.parametrize(
    ("kit", "said"),
    [
        ("{file: /k}", "has `file`, but neither `passphrase` nor `identity`"),
        (
            "{file: /k, passphrase: {env: P}, identity: {env: I}}",
            "has both `passphrase` and `identity`",
        ),
        ("{passphrase: {env: P}}", "but no `file`"),
        ("{verify: {every: 1d}}", "but no `file`"),
        (
            "{file: /k, passphrase: {env: P}, shares: 2/3}",
            "has both `file` and `shares`: drd cannot test",
        ),
    ],
)
def test_a_copy_that_nobody_could_try_is_refused(tmp_path: Path, kit: str, said: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(f"{GOOD}kit: {kit}\n")
    with pytest.raises(ConfigError, match=said):
        load_plan(file)


def test_the_copy_that_is_tried_is_the_plans_or_drd_yamls(tmp_path: Path) -> None:
    (tmp_path / "drd.yaml").write_text("kit: {file: all.kit, passphrase: {credential: kit}}\n")
    default = load_settings(tmp_path / "drd.yaml", explicit=True).kit_watch
    secret = SecretRef("credential", "kit")
    assert default == KitWatch(f"{tmp_path}/all.kit", 7 * 86400.0, passphrase=secret)
    file = tmp_path / "plan.yaml"
    file.write_text(GOOD)
    plan = load_plan(file).plan
    assert plan.kit.watched(default) == default
    assert not [j for j in schedule_of(plan).jobs if j.kind == "kit"]
    file.write_text(GOOD + "kit: {file: /own, identity: {env: I}, verify: {every: 1d}}\n")
    watch = load_plan(file).plan.kit.watched(default)
    assert watch == KitWatch("/own", 86400.0, identity=SecretRef("env", "I"))
    (job,) = (j for j in schedule_of(plan, watch).jobs if j.kind == "kit")
    assert (job.subject, job.timing.every_s) == ("verify", 86400.0)
    file.write_text(GOOD + "kit: {shares: 2/3}\n")
    assert load_plan(file).plan.kit.watched(default) is None


def test_shares_that_are_none_and_two_ways_at_once_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "drd.yaml"
    file.write_text("kit: {shares: 5/3}\n")
    with pytest.raises(
        ConfigError, match=r'drd\.yaml:1: .*"5/3" is not a valid number of shares'
    ) as caught:
        load_settings(file, explicit=True)
    assert "write a number like 3/5" in caught.value.problems[0].hint
    file.write_text("log: {level: info}\nkit:\n  shares: 2/3\n  recipients: [age1abc]\n")
    with pytest.raises(ConfigError, match=r"drd\.yaml:\d: kit: has both `recipients` and `shares`"):
        load_settings(file, explicit=True)
