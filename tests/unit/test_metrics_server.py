"""Figures over HTTP: what is answered, and that no client holds it up."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.errors import MetricsError
from drd.web import DaemonHealth, MetricsServer, OpenIncidents
from drd.web.server import CONNECTIONS

TEXT = b"drd_plans 3.0\n"
WELL = DaemonHealth("0.1.0", 1.0, 60.0)


@contextlib.contextmanager
def serving(
    supplier: Callable[[], bytes] = lambda: TEXT,
    health: Callable[[], DaemonHealth] = lambda: WELL,
    deadline_s: float = 10.0,
    host: str = "127.0.0.1",
) -> Iterator[MetricsServer]:
    server = MetricsServer.start((host, 0), supplier, health, deadline_s=deadline_s)
    try:
        yield server
    finally:
        server.close()


def ask(
    server: MetricsServer, path: str, method: str = "GET"
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(*server.address, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def cut(client: socket.socket, within_s: float) -> bool:
    """Whether the other side ends the connection in that time."""
    client.settimeout(within_s)
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_metrics_are_answered_in_the_text_format() -> None:
    with serving() as server:
        status, headers, body = ask(server, "/metrics?x=1")
    assert (status, body) == (200, TEXT)
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["Server"] == "drd"


def test_figures_that_are_missing_at_first_are_not_an_empty_page() -> None:
    with serving(lambda: b"") as server:
        assert ask(server, "/metrics")[0] == 503


def test_ipv6_is_served_too() -> None:
    with serving(host="::1") as server:
        assert ask(server, "/metrics")[2] == TEXT


def test_head_has_the_length_and_no_body() -> None:
    with serving() as server:
        status, headers, body = ask(server, "/metrics", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(TEXT)))


def test_daemon_that_ticks_is_healthy() -> None:
    with serving() as server:
        status, headers, body = ask(server, "/healthz")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {
        "schema": 1,
        "ok": True,
        "tick_age_s": 1.0,
        "limit_s": 60.0,
        "version": "0.1.0",
        "open_incidents": None,
        "incident_next_due_at": None,
    }


def test_health_knows_the_open_incidents() -> None:
    known = replace(WELL, incidents=OpenIncidents(2, datetime(2026, 11, 29, 14, 30, tzinfo=UTC)))
    with serving(health=lambda: known) as server:
        document = json.loads(ask(server, "/healthz")[2])
    assert document["open_incidents"] == 2
    assert document["incident_next_due_at"] == "2026-11-29T14:30:00Z"


@pytest.mark.parametrize(("age_s", "status"), [(60.0, 200), (60.1, 503)])
def test_daemon_whose_tick_is_too_old_is_not_healthy(age_s: float, status: int) -> None:
    with serving(health=lambda: DaemonHealth("0.1.0", age_s, 60.0)) as server:
        found, _, body = ask(server, "/healthz")
    assert (found, json.loads(body)["ok"]) == (status, status == 200)


def test_other_paths_say_which_there_are() -> None:
    with serving() as server:
        status, _, body = ask(server, "/")
    assert status == 404
    assert b"use GET /metrics or GET /healthz" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_nothing_but_reading_is_allowed(method: str) -> None:
    with serving() as server:
        status, headers, _ = ask(server, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_nonsense_is_answered_and_the_server_goes_on() -> None:
    with serving() as server:
        with socket.create_connection(server.address, timeout=5) as client:
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
            assert b"400" in client.recv(65536).partition(b"\n")[0] or cut(client, 5)
        assert ask(server, "/metrics")[0] == 200


@pytest.mark.parametrize("error", [RuntimeError("hidden"), OSError("hidden")])
def test_figures_that_cannot_be_made_are_an_error_and_not_the_end(error: Exception) -> None:
    def supplier() -> bytes:
        raise error

    with serving(supplier) as server:
        status, _, body = ask(server, "/metrics")
        assert status == 500
        assert b"hidden" not in body
        assert ask(server, "/healthz")[0] == 200


def test_silent_clients_do_not_keep_others_out() -> None:
    with serving() as server, contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(server.address, timeout=5))
            for _ in range(3 * CONNECTIONS)
        ]
        began = time.monotonic()
        assert ask(server, "/metrics")[0] == 200
        assert time.monotonic() - began < 8  # less than the deadline of the silent ones
        assert cut(silent[0], 2)  # the oldest had to go
        assert not cut(silent[-1], 0.1)  # a young one may still ask
        assert threading.active_count() < 3 * CONNECTIONS


def test_client_that_sends_a_byte_now_and_then_is_cut_at_its_deadline() -> None:
    with serving(deadline_s=0.6) as server:
        client = socket.create_connection(server.address, timeout=5)
        with client, contextlib.suppress(ConnectionError):
            began = time.monotonic()
            for byte in b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000:
                client.sendall(bytes([byte]))
                time.sleep(0.02)
        assert 0.5 < time.monotonic() - began < 15  # all the bytes take longer


def test_client_that_does_not_read_is_cut_at_its_deadline() -> None:
    with serving(lambda: b"x" * 50_000_000, deadline_s=0.3) as server:
        with socket.create_connection(server.address, timeout=5) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            time.sleep(0.8)
            received = 0
            with contextlib.suppress(ConnectionError):
                while part := client.recv(1 << 20):
                    received += len(part)
        assert received < 50_000_000
        assert ask(server, "/healthz")[0] == 200


def test_health_is_answered_while_metrics_hang() -> None:
    hangs = threading.Event()

    def supplier() -> bytes:
        hangs.wait(20)
        return TEXT

    with serving(supplier, deadline_s=0.3) as server:
        try:
            with socket.create_connection(server.address, timeout=5) as first:
                first.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                assert cut(first, 5)
            with socket.create_connection(server.address, timeout=5) as second:
                second.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
                assert cut(second, 5)
            assert ask(server, "/healthz")[0] == 200
        finally:
            hangs.set()


def test_figures_are_made_for_one_client_at_a_time() -> None:
    inside: list[int] = []
    most: list[int] = []

    def supplier() -> bytes:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return TEXT

    with serving(supplier) as server:
        found: list[int] = []
        clients = [
            threading.Thread(target=lambda: found.append(ask(server, "/metrics")[0]))
            for _ in range(6)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert found == [200] * 6
    assert max(most) == 1


def test_address_that_is_taken_is_named_with_a_remedy() -> None:
    with serving() as server:
        with pytest.raises(MetricsError) as caught:
            MetricsServer.start(server.address, lambda: TEXT, lambda: WELL)
        assert str(server.address[1]) in caught.value.message
        assert "address already in use" in caught.value.message
        assert "metrics.http" in caught.value.hint


def test_close_ends_every_connection_and_thread_and_frees_the_port() -> None:
    before = set(threading.enumerate())
    with serving() as server:
        client = socket.create_connection(server.address, timeout=5)
        time.sleep(0.05)
        server.close()
        server.close()
        with client:
            assert cut(client, 5)
    deadline = time.monotonic() + 60
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == set()
    again = MetricsServer.start(server.address, lambda: TEXT, lambda: WELL)
    again.close()


def sleeps(threads: set[threading.Thread]) -> dict[str, int]:
    """How often each of the threads has gone to sleep."""
    found = {}
    for thread in threads:
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        [switches] = re.findall(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
        found[thread.name] = int(switches)
    return found


def test_idle_server_sleeps_on() -> None:
    others = set(threading.enumerate())
    with serving() as server:
        assert ask(server, "/metrics")[0] == 200
        time.sleep(0.1)
        own = set(threading.enumerate()) - others
        before = sleeps(own)
        time.sleep(0.5)
        assert before
        assert sleeps(own) == before
