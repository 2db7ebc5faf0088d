"""A Valkey server by the command line: backup, drill, loss, recovery in place, undo."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.site import Site
from tests.servers.redis import RedisServer, fill

PLAN = """
components:
  sessions: {{kind: valkey, url: {url}, dir: {directory}}}
checks:
  - {{name: keys, kind: rows, component: sessions}}
  - {{name: the queue, kind: sql, component: sessions, query: "-n 3 XLEN stream", expect: ">= 2"}}
"""


def test_a_server_comes_back_in_place_as_it_was(short_tmp: Path) -> None:
    server = RedisServer(short_tmp / "live", "valkey", "--appendonly", "yes")
    try:
        fill(server)
        site = Site(short_tmp / "site")
        site.plan(PLAN.format(url=server.url, directory=server.directory))
        site.drd("backup", "shop")
        drilled = site.drd("drill", "shop").out
        assert "0 differ" in drilled
        assert "passed: recovered in" in drilled
        listed = site.drd("points", "shop").out
        assert "complete" in listed
        point = listed.splitlines()[1].split()[0]
        server.ask("FLUSHALL")
        server.ask("SET", "later", "1")
        shown = site.drd("diff", "shop", "--component", "sessions", "--point", point, code=None)
        assert "db0 string" in shown.out
        assert "fingerprint: digest" not in shown.out
        running = site.drd("recover", "shop", "--in-place", "--overwrite", "--yes", code=1)
        assert "valkey-server (process" in running.err
        server.stop()
        told = site.drd("recover", "shop", "--in-place", "--overwrite", "--yes", code=5)
        run = told.out.split("drd undo ")[1].split()[0]
        server.start()
        assert server.ask("EXISTS", "later") == 0
        assert server.ask("DBSIZE") == 345
        server.stop()
        site.drd("undo", run, "--yes")
        server.start()
        assert (server.ask("EXISTS", "later"), server.ask("DBSIZE")) == (1, 1)
        site.assert_clean()
    finally:
        server.kill()
