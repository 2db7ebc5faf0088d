"""Commands that change nothing leave the catalogue as it was."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site, small_site


@pytest.fixture
def small(stored: Site) -> Site:
    stored.drd("drill", "shop")
    return stored


def stranger(site: Site) -> str:
    """A plan that lies elsewhere, whose repository is that of the plan in force."""
    file = site.base / "other.yaml"
    file.write_text(
        (site.base / "plans/shop.yaml").read_text().replace("plan: shop", "plan: other")
    )
    file.chmod(0o600)
    return str(file)


def dump(site: Site) -> list[str]:
    with closing(sqlite3.connect(site.base / "state/drd.db")) as connection:
        return list(connection.iterdump())


def told(site: Site) -> list[Any]:
    """What is shown of the state, without the time of the question."""
    answers = [site.drd(*words, "--json").json for words in (("status",), ("schedule",))]
    for plan in answers[0]["plans"]:
        for figures in (plan["rpo"], *plan["components"]):
            figures.pop("exposure_s")
        plan["rpo"].pop("attainment")
    return [{k: v for k, v in answer.items() if k != "at"} for answer in answers]


def test_commands_that_change_nothing_leave_the_catalogue_as_it_was(small: Site) -> None:
    file, plan = stranger(small), small.base / "plans/shop.yaml"
    point = small.points()[0]["point"]
    before, shown = dump(small), told(small)
    edited = plan.read_text().replace("rto: 30m", "rto: 20m")
    edited_elsewhere = small.base / "edited.yaml"
    edited_elsewhere.write_text(edited)
    for words, codes in (
        (("doctor", file), (0,)),
        (("doctor", str(plan)), (0,)),
        (("doctor", "shop"), (0,)),
        (("doctor",), (0,)),
        (("doctor", str(edited_elsewhere)), (0,)),
        (("readiness", file), (3,)),
        (("readiness", str(plan)), (0,)),
        (("readiness", str(edited_elsewhere)), (0,)),
        (("plan", "check", file), (0,)),
        (("plan", "show", file), (0,)),
        (("backup", file, "--dry-run"), (0,)),
        (("backup", "shop", "--dry-run"), (0,)),
        (("retention", file, "--dry-run"), (0,)),
        (("retention", "shop", "--dry-run"), (0,)),
        (("recover", "shop", "--target", "standby", "--dry-run"), (0,)),
        (("recover", str(edited_elsewhere), "--target", "standby", "--dry-run"), (0,)),
        (("recover", file, "--target", "standby", "--dry-run"), (13,)),
        (("diff", "shop", "--component", "db", "--point", point), (0,)),
    ):
        done = small.drd(*words, code=None)
        assert done.code in codes, (words, done)
        assert dump(small) == before, words
        other_text = "drd uses another text" in done.out
        assert other_text is (words == ("readiness", str(edited_elsewhere))), words
    assert told(small) == shown
    assert not list((small.base / "work").glob("run-*")), "the copies are gone"
    plan.write_text(edited)
    doctor = " ".join(small.drd("doctor", "shop").out.split())
    assert "shop.yaml: drd uses another text of plan shop" in doctor
    assert "on a host without the service: drd backup shop" in doctor
    small.drd("recover", "shop", "--target", "standby", "--dry-run")
    assert dump(small) == before, "an edited plan comes into force by a reload or a run"
    plan.write_text("plan: shop\n")
    small.drd("doctor", "shop", code=2)
    small.drd("backup", "shop", "--dry-run", code=2)
    assert dump(small) == before


def test_a_repository_that_is_gone_is_recorded_for_a_plan_in_force_alone(small: Site) -> None:
    """By a dry run as well: what is lost must not stay green."""
    file = stranger(small)
    before = dump(small)
    Path(small.repository).rename(small.base / "aside")
    assert small.drd("doctor", file, code=1).out
    small.drd("readiness", file, code=3)
    small.drd("recover", file, "--target", "standby", "--dry-run", code=13)
    assert dump(small) == before
    small.drd("recover", "shop", "--target", "standby", "--dry-run", code=10)
    assert small.drd("status", "--json", code=3).json["plans"][0]["rpo"]["verdict"] == "breached"


def test_the_doctor_of_a_new_host_makes_no_plan_known(short_tmp: Path) -> None:
    site = small_site(short_tmp)
    file = stranger(site)
    _, *shown = site.drd("status", code=3).out.splitlines()  # the first line has the time
    assert site.drd("doctor", file, code=None).out
    site.drd("doctor", "shop", code=None)
    site.drd("readiness", "shop", code=3)
    assert site.drd("status", code=3).out.splitlines()[1:] == shown
    assert site.catalogue("select name from plans") == site.catalogue("select id from runs") == []
