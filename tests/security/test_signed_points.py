"""Whoever has a repository's password can write restore points, but cannot sign them. drd chooses
none by itself that it cannot tell from its own, and says of each whose it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest

from drd.model.manifest_signature import signed_manifest
from drd.model.records import moment
from drd.signing import Signer, new_key
from tests.e2e.kit_site import Machine
from tests.e2e.site import Site, small_site
from tests.security.forging import FORGED, forge, manifest_of, store

RECOVER = ("recover", "shop", "--target", "standby")


@pytest.fixture
def site(short_tmp: Path) -> Site:
    site = small_site(short_tmp)
    with (site.base / "drd.yaml").open("a") as file:
        file.write(f"records: {{key: {{file: {site.base}/secrets/records}}}}\nregimes: own\n")
    (site.base / "own").mkdir()
    (site.base / "own/acme.yaml").write_text("id: acme\nextends: contract\n")
    return site


def states(run: Any) -> dict[str, str | None]:
    return {p["point"]: p["signature"] for p in run("points", "shop", "--json").json["points"]}


def without_signature(manifest: dict[str, Any]) -> None:
    manifest.pop("signature", None)


def test_a_forger_with_the_password_is_told_from_drd(site: Site, short_tmp: Path) -> None:
    site.drd("backup", "shop")
    (old,) = (p["point"] for p in site.points())
    assert states(site.drd) == {old: None}  # nothing is signed without a key
    site.drd("records", "init")
    assert "unsigned" in site.drd("points", "shop").out
    site.drd("backup", "shop")
    [true] = (p["point"] for p in site.points() if p["point"] != old)
    assert states(site.drd) == {true: "signed", old: "unsigned"}
    drilled = site.drd("drill", "shop")
    assert "signature  drd has signed the restore point" in drilled.out

    forge(site, true, without_signature)
    site.drd("catalogue", "rebuild", "shop")
    assert states(site.drd)[FORGED] == "unsigned"
    told = site.drd(*RECOVER, "--dry-run")
    assert f"drd leaves out restore point {FORGED}: it has no signature, although drd" in told.err
    assert true in told.out
    shown = site.drd("points", "shop").out
    assert f"drd does not choose {FORGED} by itself" in shown
    named = site.drd(*RECOVER, "--point", FORGED, "--dry-run")
    assert "its manifest is not signed" in named.err + named.out

    identity = pyrage.x25519.Identity.generate()
    site.secret("identity", str(identity))
    site.drd("kit", "export", "shop", "--to", f"{site.base}/k", "--recipient",
             str(identity.to_public()))  # fmt: skip
    _by_his_own_key(site, true)
    _with_a_signature_of_another_point(site, true)
    former = Signer((site.base / "secrets/records").read_text(), "the former key")
    site.drd("records", "rotate")
    site.drd("backup", "shop")
    [later] = {p["point"] for p in site.points()} - {old, true, FORGED}

    machine = Machine(short_tmp / "root")
    machine.drd("bootstrap", "--kit", f"{site.base}/k", "--identity",
                f"{site.base}/secrets/identity", "--root", str(machine.root))  # fmt: skip
    assert "acme" in (machine.config.parent / "regimes/acme.yaml").read_text()
    assert "regimes: regimes" in machine.config.read_text()
    told = machine.after(*RECOVER, "--dry-run")
    assert "drd leaves out" not in told.err
    shown = machine.after(*RECOVER, "--point", OWN_KEY, "--dry-run")
    assert "which is not one of drd's keys" in shown.err
    assert later in told.out
    assert "made after the kit" not in told.out
    found = states(machine.after)
    assert found[later] == "signed"
    assert found[OWN_KEY] == "unknown key"
    assert found[OTHERS] == "wrong signature"

    _by_his_own_key(site, true, former, REPLACED)
    site.drd("catalogue", "rebuild", "shop")
    assert states(site.drd) | {true: "signed", REPLACED: "replaced key"} == states(site.drd)
    told = site.drd(*RECOVER, "--dry-run")
    assert "which another key had replaced before" in told.err
    assert later in told.out


OWN_KEY, OTHERS, REPLACED = "0b0b0b0b", "0c0c0c0c", "0d0d0d0d"


def _now(manifest: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    change(manifest)
    manifest["data_time"] = moment(datetime.now(UTC))


def _by_his_own_key(
    site: Site, like: str, forger: Signer | None = None, point: str = OWN_KEY
) -> None:
    is_drds = forger is not None
    forger = forger or Signer(new_key(), "the forger's")
    unsigned = forge(
        site,
        like,
        (lambda m: _now(m, without_signature)) if is_drds else without_signature,
        point=point,
    )
    data = json.dumps(manifest_of(site, point), indent=1, sort_keys=True).encode()
    site.restic("forget", unsigned)
    store(site, signed_manifest(data, "shop", point, forger.public.id, forger.sign), point)


def _with_a_signature_of_another_point(site: Site, like: str) -> None:
    forge(site, like, lambda _: None, point=OTHERS)
