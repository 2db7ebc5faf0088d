"""Plan texts for the tests of configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.config.plan_file import LoadedPlan, load_plan
from drd.errors import ConfigError, Problem

EXAMPLES = Path(__file__).parent.parent / "plans"

GOOD = """\
plan: shop
objectives: {rpo: 1h, rto: 1h}
components:
  db:
    kind: postgres
    dsn: {credential: shop-dsn}
  store:
    kind: sqlite
    path: /srv/shop/shop.db
  etc:
    kind: files
    paths: [/etc/shop]
repositories:
  primary:
    url: s3:https://s3.example.com/bucket/shop
    password: {credential: shop-restic}
backup: {every: 10m}
retention: {daily: 7}
checks:
  - {name: rows, kind: rows, component: db}
  - {name: store, kind: rows, component: store}
  - {name: files, kind: files, component: etc}
drill: {every: 7d}
"""
"""A plan without a problem or a warning; one key a line."""


def write_plan(directory: Path, text: str | bytes, name: str = "shop.yaml") -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(directory: Path, text: str | bytes, name: str = "shop.yaml") -> LoadedPlan:
    return load_plan(write_plan(directory, text, name))


def problems(directory: Path, text: str | bytes) -> tuple[Problem, ...]:
    """The problems of a plan that has some."""
    with pytest.raises(ConfigError) as caught:
        load(directory, text)
    return caught.value.problems


def changed(old: str, new: str) -> str:
    """GOOD with one place changed."""
    assert GOOD.count(old) == 1, f"{old!r} stands {GOOD.count(old)} times"
    return GOOD.replace(old, new)
