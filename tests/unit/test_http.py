"""The one HTTP client: its deadline is for the whole exchange, and what a step sends by it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drd.actions.http import ask
from drd.errors import StepFailed
from tests.notify_support import http_receiver


@contextmanager
def dripping(header: bytes = b"") -> Iterator[int]:
    """A server that begins to answer, and sends a byte now and then for ever."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                try:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n%b\r\n" % header)
                    while not over.wait(0.05):
                        peer.sendall(b"x")
                except OSError:
                    return  # the other side has hung up, as it should

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join()


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"])
def test_step_ends_a_server_that_drips_when_its_time_is_over(header: bytes) -> None:
    with dripping(header) as port:
        began = time.monotonic()
        with pytest.raises(StepFailed, match=r"did not finish its answer within 4s"):
            ask(f"http://127.0.0.1:{port}/", timeout_s=4)
        assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, "application/x-www-form-urlencoded"),
        ({"content-type": "application/json"}, "application/json"),
    ],
)
def test_step_sends_a_body_as_curl_does(given: dict[str, str], sent: str) -> None:
    with http_receiver() as receiver:
        receiver.answer = lambda got: (
            200,
            {},
            str(got.headers.get("Content-Type", got.headers.get("content-type"))).encode(),
        )
        url = receiver.url("/x")
        assert ask(url, method="POST", body=b"a=b", headers=given, timeout_s=10) == (200, sent)


def test_step_follows_no_redirect_and_asks_its_own_host_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with http_receiver() as receiver:
        receiver.answer = lambda _: (302, {"Location": receiver.url("/elsewhere")}, b"moved")
        assert ask(receiver.url("/x"), method="POST", timeout_s=10) == (302, "moved")


@pytest.mark.parametrize("url", ["ftp://example.com/", "http://", "example.com", "http://h:x/"])
def test_step_refuses_what_is_not_an_address_of_a_web_server(url: str) -> None:
    with pytest.raises(StepFailed, match="is not the address of a web server"):
        ask(url, timeout_s=1)
