"""regluit: a restored copy of production came up for a test, and mailed real users. Here the
rehearsed service sends mail, asks for names, sends datagrams and opens the host's own socket as it
starts: each of it fails, the drill says so by name, and drd's own look at the service goes on
working."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site, make_sqlite
from tests.fence_support import PYTHON, fences

pytestmark = fences

_SERVICE = """
import http.server, os, socket, sqlite3, sys, threading
database, port, production, mail = sys.argv[1:]
def calls():
    socket.create_connection(("127.0.0.1", int(mail)), timeout=5).sendall(
        b"MAIL FROM:<shop@example.org>"
    )
def looks_up():
    socket.getaddrinfo("smtp.example.org", 25)
def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"metric", ("192.0.2.9", 8125))
def opens():
    socket.socket(socket.AF_UNIX).connect(production)
if mail != "0":
    for deed in (calls, looks_up, datagram, opens):
        try:
            deed()
        except OSError as error:
            print(deed.__name__, error, flush=True)
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with sqlite3.connect(database) as connection:
            connection.execute("create table if not exists visits (at text)")
            connection.execute("insert into visits values ('now')")
            count = connection.execute("select count(*) from orders").fetchone()[0]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{count} orders".encode())
http.server.HTTPServer(("0.0.0.0", int(port)), Shop).serve_forever()
"""

_PLAN = """
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
checks:
  - {{name: orders, kind: sql, component: db, query: "select count(*) from orders", expect: "> 0"}}
  - {{name: visited, kind: command, component: db, run: [{python}, -c, "{visit}"]}}
runbook:
  - {{name: data, restore: [db]}}
  - name: serve
    start:
      command: [{python}, {service}, "${{db}}", "${{port}}", {production}, "{mail}"]
      port: 8080
      ready: {{http: /, within: 30s}}
      as: shop
  - {{name: look, http: {{url: "${{shop}}/", contains: 1000 orders}}}}
  - {{name: checks, check: all}}
drill: {{every: 7d{reach}}}
"""

_VISIT = (
    "import sqlite3, os; assert sqlite3.connect(os.environ['DRD_PATH']).execute('select "
    "count(*) from visits').fetchone()[0]"
)


class Production:
    """A mail server and a database socket of this host, which count who comes."""

    def __init__(self, base: Path) -> None:
        self.path = base / "production.sock"
        self.mail = socket.create_server(("127.0.0.1", 0))
        self.local = socket.socket(socket.AF_UNIX)
        self.local.bind(str(self.path))
        self.local.listen()
        self.path.chmod(0o777)

    @property
    def port(self) -> int:
        return int(self.mail.getsockname()[1])

    def visitors(self) -> int:
        found = 0
        for listening in (self.mail, self.local):
            listening.setblocking(False)
            try:
                listening.accept()[0].close()
                found += 1
            except BlockingIOError:
                pass
        return found

    def close(self) -> None:
        self.mail.close()
        self.local.close()


@pytest.fixture
def production(short_tmp: Path) -> Iterator[Production]:
    made = Production(short_tmp)
    yield made
    made.close()


def drilled(base: Path, production: Production, *, mail: int, reach: str = "") -> dict[str, Any]:
    site = Site(base / "site")
    make_sqlite(site.base / "shop.db")
    service = base / "service.py"
    service.write_text(_SERVICE)
    site.plan(
        _PLAN.format(
            base=site.base, python=PYTHON, service=service, production=production.path, mail=mail,
            visit=_VISIT, reach=reach,
        )
    )  # fmt: skip
    site.drd("backup", "shop")
    told = site.drd("drill", "shop", "--json").json
    assert told["result"] == "passed", told
    readiness = site.drd("readiness", "shop", "--json", code=None).json
    site.assert_clean()
    return {**told, "readiness": readiness}


def words(told: dict[str, Any]) -> set[str]:
    return {f"{a['by']}: {a['what']} {a['to']}" for a in told["fence"]["tried"]}


def test_service_that_phones_home_is_refused_and_reported(
    short_tmp: Path, production: Production
) -> None:
    told = drilled(short_tmp, production, mail=production.port)
    assert production.visitors() == 0
    assert {
        f"serve: tcp 127.0.0.1:{production.port}",
        "serve: dns smtp.example.org",
        "serve: udp 192.0.2.9:8125",
        f"serve: socket {production.path.resolve()}",
    } <= words(told)
    assert "smtp.example.org" in str(told["readiness"])


def test_service_without_outside_connections_has_no_refusals(
    short_tmp: Path, production: Production
) -> None:
    told = drilled(short_tmp, production, mail=0)
    assert words(told) == set()
    assert "reach of the last drill" not in str(told["readiness"])


def test_declared_destinations_are_reached_and_recorded(
    short_tmp: Path, production: Production
) -> None:
    reach = f"127.0.0.1:{production.port}"
    told = drilled(short_tmp, production, mail=production.port, reach=f', reach: ["{reach}"]')
    assert production.visitors() == 1
    assert told["fence"]["reach"] == [reach]
    assert f"serve: tcp {reach}" not in words(told)
