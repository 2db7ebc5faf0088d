"""Servers on loopback that really enforce: HAProxy with its runtime API, nginx with files of maps,
and an OAuth server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.child import free_ports

HAPROXY = """
global
  stats socket ipv4@127.0.0.1:{admin} level admin
  maxconn 50
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend api
  bind 127.0.0.1:{port}
  http-request set-var(txn.client) req.hdr(x-key),map({maps}/keys.map)
  http-request deny deny_status 401 unless {{ var(txn.client) -m found }}
  http-request deny deny_status 403 if {{ path,map_beg({maps}/routes.map,allow) -m str deny }}
  http-request track-sc0 var(txn.client) table clients
  http-request set-var(txn.limit) var(txn.client),map_str_int({maps}/limits.map,1000)
  http-request deny deny_status 429 if {{ sc_http_req_cnt(0),sub(txn.limit) gt 0 }}
  http-request return status 200 content-type text/plain string orders
backend clients
  stick-table type string len 64 size 100 expire 10m store http_req_cnt
"""

NGINX = """
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path t1;
  proxy_temp_path t2;
  fastcgi_temp_path t3;
  uwsgi_temp_path t4;
  scgi_temp_path t5;
  map $http_x_key $known {{ include keys.map; }}
  map $http_x_key $limited {{ include limited.map; }}
  map $uri $blocked {{ include blocked.map; }}
  limit_req_zone $limited zone=low:1m rate=1r/m;
  limit_req_status 429;
  server {{
    listen 127.0.0.1:{port};
    root www;
    if ($known = "") {{ return 401; }}
    if ($blocked) {{ return 403; }}
    location / {{ limit_req zone=low; }}
  }}
}}
"""


def status(url: str, headers: Mapping[str, str] | None = None) -> int:
    """What a client gets; 0 if nobody answers."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def files(directory: Path, **texts: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (directory / f"{name}.map").write_text(text)


@contextmanager
def child(argv: list[str], url: str, directory: Path, cwd: Path | None = None) -> Iterator[None]:
    """A server, from when it answers to its end."""
    assert Path(argv[0]).exists(), f"{argv[0]} is missing: make setup"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=cwd or directory, stdout=log, stderr=log)
    try:
        limit = time.monotonic() + 60
        while status(url) == 0:
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < limit, "the server does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def haproxy(directory: Path) -> Iterator[tuple[str, int]]:
    """Yield the address of the API and the port of the runtime API."""
    files(
        directory,
        keys="key-one a\nkey-two b\n",
        limits="a 1000\nb 1000\n",
        routes="/orders allow\n",
    )
    port, admin = free_ports(2)
    text = HAPROXY.format(port=port, admin=admin, maps=directory)
    (directory / "haproxy.cfg").write_text(text)
    url = f"http://127.0.0.1:{port}"
    with child(["/usr/sbin/haproxy", "-db", "-f", "haproxy.cfg"], url, directory):
        yield url, admin


@contextmanager
def nginx(directory: Path) -> Iterator[str]:
    """Yield the address of the API."""
    files(
        directory,
        keys="key-one 1;\nkey-two 1;\n",
        limited="key-three limited;\n",
        blocked="/none 1;\n",
    )
    (directory / "www").mkdir()
    for name in ("orders", "other"):
        (directory / "www" / name).write_text(name)
    [port] = free_ports(1)
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(NGINX.format(port=port, user=user))
    url = f"http://127.0.0.1:{port}"
    words = ["/usr/sbin/nginx", "-p", str(directory), "-c", "nginx.conf", "-g", "daemon off;"]
    with child(words, url, directory):
        yield url


CLIENT, SECRET = "shop", "client-secret-4711"
"""The one client of the OAuth server."""


@contextmanager
def oauth(directory: Path) -> Iterator[str]:
    """Yield the address of the OAuth server, with an API at /orders."""
    directory.mkdir()
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    words = [sys.executable, "-m", "tests.e2e.oauth_server", str(directory), str(port)]
    with child([*words, CLIENT, SECRET], url, directory, cwd=Path(__file__).parents[2]):
        yield url
