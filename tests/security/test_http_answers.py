"""Attack: an HTTP server answers in chunks, and gives one of them a negative size.

http.client reads such a chunk to the end of the connection, so drd held whatever the server sent
until the deadline, instead of the bytes that it had asked for.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import pytest

from drd import http

_BLOCK = b"x" * (1 << 20)
_BLOCKS = 256
_IN_BUFFERS = 32
"""So many blocks at most are in the buffers of the kernel when nobody reads them."""
_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextmanager
def answering(blocks: Iterable[bytes]) -> Iterator[tuple[str, list[int]]]:
    """The address of a server that answers once; and the sizes of the blocks that it got rid of."""
    sent: list[int] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(_HEAD)
            for block in blocks:
                connection.sendall(block)
                sent.append(len(block))

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", sent
    finally:
        server.join()
        listening.close()


def ask(url: str, most: int) -> bytes:
    parts = http.parts_of(url)
    assert parts is not None
    context = ssl.create_default_context
    answer = http.exchange(
        parts, "GET", None, headers={}, deadline_s=60, most=most, trust=context,
        loopback_directly=True,
    )  # fmt: skip
    return answer.body


@pytest.mark.parametrize("size", [b"-1", b"-ffffff", b"7fffffffffffffff"])
def test_no_more_is_read_than_was_asked_for_whatever_size_a_chunk_has(size: bytes) -> None:
    with answering([size + b"\r\n", *[_BLOCK] * _BLOCKS]) as (url, sent):
        assert ask(url, 1000) == b"x" * 1000
    assert len(sent) < _IN_BUFFERS


def test_answers_in_sound_chunks_are_read_whole() -> None:
    chunks = [b"3\r\nabc\r\n", b"10000\r\n", b"y" * 0x10000, b"\r\n", b"0\r\n\r\n"]
    with answering(chunks) as (url, _):
        assert ask(url, 1 << 20) == b"abc" + b"y" * 0x10000
    with answering(chunks) as (url, _):
        assert ask(url, 5) == b"abcyy"
