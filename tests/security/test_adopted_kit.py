"""Attack: copies that are stored after the recovery kit was made. Another tool makes them, so only
the repository knows them, also on a host that was made from the kit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from drd.cli.main import main
from tests.integration.test_adopted import Site

Output = pytest.CaptureFixture[str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


class Machine:
    """A host that is made from the kit of the site."""

    def __init__(self, site: Site, capsys: Output) -> None:
        self.base = site.base
        self.capsys = capsys
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        (site.base / "identity").write_text(str(identity))
        (site.base / "identity").chmod(0o600)
        self.config = site.base / "drd.yaml"
        self.drd("catalogue", "rebuild", "shop")
        self.export("kit")

    def drd(self, *words: str, code: int = 0) -> str:
        self.capsys.readouterr()
        assert main(["--config", str(self.config), *words]) == code
        printed = self.capsys.readouterr()
        return " ".join((printed.out + printed.err).split())

    def export(self, name: str) -> str:
        words = ["kit", "export", "shop", "--to", str(self.base / name)]
        return self.drd(*words, "--recipient", self.recipient)

    def bootstrap(self) -> str:
        root = self.base / "new"
        root.mkdir()
        words = ["bootstrap", "--kit", str(self.base / "kit"), "--root", str(root)]
        said = self.drd(*words, "--identity", str(self.base / "identity"))
        self.config = Path(f"{root}{self.config}")
        return said

    def recover(self, *words: str, code: int = 0) -> str:
        where = ("--target", "standby", "--overwrite", "--yes")
        return self.drd("recover", "shop", *where, *words, code=code)


def plan(site: Site) -> None:
    back = site.base / "back"
    site.plan(
        more=f"targets: {{standby: {{conf: {{path: {back}}}, orders: {{path: {back}.db}}}}}}\n"
    )


def test_copies_that_the_kit_does_not_list_want_a_confirmation_whenever_they_were_stored(
    site: Site, capsys: Output
) -> None:
    listed = site.copy()
    plan(site)
    machine = Machine(site, capsys)
    site.copy()
    said = machine.bootstrap()
    assert "(1 of them made after the kit)" in said
    assert "Then run the same command without --dry-run. The newest restore point was made" in said
    assert "--accept-after-kit" in machine.recover(code=2)
    machine.recover("--accept-after-kit")
    site.dump(7)
    site.copy()  # after the new host was made
    machine.drd("drill", "shop")
    assert "was made after the recovery kit" in machine.recover(code=2)
    points = machine.drd("points", "shop")
    assert points.count("made after the kit") == 2
    (ours,) = [w for w in points.split() if w.startswith("restic-") and _is_of(site, w, listed)]
    machine.recover("--point", ours)
    said = machine.export("kit-of-new-host")
    assert "this kit lists 2 restore points of shop that the former kit did not list" in said
    machine.recover()
    assert "made after the kit" not in machine.drd("points", "shop")


def test_a_kit_that_lists_the_newest_copy_leads_straight_to_its_recovery(
    site: Site, capsys: Output
) -> None:
    site.copy()
    plan(site)
    machine = Machine(site, capsys)
    said = machine.bootstrap()
    assert "recover shop --target standby --dry-run" in said
    assert "made after the kit" not in said
    machine.recover()


def test_a_copy_that_a_drill_could_not_restore_before_the_kit_is_left_out_after_a_bootstrap(
    site: Site, capsys: Output
) -> None:
    site.copy()
    plan(site)
    dump = site.base / "dumps/orders.db"
    whole_file = dump.read_bytes()
    damaged = whole_file[:100] + b"no database\x1b[31m" * len(whole_file)  # only its head is whole
    dump.write_bytes(damaged[: len(whole_file)])
    site.copy()
    machine = Machine(site, capsys)
    cut, whole = (p.id for p in site.app.catalogue.points.of_plan("shop"))
    machine.drd("drill", "shop", code=4)
    machine.export("kit")
    words = ("kit", "verify", f"{site.base}/kit", "--identity", f"{site.base}/identity")
    said = machine.drd(*words)
    assert f"its newest restore point is {whole} " in said
    assert f"drd leaves out restore point {cut}: the drill of " in said
    said = machine.bootstrap()
    assert f"newest {whole} " in said
    assert f"shop: drd leaves out restore point {cut} (copy " in said
    assert "last drill before the loss of the host: failed " in said
    said = machine.recover("--dry-run")
    assert f"drd leaves out restore point {cut} (copy " in said
    assert whole in said
    (run,) = re.findall(r"\(drd run show (\w+)\)", said)
    assert "orders can be restored" in machine.drd("evidence", "show", run)
    assert "drill" in machine.drd("run", "show", run)


def _is_of(site: Site, point: str, copy: str) -> bool:
    known = site.app.catalogue.points.of_plan("shop")
    return any(p.id == point and p.components[0].facts["copy"] == copy for p in known)
