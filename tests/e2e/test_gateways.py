"""The worked examples of docs/playbooks against servers that really enforce."""

from __future__ import annotations

import json
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.e2e import gateways
from tests.e2e.runbook_site import until
from tests.e2e.site import Site
from tests.servers.postgres import PostgresServer

EXAMPLES = Path(__file__).parents[2] / "docs/playbooks"


@pytest.fixture
def site(short_tmp: Path) -> Site:
    made = Site(short_tmp)
    (made.base / "playbooks").mkdir()
    for file in EXAMPLES.glob("*.yaml"):
        text = file.read_text().replace("/var/lib/drd/", f"{made.base}/secrets/")
        (made.base / "playbooks" / file.name).write_text(text)
    with (made.base / "drd.yaml").open("a") as file:
        file.write("playbooks: playbooks\npeople: [{name: anna, roles: [lead, operator]}]\n")
    made.secret("one", "key-one")
    made.secret("two", "key-two")
    return made


def run_id(site: Site) -> str:
    query = "select id from runs where kind = 'playbook' order by started_at desc"
    return str(site.catalogue(query)[0][0])


def given(site: Site, **values: object) -> list[str]:
    return [w for name, v in values.items() for w in ("--set", f"{name.replace('_', '-')}={v}")]


def statuses(url: str) -> list[int]:
    """The answers to both clients, and on the route: before, all are 200."""
    keys = [
        ("key-one", "/other"),
        ("key-two", "/other"),
        ("key-two", "/other"),
        ("key-two", "/orders"),
    ]
    return [gateways.status(f"{url}{path}", {"X-Key": key}) for key, path in keys]


def asked(port: int, command: str) -> list[list[str]]:
    """What HAProxy's runtime API shows of a map, without addresses."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as to:
        to.sendall(f"{command}\n".encode())
        with to.makefile() as lines:
            return [line.split()[1:] for line in lines if line.strip()]


def test_haproxy_refuses_the_key_limits_the_client_and_blocks_the_route(site: Site) -> None:
    with gateways.haproxy(site.base / "haproxy") as (url, port):
        maps = [f"{site.base}/haproxy/{name}.map" for name in ("limits", "routes")]
        before = [asked(port, f"show map {name}") for name in maps]
        assert statuses(url) == [200, 200, 200, 200]
        values = given(
            site, port=port, maps=f"{site.base}/haproxy", client="b", limit=1, route="/orders",
            leaked_key=f"file:{site.base}/secrets/one", probe_url=f"{url}/other",
        )  # fmt: skip
        site.drd("playbook", "run", "haproxy-contain", *values, "--yes")
        assert statuses(url) == [401, 200, 429, 403]
        site.drd("rollback", run_id(site))
        assert [asked(port, f"show map {name}") for name in maps] == before
        assert statuses(url) == [401, 200, 200, 200]  # the key stays revoked
    site.assert_clean()


def test_nginx_refuses_the_key_limits_the_client_and_blocks_the_route(site: Site) -> None:
    with gateways.nginx(site.base / "nginx") as url:
        assert statuses(url) == [200, 200, 200, 200]
        maps = [site.base / f"nginx/{name}.map" for name in ("blocked", "limited")]
        before = [one.read_text() for one in maps]
        values = given(
            site, prefix=site.base / "nginx", client_key=f"file:{site.base}/secrets/two",
            route="/orders", leaked_key=f"file:{site.base}/secrets/one", probe_url=f"{url}/other",
        )  # fmt: skip
        site.drd("playbook", "run", "nginx-contain", *values, "--yes")
        assert statuses(url) == [401, 200, 429, 403]
        site.drd("rollback", run_id(site))
        until(lambda: statuses(url) == [401, 200, 200, 200], "nginx with the former maps")
        assert [one.read_text() for one in maps] == before
    site.assert_clean()


def token_of(url: str) -> str:
    body = urllib.parse.urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": gateways.CLIENT,
            "client_secret": gateways.SECRET,
        }
    )
    with urllib.request.urlopen(f"{url}/o/token/", body.encode(), timeout=30) as answer:
        return str(json.loads(answer.read())["access_token"])


def test_an_oauth_server_refuses_the_revoked_token_for_good(site: Site) -> None:
    with gateways.oauth(site.base / "oauth") as url:
        leaked, other = token_of(url), token_of(url)

        def answers(token: str) -> int:
            return gateways.status(f"{url}/orders", {"Authorization": f"Bearer {token}"})

        assert (answers(leaked), answers(other)) == (200, 200)
        site.secret("token", leaked)
        site.secret("client", gateways.SECRET)
        values = given(
            site, revoke_url=f"{url}/o/revoke_token/", client_id=gateways.CLIENT,
            client_secret=f"file:{site.base}/secrets/client",
            leaked_token=f"file:{site.base}/secrets/token", probe_url=f"{url}/orders",
        )  # fmt: skip
        site.drd("playbook", "run", "oauth-revoke", *values, "--yes")
        assert (answers(leaked) in (401, 403), answers(other)) == (True, 200)
        stays = site.drd("rollback", run_id(site), code=2).err
        assert "no step that was started has a `rollback`" in stays
        assert "What stays: revoke: " in stays
        assert answers(leaked) in (401, 403)
    site.assert_clean()


@contextmanager
def with_passwords(server: PostgresServer) -> Iterator[None]:
    """The role app needs its password in the body, which the server of all tests does not want."""
    rules = server.data_dir / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local rotated app scram-sha-256\n{before}")
    server.execute("select pg_reload_conf()")
    try:
        until(lambda: not logs_in(server, "wrong"), "the rule")
        yield
    finally:
        rules.write_text(before)
        server.execute("select pg_reload_conf()")


def logs_in(server: PostgresServer, password: str) -> bool:
    try:
        dsn = server.dsn("rotated", "app")
        psycopg.connect(dsn, password=password, connect_timeout=30).close()
    except psycopg.OperationalError as error:
        if "authentication failed" not in str(error):
            raise
        return False
    return True


def test_a_rotated_password_of_postgresql_works_and_the_old_one_does_not(
    site: Site, postgres: PostgresServer
) -> None:
    postgres.execute("create role app login password 'old-password'")
    postgres.execute("create database rotated owner app")
    site.plan(f'components:\n  db: {{kind: postgres, dsn: "{postgres.dsn("rotated")}"}}\n')
    with with_passwords(postgres):
        assert logs_in(postgres, "old-password")
        words = ("playbook", "run", "postgres-rotate", "--plan", "shop")
        assert "alter role app password ***" in site.drd(*words, "--dry-run").out
        running = site.start(*words, "--yes")
        waits = "select 1 from steps where name = '{}' and state = 'waiting'"
        until(lambda: bool(site.catalogue(waits.format("agree"))), "the approval")
        site.drd("approve", run_id(site), "agree", "--by", "anna")
        until(lambda: bool(site.catalogue(waits.format("hand-over"))), "the hand-over")
        new = (site.base / "secrets/new-password").read_text().strip()
        assert (logs_in(postgres, new), logs_in(postgres, "old-password")) == (True, False)
        site.drd("done", run_id(site), "hand-over", "--by", "anna")
        assert running.wait(120) == 0
        site.drd("rollback", run_id(site), code=2)
        assert (logs_in(postgres, new), logs_in(postgres, "old-password")) == (True, False)
    assert new not in str(site.catalogue("select result, error from steps"))
    site.assert_clean()
