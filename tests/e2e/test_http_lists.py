"""A list that lost its items is no backup: a recovery would delete them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.servers.scripted import Scripted

PLAN = """
components:
  gateway:
    kind: http
    url: {url}
    documents:
      - get: /services
        save_as: service-{{id}}
        put_back: {{update: "PUT /services/{{id}}", delete: "DELETE /services/{{id}}"}}
      - get: /consumers
        save_as: consumer-{{id}}
        may_be_empty: true
        put_back: {{update: "PUT /consumers/{{id}}", delete: "DELETE /consumers/{{id}}"}}
checks:
  - {{name: documents as at backup, kind: documents, component: gateway}}
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    server = Scripted({"/services": [{"id": n} for n in range(30)], "/consumers": [{"id": 1}]})
    yield server
    server.close()


def test_a_list_that_lost_its_items_needs_a_decision(server: Scripted, short_tmp: Path) -> None:
    site = Site(short_tmp / "s")
    site.plan(PLAN.format(url=server.url))
    site.drd("backup", "shop")
    for lists, says in (
        ({"/consumers": []}, "list consumer-{id} of component gateway shrank from 1 to 0 entries"),
        (
            {"/services": [{"id": 1}]},
            "list service-{id} of component gateway shrank from 30 to 1 entry",
        ),
    ):
        before = dict(server.answers)
        server.answers |= lists
        refused = site.drd("backup", "shop", code=1)
        assert says in refused.err + refused.out
        assert "drd backup shop --accept-size" in refused.err + refused.out
        server.answers = before
    server.answers["/consumers"] = []
    site.drd("backup", "shop", "--accept-size")
    site.drd("backup", "shop")
    assert "passed: recovered" in site.drd("drill", "shop").out
