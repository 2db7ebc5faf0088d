"""A host that was made from a recovery kit trusts the kit's list of restore points, not the
repository in which somebody else may write. A point whose manifest is another than the kit lists is
refused; one that came after the kit is shown with what it says otherwise, and taken only after a
confirmation of its own."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from drd.kit.archive import pack, unpack
from drd.kit.sealing import Lock, read_kit, seal, unseal
from drd.model.kit import Key
from tests.e2e.kit_site import Machine
from tests.e2e.prepared import prepared
from tests.e2e.site import Site, small_site
from tests.security.forging import (
    FORGED,
    component,
    forge,
    manifest_of,
    own_state,
    own_tar,
    store,
    store_own,
)


def with_kit(base: Path) -> Site:
    site = small_site(base)
    site.secret("identity", str(pyrage.x25519.Identity.generate()))
    site.drd("backup", "shop")
    export(site)
    return site


@pytest.fixture
def site() -> Iterator[Site]:
    with prepared(with_kit) as made:
        yield made


@pytest.fixture
def machine(short_tmp: Path) -> Machine:
    return Machine(short_tmp / "root")


def export(site: Site) -> None:
    identity = pyrage.x25519.Identity.from_str((site.base / "secrets/identity").read_text())
    recipient = ("--recipient", str(identity.to_public()))
    site.drd("kit", "export", "shop", "--to", f"{site.base}/k", *recipient)


def bootstrap(site: Site, machine: Machine, *, code: int = 0) -> str:
    told = machine.drd(
        "bootstrap", "--kit", f"{site.base}/k", "--identity", f"{site.base}/secrets/identity",
        "--root", str(machine.root), code=code,
    )  # fmt: skip
    return told.out + told.err


RECOVER = ("recover", "shop", "--target", "standby")


def test_points_of_the_kit_need_no_confirmation(site: Site, machine: Machine) -> None:
    told = bootstrap(site, machine)
    assert "made after the kit" not in told
    machine.after(*RECOVER, "--yes")


def test_a_point_of_the_kit_with_another_manifest_is_refused(site: Site, machine: Machine) -> None:
    """The true manifest is gone, and one of the same mark has its place."""
    (point,) = (p["point"] for p in site.points())
    known = manifest_of(site, point)
    component(known, "db")["facts"]["path"] = "/another"
    true = site.restic("snapshots", "--json", "--tag", f"run:{point},manifest")
    site.restic("forget", json.loads(true)[0]["id"])
    store(site, json.dumps(known).encode(), point)
    told = bootstrap(site, machine)
    assert (
        f"the manifest of restore point {point} in primary is not the manifest that drd stored"
        in told
    )
    refused = machine.after(*RECOVER, "--yes", "--accept-after-kit", code=None)
    assert refused.code in (1, 13)
    assert not (site.base / "back/shop.db").exists()


def test_a_point_after_the_kit_wants_a_confirmation_of_its_own(
    site: Site, machine: Machine
) -> None:
    (old,) = (p["point"] for p in site.points())

    def forged(manifest: dict[str, Any]) -> None:
        paths = manifest["resolved_plan"]["components"]["conf"]["paths"]
        paths.append("/root/.ssh")
        manifest["resolved_plan"]["checks"][0]["query"] = "select evil()"
        manifest["resolved_plan"]["components"]["db"]["before"] = {"command": ["sh", "-c", "evil"]}

    forge(site, old, forged)
    told = bootstrap(site, machine)
    assert "1 of them made after the kit" in told
    shown = {p["point"]: p for p in machine.after("points", "shop", "--json").json["points"]}
    assert shown[FORGED]["after_kit"]
    assert not shown[old]["after_kit"]
    newest = ("--point", FORGED)
    plain = machine.after(*RECOVER, *newest, "--dry-run").out
    assert "made after the kit" in plain
    assert "/root/.ssh" in plain
    assert "select evil()" in plain
    assert re.search(r"programs of this restore point differ from the kit: .*evil", plain)
    document = machine.after(*RECOVER, *newest, "--dry-run", "--json").json["after_kit"]
    assert document["differs"]["SQL"]
    refused = machine.after(*RECOVER, *newest, "--yes", code=2)
    assert "--accept-after-kit" in refused.err
    machine.after(*RECOVER, *newest, "--yes", "--accept-after-kit")
    # The kit's own is taken as ever.
    machine.after(*RECOVER, "--point", old, "--overwrite", "--yes")


@pytest.mark.parametrize("triggers", [True, False])
def test_a_replica_out_of_the_repository_adds_nothing_to_the_kits_list(
    site: Site, machine: Machine, tmp_path: Path, triggers: bool
) -> None:
    """Its triggers would, when the kit's list is recorded."""
    (old,) = (p["point"] for p in site.points())
    manifest = forge(site, old, lambda _: None)
    known = hashlib.sha256(json.dumps(manifest_of(site, FORGED)).encode()).hexdigest()
    replica = tmp_path / "drd.db"
    with tarfile.open(fileobj=io.BytesIO(own_state(site))) as tar:
        content = tar.extractfile("./drd.db")
        assert content is not None
        replica.write_bytes(content.read())
    seal = f"values ('shop', '{FORGED}', '{known}', '{{\"primary\": \"{manifest}\"}}', '{{}}')"
    with sqlite3.connect(replica) as connection:
        connection.execute(f"insert into seals {seal}")
        if triggers:
            connection.execute(
                "create trigger evil after insert on kit_bases begin insert or replace into seals "
                f"{seal}; end"
            )
    store_own(site, own_tar(lambda tar: tar.add(replica, "./drd.db")))
    assert "1 of them made after the kit" in bootstrap(site, machine)
    refused = machine.after(*RECOVER, "--point", FORGED, "--yes", code=2)
    assert "--accept-after-kit" in refused.err
    machine.after(*RECOVER, "--point", old, "--yes")


def test_points_that_this_host_has_made_itself_are_not_marked_as_after_the_kit(
    site: Site, machine: Machine
) -> None:
    bootstrap(site, machine)
    machine.after("backup", "shop")
    points = machine.after("points", "shop", "--json").json["points"]
    assert [p["after_kit"] for p in points] == [False, False]
    machine.after(*RECOVER, "--yes")


def test_a_kit_without_a_list_says_so(site: Site, machine: Machine) -> None:
    """One of before: made here by taking the list out of it."""
    secret = (site.base / "secrets/identity").read_text()
    recipient = str(pyrage.x25519.Identity.from_str(secret).to_public())
    file = site.base / "k"
    kit = unpack(unseal(read_kit(file), Key(identity=secret.encode()), name="k"), name="k")
    index = replace(kit.index, plans=tuple(replace(p, seals=None) for p in kit.index.plans))
    lock = Lock(recipients=(recipient,))
    file.write_bytes(seal(pack(index, kit.files), lock, made_at=kit.index.made_at, plans=["shop"]))
    told = bootstrap(site, machine)
    assert "made this kit, without a list of restore points" in told
    refused = machine.after(*RECOVER, "--yes", code=2)
    assert "--accept-after-kit" in refused.err
    machine.after(*RECOVER, "--yes", "--accept-after-kit")


def test_a_bootstrap_has_succeeded_when_the_kits_files_are_there(
    site: Site, machine: Machine
) -> None:
    for file in (Path(site.repository) / "keys").iterdir():
        file.unlink()
    told = bootstrap(site, machine)
    assert "drd wrote the files, but did not find a complete restore point" in told
    assert (machine.config.parent / "plans/shop.yaml").is_file()
