"""Whatever a server answers: nothing of it is stored or becomes a path, and the message names the
request."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from drd.errors import SourceError, SourceMissing, SourceUnreachable
from drd.kinds.http import client
from drd.kinds.http.settings import HttpSettings
from drd.kinds.http.source import HttpSource
from drd.testing.snapshots import workplace
from tests.servers.scripted import Scripted, send

Serve = Callable[[Any], Scripted]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[Scripted] = []

    def start(answers: Any) -> Scripted:
        by_path = isinstance(answers, dict) and any(k.startswith("/") for k in answers)
        made.append(Scripted(answers if by_path else {"/things": answers}))
        return made[-1]

    yield start
    for server in made:
        server.close()


def source(server: Scripted, place: Path, *, timeout: str = "5s", **entry: Any) -> HttpSource:
    document = {"get": "/things", "save_as": "things", **entry}
    settings = {"kind": "http", "url": server.url, "timeout": timeout, "documents": [document]}
    return HttpSource("api", HttpSettings.model_validate(settings), workplace(place))


def refusal(server: Scripted, place: Path, **entry: Any) -> SourceError:
    """The error of a capture, after which nothing is left."""
    before = {p for p in place.parent.rglob("*") if p != place}
    with pytest.raises(SourceError) as caught, source(server, place, **entry).open():
        pass
    assert caught.value.hint
    assert caught.value.message.isprintable()
    assert {p for p in place.parent.rglob("*") if p != place} == before
    return caught.value


def slow(to: BaseHTTPRequestHandler) -> None:
    send(to, b"[", length=100)
    for _ in range(100):
        to.wfile.write(b" ")
        to.wfile.flush()
        time.sleep(0.1)


def huge(to: BaseHTTPRequestHandler) -> None:
    send(to, b"[", length=client.LARGEST * 3)
    for _ in range(3):
        to.wfile.write(b" " * client.LARGEST)


LOOPBACK = {"Location": "http://127.0.0.1:22/secrets"}

WRONG: dict[str, tuple[Any, str]] = {
    "a redirect": (
        partial(send, body=b"", status=302, headers=LOOPBACK),
        "answers 302, a redirect to http://127.0.0.1:22/secrets",
    ),
    "a login page": (partial(send, body=b"<html>", kind="text/html"), "is text/html, not JSON"),
    "a cut answer": (partial(send, body=b'{"a": 1}', length=99), "was cut off after 8 of 99 bytes"),
    "half of JSON": (partial(send, body=b'[{"a": 1},'), "is not JSON: Expecting value, at byte 10"),
    "nothing": (partial(send, body=b""), "the answer is empty"),
    "NaN": (partial(send, body=b'{"a": NaN}'), "has NaN, which is not JSON"),
    "infinity": (partial(send, body=b'{"a": 1e999}'), "has a number that is too large"),
    "many digits": (partial(send, body=b"9" * 9000), "has a number with too many digits"),
    "a name twice": (partial(send, body=b'{"a": 1, "a": 2}'), "in which a name occurs twice"),
    "deep": (partial(send, body=b"[" * 200 + b"]" * 200), "nested deeper than 100"),
    "very deep": (partial(send, body=b"[" * 200_000), "nested deeper than 100"),
    "latin-1": (partial(send, body=b'{"a": "\xe9"}'), "is not UTF-8"),
    "an encoding": (
        partial(send, body=b"xx", headers={"Content-Encoding": "gzip"}),
        "is encoded as gzip",
    ),
    "an empty document": ({}, "the document is empty"),
    "control characters": (
        partial(send, body=b'{"error": "\x1b[2Jno"}', status=400),
        'answers 400: {"error": "\\x1b[2Jno"}',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_that_cannot_be_used_is_refused(case: str, serve: Serve, tmp_path: Path) -> None:
    answer, says = WRONG[case]
    error = refusal(serve(answer), tmp_path / "w")
    assert error.message.startswith("GET /things: ")
    assert says in error.message


TOKEN = "s3cr3t-of-this-server-" + "x" * 40


@pytest.mark.parametrize(
    "answer",
    [
        partial(send, body=b"", status=302, headers={"Location": "/" + "y" * 70 + TOKEN}),
        partial(send, body=b" " * 4070 + TOKEN.encode(), status=400),
        {"data": [{"name": "a"}], "next": "http://elsewhere/" + "y" * 60 + TOKEN},
    ],
    ids=["redirect", "error", "next page"],
)
def test_no_half_of_a_secret_is_quoted(answer: Any, serve: Serve, tmp_path: Path) -> None:
    """An error was cut before it was masked, and half a secret is not recognised."""
    (tmp_path / "token").write_text(TOKEN)
    settings = {
        "kind": "http", "url": serve(answer).url, "token": {"file": str(tmp_path / "token")},
        "documents": [{
            "get": "/things", "save_as": "{name}", "items": "/data", "paging": {"next": "/next"},
        }],
    }  # fmt: skip
    asked = HttpSource("api", HttpSettings.model_validate(settings), workplace(tmp_path / "w"))
    with pytest.raises(SourceError) as caught, asked.open():
        pass
    assert "s3cr3t" not in caught.value.message


def test_drd_tries_again_after_passing_errors_of_a_server_and_not_after_permanent_ones(
    serve: Serve, tmp_path: Path
) -> None:
    def status(number: int) -> SourceError:
        return refusal(serve(partial(send, body=b"{}", status=number)), tmp_path / "w")

    assert isinstance(status(503), SourceUnreachable)
    assert isinstance(status(404), SourceMissing)
    assert [status(n).permanent for n in (500, 429, 401, 403, 404)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert "check the token" in status(401).hint


def test_a_server_that_asks_to_wait_is_asked_again(serve: Serve, tmp_path: Path) -> None:
    def busy(after: str, times: int) -> Scripted:
        left = iter(range(times))

        def answer(to: BaseHTTPRequestHandler) -> None:
            if next(left, None) is None:
                return send(to, b'{"a": 1}')
            return send(to, b"{}", status=429, headers={"Retry-After": after})

        return serve(answer)

    with source(busy("0", 3), tmp_path / "w").open() as capture:
        assert capture.facts["documents"] == 1
    for server, asked in ((busy("0", 99), 5), (busy("3600", 99), 1), (busy("tomorrow", 99), 1)):
        assert "answers 429" in refusal(server, tmp_path / "w").message
        assert len(server.asked) == asked


def test_a_slow_answer_ends_at_the_time_limit(serve: Serve, tmp_path: Path) -> None:
    began = time.monotonic()
    error = refusal(serve(slow), tmp_path / "w", timeout="1s")
    assert time.monotonic() - began < 8
    assert "within 1s" in error.message


def test_a_huge_answer_is_not_read_to_its_end(serve: Serve, tmp_path: Path) -> None:
    assert "is larger than 32.0 MiB" in refusal(serve(huge), tmp_path / "w").message


def test_names_from_the_server_stay_names(serve: Serve, tmp_path: Path) -> None:
    names = ["../../etc/passwd", "..", "a/b", "a\x00b", "\n", "ü", "A.b", "-", "\ud800"]
    answers = [{"name": name} for name in names]
    with source(serve(answers), tmp_path / "w", save_as="{name}").open() as capture:
        described = capture.fingerprint()
        assert capture.facts["documents"] == len(names)
        (file,) = (tmp_path / "w").iterdir()
        assert file.name == "api.json"
    paths = {path for path in described.entries if "/" not in path[1:]}  # type: ignore[union-attr]
    assert "/%2E%2E%2F%2E%2E%2Fetc%2Fpasswd" in paths
    assert {"/%2E%2E", "/a%2Fb", "/a%00b", "/%0A", "/%C3%BC", "/A%2Eb", "/-"} < paths
    assert list((tmp_path / "w").iterdir()) == []


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ([{"name": "a"}, {"name": "a"}], "two documents would have the name t-a"),
        ([{"name": ["a"]}], "an item has neither a text nor a number in name"),
        ([{"id": 1}], "an item has neither a text nor a number in name"),
        ([{"name": ""}], "an item has neither a text nor a number in name"),
        ([{"name": "x" * 300}], "the name of a document is longer than 200 characters"),
        ([], "the list is empty"),
        ({"name": "a"}, "the answer has no list at its top"),
        (["a"], "an item has neither a text nor a number in name"),
    ],
)
def test_lists_that_cannot_be_right_are_refused(
    items: Any, says: str, serve: Serve, tmp_path: Path
) -> None:
    assert says in refusal(serve(items), tmp_path / "w", save_as="t-{name}").message


def test_the_next_page_is_at_the_same_address(serve: Serve, tmp_path: Path) -> None:
    other = serve([])
    for link in (
        f"{other.url}/things",
        "http://169.254.169.254/latest",
        "//127.0.0.1:22/",
        "file:///etc/passwd",
        "http://[",
        "https:/things",
    ):
        server = serve({"data": [{"name": "a"}], "next": link})
        error = refusal(
            server, tmp_path / "w", save_as="{name}", items="/data", paging={"next": "/next"}
        )
        assert "the address of the next page differs from `url`" in error.message
        assert len(server.asked) == 1
    assert other.asked == []


def test_pages_that_repeat_or_change_are_refused(serve: Serve, tmp_path: Path) -> None:
    def page(items: Any, following: str) -> dict[str, Any]:
        return {"data": items, "next": following}

    entry = {"save_as": "{name}", "items": "/data", "paging": {"next": "/next"}}
    circle = {
        "/things": page([{"name": "a"}], "/things?2"),
        "/things?2": page([{"name": "b"}], "/things"),
    }
    assert "names the same page twice" in refusal(serve(circle), tmp_path / "w", **entry).message
    ignores = page([{"name": "a"}], "x")
    numbered = {**entry, "paging": {"page": "page"}}
    assert (
        "names the same page twice" in refusal(serve(ignores), tmp_path / "w", **numbered).message
    )
    served = iter([[{"name": "a"}], [{"name": "b"}]])

    def grows(to: BaseHTTPRequestHandler) -> None:
        send(to, json.dumps(page(next(served), "/more")).encode())

    growing = {"/things": grows, "/more": page([{"name": "c"}], "")}
    error = refusal(serve(growing), tmp_path / "w", **entry)
    assert "the list changed while its pages were read" in error.message
    assert not error.permanent
    short = {"data": [{"name": "a"}], "meta": {"total": 2}}
    total = {**entry, "paging": {"offset": "from", "total": "/meta/total"}}
    answers = {"/things?from=0": short, "/things?from=1": {"data": [], "meta": {"total": 2}}}
    assert (
        "have 1 item, but the server says 2"
        in refusal(serve(answers), tmp_path / "w", **total).message
    )


def test_every_way_of_paging_reads_every_page(serve: Serve, tmp_path: Path) -> None:
    def linked(to: BaseHTTPRequestHandler) -> None:
        link = '</things?p=2>; rel="next", </things?p=9>; rel="last"'
        send(to, b'[{"name": "a"}]', headers={"Link": link})

    a, b, none = [{"name": "a"}], [{"name": "b"}], list[Any]()
    ways: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"next": "link"}, {"/things": linked, "/things?p=2": b}),
        ({"page": "p"}, {"/things?p=1": a, "/things?p=2": b, "/things?p=3": none}),
        ({"offset": "o"}, {"/things?o=0": a, "/things?o=1": b, "/things?o=2": none}),
    ]
    for paging, answers in ways:
        with source(
            serve(answers), tmp_path / "w", save_as="{name}", paging=paging
        ).open() as capture:
            assert capture.facts["documents"] == 2
