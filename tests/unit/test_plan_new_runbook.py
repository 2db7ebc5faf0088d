"""The runbook that `drd plan new` writes stops what must not run while a recovery replaces data."""

from __future__ import annotations

import yaml

from drd.config.starter import FoundComponents, starter
from drd.kinds.redis.discovery import _wish as wish_of_redis
from drd.kinds.sqlite.discovery import _wish as wish_of_sqlite
from drd.registry import KINDS

REDIS, SQLITE = KINDS["redis"], KINDS["sqlite"]
URL = "redis://127.0.0.1:6379"


def _steps(found: FoundComponents) -> list[tuple[str, str]]:
    runbook = yaml.safe_load(starter("shop", found, "/srv/repository").text).get("runbook", [])
    verbs = ("stop", "start")
    return [(verb, step[verb]["unit"]) for step in runbook for verb in verbs if verb in step]


def test_a_server_whose_data_is_replaced_stops_after_its_clients_and_starts_before_them() -> None:
    redis = wish_of_redis("redis", URL, "/var/lib/redis", "redis-server.service")
    queue = wish_of_sqlite("/srv/queue.db")._replace(units=("queue.service",))
    assert _steps(FoundComponents([(REDIS, redis), (SQLITE, queue)])) == [
        ("stop", "queue.service"),
        ("stop", "redis-server.service"),
        ("start", "redis-server.service"),
        ("start", "queue.service"),
    ]
    assert _steps(FoundComponents([(REDIS, redis)])) == [
        ("stop", "redis-server.service"),
        ("start", "redis-server.service"),
    ]


def test_a_server_that_no_recovery_in_place_replaces_is_left_alone() -> None:
    elsewhere = wish_of_redis("redis", URL, "", "redis-server.service")
    assert _steps(FoundComponents([(REDIS, elsewhere)])) == []
