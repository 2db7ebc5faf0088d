"""The commands that move the backups of plans into a repository with a new master key."""

from __future__ import annotations

from drd.model.new_repository import new_repository
from tests.schedule_support import plan, repository

PRIMARY, OFFSITE = repository("primary"), repository("offsite", copy_of="primary")
SHOP = plan("shop", repositories={"primary": PRIMARY, "offsite": OFFSITE}, file="/p/shop.yaml")
BILLING = plan("billing", file="/p/billing.yaml")


def test_a_new_primary_begins_as_a_copy_and_takes_over() -> None:
    lines = new_repository([(SHOP, PRIMARY)])
    assert (
        lines[0] == "1. in /p/shop.yaml, add under `repositories:`, with its own URL and password:"
    )
    assert lines[1].strip() == (
        "primary-new: {url: NEW-URL, password: {credential: shop-primary-new}, copy_of: primary}"
    )
    assert "3. drd copy shop --repository primary-new" in lines
    assert "remove `copy_of` of primary-new, and remove primary" in "\n".join(lines)
    assert lines[-2].startswith("then, and if no other host stores there, delete this repository")
    assert lines[-1].strip() == "/srv/primary"


def test_a_new_copy_is_of_the_same_repository_and_replaces_the_old_one() -> None:
    text = "\n".join(new_repository([(SHOP, OFFSITE)]))
    assert "offsite-new: {url: NEW-URL" in text
    assert "copy_of: primary}" in text
    assert "remove offsite from /p/shop.yaml, then: systemctl reload drd" in text
    assert "remove copy_of" not in text


def test_the_repository_of_two_plans_goes_after_both_have_moved() -> None:
    lines = new_repository([(SHOP, PRIMARY), (BILLING, PRIMARY)])
    assert lines[0] == "plan shop, of /p/shop.yaml:"
    assert "plan billing, of /p/billing.yaml:" in lines
    assert lines[-2].startswith("only when all of these plans have moved (shop, billing), and")


def test_a_new_copy_of_a_copy_is_of_that_copy() -> None:
    third = repository("third", copy_of="offsite")
    chained = plan("shop", repositories={"primary": PRIMARY, "offsite": OFFSITE, "third": third})
    assert "copy_of: offsite}" in "\n".join(new_repository([(chained, third)]))
