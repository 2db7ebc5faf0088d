"""Sites with restore points of the past, and what is left of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.site import Site

DAY = timedelta(days=1)


def policy(site: Site, words: str, *, rpo: str = "15m") -> None:
    """Put rules of retention into the plan, in the place of those that it had."""
    file = site.base / "plans/shop.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("retention:")]
    text = "\n".join([*lines, f"retention: {words}", ""])
    file.write_text(text.replace("rpo: 15m", f"rpo: {rpo}"))


def backup(site: Site) -> str:
    return str(site.drd("backup", "shop", "--json").json["point"])


def age(site: Site, point: str, days: float) -> None:
    """Let a point be of so many days ago, by what the catalogue says: data time and arrival."""
    at = (datetime.now(UTC) - days * DAY).isoformat(timespec="microseconds")
    with sqlite3.connect(site.base / "state/drd.db", timeout=30) as connection:
        connection.execute(
            "update points set data_time = ?, available_at = ? where id = ?", (at, at, point)
        )
        connection.execute(
            "update component_snapshots set data_time = ?, available_at = ? where point = ?",
            (at, at, point),
        )


def past(site: Site, days: Sequence[float]) -> list[str]:
    """Points of so many days ago, in this order; made now, by real backups."""
    made = [backup(site) for _ in days]
    for point, ago in zip(made, days, strict=True):
        age(site, point, ago)
    return made


def retention(site: Site, *words: str, code: int = 0) -> Any:
    return site.drd("retention", "shop", "--json", *words, code=code).json


def codes(told: Any) -> list[str]:
    return [pause["code"] for pause in told["pauses"]]


def kept(site: Site) -> set[str]:
    """Points whose manifests are in the repository."""
    listed = json.loads(site.restic("snapshots", "--json"))
    return {
        tag.removeprefix("run:")
        for s in listed
        if "manifest" in s["tags"]
        for tag in s["tags"]
        if tag.startswith("run:")
    }


def snapshots_of(site: Site, point: str) -> list[str]:
    listed = json.loads(site.restic("snapshots", "--json", "--tag", f"run:{point}"))
    return [s["id"] for s in listed if "component:drd" not in s["tags"]]
