"""Two plans with one repository, each with a password of its own."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.site import Site, small_site


def states(site: Site) -> dict[str, str]:
    told = site.drd("status", "--json", code=None).json["plans"]
    return {one["plan"]: one["repositories"][0]["state"] for one in told}


def test_a_wrong_password_of_one_plan_leaves_the_other_plan_as_it_is(tmp_path: Path) -> None:
    site = small_site(tmp_path)
    site.drd("backup", "shop")
    wrong = site.secret("other", "not the password of this repository")
    text = (tmp_path / "plans/shop.yaml").read_text()
    other = text.replace("plan: shop", "plan: two").replace(
        f"{{file: {tmp_path}/secrets/restic}}", wrong
    )
    (tmp_path / "plans/two.yaml").write_text(other)

    assert "the password" in site.drd("backup", "two", code=None).err

    assert states(site) == {"shop": "ok", "two": "shut"}
    site.drd("backup", "shop")
    assert states(site) == {"shop": "ok", "two": "shut"}
    site.secret("other", (tmp_path / "secrets/restic").read_text())
    site.drd("backup", "two")
    assert states(site) == {"shop": "ok", "two": "ok"}
