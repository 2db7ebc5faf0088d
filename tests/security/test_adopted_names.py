"""Names that another tool lists may contain a secret of the plan: drd neither stores nor prints
it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.cli.main import main
from drd.model.adopted import copy_name
from tests.integration.test_adopted import Site

SECRET = "s3cretw0rd"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def drd(site: Site, *words: str) -> int:
    return main(["--config", str(site.base / "drd.yaml"), *words])


def stored(site: Site) -> bytes:
    """Return every byte of the state."""
    files = (p for p in (site.base / "state").rglob("*") if p.is_file())
    return b"".join(p.read_bytes() for p in files)


def test_the_name_of_a_copy_is_masked_in_the_catalogue_and_on_the_screen(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    base = site.base
    (base / "dumps/orders.db").rename(base / f"dumps/{SECRET}-1.db")
    (base / f"dumps/{SECRET}-2.db").touch()
    (base / "token").write_text(SECRET)
    (base / "token").chmod(0o600)
    (base / "plans/shop.yaml").write_text(
        "plan: shop\nobjectives: {rpo: 1d, rto: 1h}\ncomponents:\n"
        f"  orders: {{kind: sqlite, path: {base}/live.db}}\nrepositories:\n  theirs:\n"
        "    made_by: command\n    url: command:shop\n    command:\n"
        f"      list: [/usr/bin/find, {base}/dumps, -type, f, -printf, "
        '\'{"name": "%f", "time": %T@, "bytes": %s}\\n\']\n'
        f"      restore: [/bin/cat, '{base}/dumps/${{copy}}']\n"
        f"      env: {{TOKEN: {{file: {base}/token}}}}\n"
        "checks:\n  - {name: orders, kind: sql, component: orders, "
        'query: select count(*) from orders, expect: "== 3"}\n'
    )
    drd(site, "catalogue", "rebuild", "shop")
    assert drd(site, "drill", "shop") == 0
    (base / "dumps/later.db").write_bytes((base / f"dumps/{SECRET}-1.db").read_bytes())
    # None of these commands records the copy that came since: a doctor changes nothing.
    for words in (["points", "shop", "--json"], ["doctor", "shop"], ["status", "--json"]):
        drd(site, *words)
    (point,) = site.app.catalogue.points.of_plan("shop")
    assert copy_name(point) == "***-1.db"
    printed = capsys.readouterr()
    assert "***-2.db" in printed.out
    assert SECRET not in printed.out + printed.err
    assert SECRET.encode() not in stored(site)


def test_a_secret_in_the_target_of_a_link_is_masked_and_enters_no_new_plan(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    base = site.base
    (base / "password").write_text(SECRET)
    site.restic("key", "passwd", f"--new-password-file={base}/password")
    site.password = SECRET
    (base / f"dumps/{SECRET}").write_text("x")
    (base / "app/app.conf").rename(base / "app/moved")
    (base / f"of-{SECRET}").mkdir()
    (base / "app").rename(base / f"of-{SECRET}/app")
    (base / "app").symlink_to(base / f"of-{SECRET}/app")
    site.copy("app", "dumps", f"of-{SECRET}")
    site.plan()
    drd(site, "catalogue", "rebuild", "shop")
    drd(site, "points", "shop")
    (point,) = site.app.catalogue.points.of_plan("shop")
    (error,) = [c.error for c in point.components if c.error]
    assert f"is a symbolic link to {base}/of-***/app" in error
    words = ["--adopt", f"{base}/theirs", "--password-file", f"{base}/password"]
    assert drd(site, "plan", "new", "--name", "theirs", *words) == 0
    printed = capsys.readouterr()
    assert f"{base}/of-***" in printed.out
    text = (base / "plans/theirs.yaml").read_text()
    assert SECRET not in printed.out + printed.err + text
    assert SECRET.encode() not in stored(site)
