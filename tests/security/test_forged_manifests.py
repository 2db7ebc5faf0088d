"""Whoever has a repository's password can write manifests, and a host that recovers reads them. An
id of a snapshot became an argument of restic (`--password-command=…` ran as root), paths said where
a recovery over production writes, a file's name led out of the landing. All of it is input now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drd.kinds.postgres.manifest import require_written
from drd.model.snapshot import ComponentSnapshot
from tests.e2e.kit_site import Machine
from tests.e2e.site import PASSWORD, Site
from tests.security.forging import FORGED, component, forge, forget_state


@pytest.fixture
def site(stored: Site) -> Site:
    return stored


def sound(site: Site) -> str:
    return next(p["point"] for p in site.points() if p["point"] != FORGED)


def as_option(mark: Path) -> Callable[[dict[str, Any]], object]:
    words = f"--password-command=sh -c 'id > {mark}; echo {PASSWORD}'"
    return lambda m: component(m, "conf").update(snapshot=words)


def test_an_id_never_becomes_an_option(site: Site) -> None:
    point, mark = sound(site), site.base / "mark"
    forge(site, point, as_option(mark))
    forget_state(site)
    told = site.drd("catalogue", "rebuild", "shop", code=1)
    assert "drd refuses manifest" in told.err or "drd refuses restore point" in told.err
    assert [p["point"] for p in site.points()] == [point]
    site.drd("drill", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert not mark.exists()


def test_a_bootstrap_passes_over_what_is_forged(site: Site) -> None:
    point, mark = sound(site), site.base / "mark"
    forge(site, point, as_option(mark))
    forge(site, point, lambda _: None, point="0e0e0e0e", host="../../../evil")
    machine = Machine(site.base / "root")
    password = machine.root.parent / "password"
    password.write_text(PASSWORD)
    told = machine.drd(
        "bootstrap", "--repository", site.repository, "--password-file", str(password), "--root",
        str(machine.root), "--accept-commands",
    )  # fmt: skip
    assert "is not a valid id of a snapshot" in told.err
    assert [p["point"] for p in machine.after("points", "shop", "--json").json["points"]] == [point]
    assert not mark.exists()
    assert not list(site.base.rglob("evil*"))


def test_a_forged_snapshot_that_an_older_drd_took_into_the_catalogue_is_refused(site: Site) -> None:
    """The row is what a forged manifest left there, or a replica that came out of a repository."""
    import sqlite3

    mark = site.base / "mark"
    word = f"--password-command=touch {mark}"
    with sqlite3.connect(site.base / "state/drd.db") as catalogue:
        catalogue.execute("update component_snapshots set snapshot = ?", (word,))
    drilled = site.drd("drill", "shop", code=4)
    assert "drd refuses restore point" in drilled.out
    refused = site.drd("recover", "shop", "--target", "standby", "--yes", code=None)
    assert refused.code != 0
    assert "drd refuses restore point" in refused.err
    assert not mark.exists()


def test_a_manifest_of_another_plan_or_point_is_not_a_point(site: Site) -> None:
    point = sound(site)
    others = {
        forge(site, point, lambda m: m.update(plan="other")),
        forge(site, point, lambda m: m.update(point="0d0d0d0d"), point="0e0e0e0e"),
        forge(site, point, lambda m: component(m, "db").update(kind="oracle"), point="0f0f0f0f"),
    }
    (plan,) = site.drd("catalogue", "rebuild", "shop", "--json", code=1).json["plans"]
    assert set(plan["unreadable"]) == others
    assert [p["point"] for p in site.points()] == [point]


def test_a_point_comes_back_to_the_plans_paths_alone(site: Site) -> None:
    victim = site.base / "ssh"
    victim.mkdir()
    (victim / "authorized_keys").write_text("the attacker's\n")
    tags = ("drd", "plan:shop", f"run:{FORGED}", "component:conf")
    words = [word for tag in tags for word in ("--tag", tag)]
    told = site.restic("backup", "--json", "--host", "shop", *words, str(victim))
    snapshot = told.rpartition('"snapshot_id":"')[2][:64]
    (victim / "authorized_keys").write_text("mine\n")

    def elsewhere(manifest: dict[str, Any]) -> None:
        row = component(manifest, "conf")
        row.update(snapshot=snapshot, fingerprint=None)
        row["facts"].update(paths=[str(victim)])

    point = sound(site)
    forge(site, point, elsewhere)
    site.drd("catalogue", "rebuild", "shop")
    words = (
        "recover",
        "shop",
        "--in-place",
        "--overwrite",
        "--point",
        FORGED,
        "--component",
        "conf",
    )
    shown = site.drd(*words, "--dry-run", code=1)
    assert f"writes     conf: {victim}" in shown.out
    assert "--accept-paths" in shown.err
    site.drd(*words, "--yes", code=1)
    assert (victim / "authorized_keys").read_text() == "mine\n"
    site.drd("drill", "shop", "--point", FORGED, code=None)
    assert (victim / "authorized_keys").read_text() == "mine\n"
    # The healthy twin: whoever has seen the paths may want them.
    site.drd(*words, "--accept-paths", "--yes", code=None)
    assert (victim / "authorized_keys").read_text() == "the attacker's\n"


def test_a_point_with_a_path_that_the_plan_has_left_is_drilled(site: Site) -> None:
    plan = site.base / "plans/shop.yaml"
    extra = site.base / "extra"
    extra.mkdir()
    (extra / "file").write_text("x")
    before = plan.read_text()
    plan.write_text(before.replace(f"[{site.base}/etc]", f"[{site.base}/etc, {extra}]"))
    site.drd("backup", "shop")
    plan.write_text(before)
    site.drd("drill", "shop", "--point", "latest")
    refused = site.drd("recover", "shop", "--target", "standby", "--yes", code=1)
    assert str(extra) in refused.err
    shown = site.drd("recover", "shop", "--target", "standby", "--dry-run", "--accept-paths")
    assert f"outside    conf: {extra} is not in the plan" in shown.out
    assert f"{site.base}/back/etc{extra}" in shown.out


def test_the_manifest_of_another_point_is_not_taken(site: Site) -> None:
    """A second manifest with the mark of a point that there is: neither a rebuild nor a recovery on
    a host that knows the point takes it."""
    point = sound(site)
    forge(site, point, lambda m: component(m, "db").update(snapshot="0" * 64), point=point)
    site.drd("catalogue", "rebuild", "shop", code=None)
    site.drd("drill", "shop", "--point", point)
    site.drd("recover", "shop", "--target", "standby", "--yes")


FACTS: dict[str, Any] = {
    "filename": "db.dump", "server_major": 17, "pg_dump_major": 17, "server_version": "17.12",
    "pg_dump_version": "17.12", "database_bytes": 1, "database": "shop",
    "bootstrap_role": "postgres",
    "tablespace": "pg_default", "tablespaces": [], "roles": ["shop"],
    "extensions": {"plpgsql": "1.0"},
    "locale": {"encoding": "UTF8", "provider": "libc", "collate": "C", "ctype": "C", "locale": None,
               "icu_rules": None},
    "settings": {"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY"}, "compression": "none",
}  # fmt: skip
DATABASE: dict[str, Any] = {
    **FACTS["locale"], "name": "shop", "owner": "shop", "tablespace": "pg_default",
    "connection_limit": -1, "is_template": False, "has_public": True, "comment": "",
    "extensions": {"plpgsql": "1.0"}, "acl": [["", "CONNECT", False, "shop"]],
    "settings": [["", "search_path=public"]],
}  # fmt: skip


def postgres(facts: dict[str, Any]) -> ComponentSnapshot:
    return ComponentSnapshot("db", "postgres", "captured", snapshot="0" * 64, facts=facts)


def test_settings_and_sql_of_a_database_are_those_that_drd_writes() -> None:
    require_written(postgres(FACTS), {"database": DATABASE})
    for facts in (
        {**FACTS, "settings": {"shared_preload_libraries": "/tmp/x"}},
        {**FACTS, "settings": {"TimeZone": "x\ny"}},
        {**FACTS, "filename": "../db.dump"},
        {**FACTS, "locale": {**FACTS["locale"], "provider": "libc TABLESPACE x"}},
    ):
        with pytest.raises(ValueError, match=r"^(a name in )?facts of db"):
            require_written(postgres(facts), {})
    for database in (
        {**DATABASE, "acl": [["", "CONNECT ON DATABASE x TO y; DROP TABLE z; --", False, "shop"]]},
        {**DATABASE, "connection_limit": "1; DROP DATABASE x"},
        {**DATABASE, "provider": "libc; x"},
        {**DATABASE, "extension_schemas": {"citext": ["ext"]}},
        {**DATABASE, "extension_schemas": {"citext": ["", "shop"]}},
    ):
        with pytest.raises(ValueError, match=r"^private of db"):
            require_written(postgres(FACTS), {"database": database})
