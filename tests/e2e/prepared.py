"""Sites that many tests begin with, made once by each worker and copied for every further test.

A plan, a catalogue and restore points name their places in full, so a copy is put where the site
was made: each kind of site has one place in each worker. A site is made anew before its restore
points get old: the plans of the tests have an RPO of a quarter of an hour.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.site import Site, small_site

Make = Callable[[Path], Site]

_LASTS_S = 180.0


@dataclass
class _Made:
    site: Site
    copy: Path
    at: float


_made: dict[Make, _Made] = {}


@contextmanager
def prepared(make: Make) -> Iterator[Site]:
    """A site as `make` leaves it, for one test."""
    run = Path(os.environ["DRD_TEST_RUN"])
    place = run / f"site-{os.getpid()}-{make.__name__}"
    known = _made.get(make)
    try:
        if known is None or time.monotonic() - known.at > _LASTS_S:
            place.mkdir()
            place.chmod(0o755)
            known = _made[make] = _Made(make(place), Path(f"{place}.made"), time.monotonic())
            shutil.rmtree(known.copy, ignore_errors=True)
            _copy(place, known.copy)
        else:
            _copy(known.copy, place)
            _claim(place / "state/drd.db")
        yield deepcopy(known.site)
    finally:
        shutil.rmtree(place)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--", source, target], check=True)


def _claim(catalogue: Path) -> None:
    """Let drd take a copied catalogue for the file that it made, which it knows by its inode."""
    with closing(sqlite3.connect(catalogue)) as connection:
        connection.execute("delete from daemon_state where key = 'custody'")
        connection.commit()


def backed_up(base: Path) -> Site:
    """The small site and one backup of it."""
    site = small_site(base)
    site.drd("backup", "shop")
    return site
