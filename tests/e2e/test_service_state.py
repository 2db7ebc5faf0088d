"""Root's journeys on a host where the service is installed: the state is the service user's.

In the other tests root's state is root's, so that nothing separates their rights. Here each command
must leave no file of root's in the state, and nothing but its records in root's own place.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from drd.process.private import root_place
from tests.e2e.kit_site import Machine
from tests.e2e.site import Result, Site, make_sqlite, small_site
from tests.e2e.test_in_place import orders
from tests.user_support import as_root

pytestmark = as_root

OWNER = pwd.getpwnam("games")
IN_PLACE = ("recover", "shop", "--in-place", "--overwrite", "--yes", "--json")


class ServiceSite(Site):
    """A site whose state is the service user's from the first command on."""

    def drd(self, *words: str, code: int | None = 0, timeout: float = 120) -> Result:
        done = super().drd(*words, code=code, timeout=timeout)
        assert roots_files(*(self.base / n for n in ("state", "work", "cache", "repo"))) == []
        own = root_place(self.base / "work")
        left = {p.name for p in own.iterdir()} if own.exists() else set()
        assert left <= {"ledger", "kept", "templates"}, words
        return done


def given(site: Site) -> ServiceSite:
    for name in ("state", "work", "cache", "repo"):
        own(site.base / name)
    return ServiceSite(site.base, site.repository, site.environment)


def own(place: Path) -> None:
    place.chmod(0o700)
    for path in (place, *place.rglob("*")):
        os.lchown(path, OWNER.pw_uid, OWNER.pw_gid)


def roots_files(*places: Path) -> list[str]:
    return [str(p) for one in places for p in (one, *one.rglob("*")) if p.lstat().st_uid == 0]


@pytest.fixture
def site(short_tmp: Path) -> ServiceSite:
    return given(small_site(short_tmp))


def test_root_brings_everything_back_in_place_and_undoes_it(site: ServiceSite) -> None:
    site.drd("backup", "shop")
    assert site.drd("drill", "shop", "--json").json["result"] == "passed"
    database, tree = site.base / "shop.db", site.base / "etc"
    as_backed_up = tree.with_name("as-backed-up")
    shutil.copytree(tree, as_backed_up, symlinks=True)
    (tree / "app.conf").write_text("listen 6666;\n")
    make_sqlite(database, rows=500)
    run = site.drd(*IN_PLACE).json["run"]
    compare = ["diff", "-r", "--no-dereference", as_backed_up, tree]
    subprocess.run(compare, check=True)
    assert orders(database) == 1000
    site.drd("undo", run, "--yes")
    assert (tree / "app.conf").read_text() == "listen 6666;\n"
    assert orders(database) == 1500
    site.drd("undo", run, "--redo", "--yes")
    site.drd("done", run, "--yes")
    subprocess.run(compare, check=True)
    assert orders(database) == 1000
    assert list(site.base.glob("*drd_*")) == []
    site.assert_clean()


def test_roots_kit_brings_the_plan_back_for_the_service_of_another_host(
    site: ServiceSite, short_tmp: Path
) -> None:
    site.drd("backup", "shop")
    phrase, kits = site.base / "secrets/phrase", site.base / "kits"
    phrase.write_text("a long passphrase for a kit")
    phrase.chmod(0o600)
    kits.mkdir(mode=0o700)
    key = ("--passphrase-file", str(phrase))
    site.drd("kit", "export", "shop", "--to", str(kits / "kit"), *key)
    site.drd("kit", "verify", str(kits / "kit"), *key)
    host = Machine(short_tmp / "host")
    there = host.root / str(site.base).lstrip("/")
    there.mkdir(parents=True)
    places = [there / name for name in ("state", "work", "cache")]
    for place in places:
        place.mkdir()
        own(place)
    host.drd("bootstrap", "--kit", str(kits / "kit"), *key, "--root", str(host.root))
    host.after("recover", "shop", "--target", "standby", "--yes")
    assert orders(site.base / "back/shop.db") == 1000
    assert roots_files(*places) == []
