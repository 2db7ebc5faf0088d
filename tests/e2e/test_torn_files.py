"""A log that was truncated and written again while restic 0.18 read it made the drill of its
component fail, and its recovery be refused, as damage of the repository. What is stored of it comes
back."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.copies import flip_a_byte
from tests.e2e.site import Site, one_tree, small_site

RESTIC = """#!{python}
# restic, which notes more of a file than it stores: the file changes while it is read.
import os, subprocess, sys
sys.path.insert(0, {root!r})
words, real = sys.argv[1:], {real!r}
if "backup" not in words or "--stdin" in words or not os.path.exists({hot!r}):
    os.execv(real, ["restic", *words])
done = subprocess.run([real, *words], stdout=subprocess.PIPE)
with open({hot!r}, "ab") as hot:
    hot.write(b"more")
from tests.torn_support import retold
sys.stdout.buffer.write(retold(done.stdout, {hot!r}, {more}, real))
sys.exit(done.returncode)
"""


def site_with(base: Path, hot: bytes, *, more: int) -> Site:
    """`etc` has a file of which `more` bytes are noted than are stored, if that is not 0."""
    site = small_site(base)
    site.plan(one_tree(base / "etc", base / "back/etc"))
    (base / "etc/steady").write_bytes(os.urandom(200_000))
    (base / "etc/hot").write_bytes(hot)
    real = next(p for d in os.environ["PATH"].split(":") if (p := Path(d, "restic")).exists())
    (base / "bin").mkdir()
    text = RESTIC.format(
        python=sys.executable,
        root=str(Path(__file__).parents[2]),
        real=str(real),
        hot=str(base / "etc/hot"),
        more=more,
    )
    if more:
        (base / "bin/restic").write_text(text)
        (base / "bin/restic").chmod(0o755)
    site.environment["PATH"] = f"{base}/bin:{os.environ['PATH']}"
    return site


@pytest.mark.parametrize("more", [500, 0])
def test_small_file_that_changed_is_named_and_the_rest_is_proven(
    short_tmp: Path, more: int
) -> None:
    stored = b"a line\n" * 300
    site = site_with(short_tmp, stored, more=more)
    site.drd("backup", "shop")
    changed = f"{short_tmp}/etc/hot changed while it was backed up, so its copy is incomplete"
    noted = f"{changed} (2,100 of 2,600 bytes are stored)"
    drill = site.drd("drill", "shop").out
    assert (noted in drill) == bool(more)
    assert ("changed during the capture" in drill) == bool(more)
    back = site.drd("recover", "shop", "--target", "standby", "--yes").out
    assert (noted in back) == bool(more)
    assert ("use another restore point if the file matters" in back) == bool(more)
    assert (short_tmp / f"back/etc{short_tmp}/etc/hot").read_bytes() == stored
    site.assert_clean()


def test_mostly_torn_files_are_restored_but_not_compared(
    short_tmp: Path,
) -> None:
    stored = os.urandom(300_000)
    site = site_with(short_tmp, stored, more=400_000)
    site.drd("backup", "shop")
    drill = site.drd("drill", "shop", "--json", code=5).json
    assert drill["result"] == "inconclusive", drill
    assert "the stored files may be inconsistent" in str(drill["checks"])
    site.drd("recover", "shop", "--target", "standby", "--yes", code=None)
    assert (short_tmp / f"back/etc{short_tmp}/etc/hot").read_bytes() == stored
    one = ("--path", f"{short_tmp}/etc/hot", "--into", f"{short_tmp}/one", "--in-place", "--yes")
    told = site.drd("recover", "shop", "--component", "conf", *one, code=None)
    assert "300,000 of 700,000 bytes" in told.out
    assert (short_tmp / "one/hot").read_bytes() == stored


def test_damage_beside_a_torn_file_is_found(short_tmp: Path) -> None:
    site = site_with(short_tmp, b"a line\n" * 300, more=500)
    site.drd("backup", "shop")
    flip_a_byte(Path(site.repository))
    drill = site.drd("drill", "shop", code=4)
    assert "steady" in drill.out + drill.err
    site.drd("recover", "shop", "--target", "standby", "--yes", code=1)
    assert not (short_tmp / f"back/etc{short_tmp}").exists()
