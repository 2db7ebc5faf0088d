"""Whatever a server's items have as ids and values: a request is about its item, or is not sent."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drd.errors import SourceError, TargetError
from drd.kinds.http import limits
from drd.kinds.http.by_hand import by_hand
from drd.kinds.http.canonical import canonical_json, parsed
from drd.kinds.http.client import Api
from drd.kinds.http.links import next_of
from drd.kinds.http.pointers import filled_path
from drd.kinds.http.reading import read_all
from drd.kinds.http.settings import HttpTarget
from drd.kinds.http.stand_in import OwnStandIn
from drd.model.malformed import Malformed
from drd.ports import Stream
from tests.integration.http.support import World, restored
from tests.integration.http.test_by_hand import HEAD
from tests.integration.http.test_hostile_answers import refusal, source
from tests.servers.rest_api import TOKEN, RestApi
from tests.servers.scripted import Scripted, send

ELSEWHERE = [
    *("..", ".", "/", " ", "...", "../x", "x/..", "a/../b", "/a", "a/", "..;", "..;a", "a/.;b"),
    *("\\", "..\\x", "%2e%2e", "%2E", "a%2fb", "%5c", "%252e", "a\n", "a\x00", "%0a"),
]
FINE = ["a", "a.b", "..a", "a b", "ü", "50%", "a?b#c", "shop/eu", "c-https://app", "*", "-", "a;b"]


@pytest.fixture
def serve() -> Iterator[Callable[[Any], Scripted]]:
    made: list[Scripted] = []

    def start(answers: Any) -> Scripted:
        made.append(Scripted({"/things": answers}))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def apis() -> Iterator[tuple[RestApi, RestApi]]:
    both = RestApi(), RestApi()
    yield both
    for api in both:
        api.close()


def test_a_value_in_a_path_is_one_part_of_it_and_leads_nowhere_else() -> None:
    for value in ELSEWHERE:
        with pytest.raises(Malformed, match=r"in id, which can lead a request to another path"):
            filled_path("/things/{id}", {"id": value})
    for value in FINE:
        path = filled_path("/things/{id}/x", {"id": value})
        assert path.count("/") == 3
        assert path.isascii()
    assert filled_path("/x?name={id}", {"id": "../ü"}) == "/x?name=..%2F%C3%BC"
    for value, says in (("\ud800", "is not Unicode text"), ("x" * 2000, "is longer than 1,000")):
        with pytest.raises(Malformed, match=says) as error:
            filled_path("/things/{id}", {"id": value})
        assert error.value.fact.isprintable()


def test_a_backup_names_the_item_that_no_request_could_be_about(
    serve: Callable[[Any], Scripted], tmp_path: Path
) -> None:
    put_back = {"update": "PUT /things/{id}", "delete": "DELETE /things/{id}"}
    for value, says in (("..", "`..` in id, which can lead"), ("\ud800", "is not Unicode text")):
        items = [{"id": value}, {"id": "good"}]
        error = refusal(serve(items), tmp_path / "w", save_as="t-{id}", put_back=put_back)
        assert says in error.message
        assert "GET /things: document t-%" in error.message
        server = serve(items)
        error = refusal(server, tmp_path / "w", save_as="t-{id}", each="/things/{id}")
        assert says in error.message
        assert server.asked == ["/things"]


def test_a_recovery_sends_nothing_if_an_item_there_has_such_an_id(
    apis: tuple[RestApi, RestApi], tmp_path: Path
) -> None:
    world, (api, there) = World(tmp_path), apis
    world.documents[0]["put_back"]["delete"] = "DELETE /services/{name}"
    api.fill()
    snapshot, data = world.captured(api)
    there.add("..")
    target = world.target(there)
    for attempt in (
        lambda: target.would_do(snapshot),
        lambda: restored(target, snapshot, data),
    ):
        with pytest.raises(TargetError, match=r"document service-%2E%2E has `\.\.` in name"):
            attempt()
    assert {method for method, _ in there.requests} == {"GET"}


def test_the_commands_by_hand_send_nothing_for_such_an_id(
    apis: tuple[RestApi, RestApi], tmp_path: Path
) -> None:
    world, (source_api, there) = World(tmp_path), apis
    world.documents[0]["put_back"]["create"] = "PUT /services/{name}"
    component = world.component(source_api)
    to = HttpTarget.model_validate(world.api(there))
    hand = by_hand(component, to, place="here", resolve=lambda _: TOKEN)
    for name, text in hand.files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(text)
    script = HEAD + "".join(p.commands for p in hand.passages if not p.compares)
    for value in [*ELSEWHERE, "shop/eu"]:
        there.requests.clear()
        saved = {"x": {"save_as": "service-{name}", "document": {"name": value}}}
        (tmp_path / "saved").write_text(json.dumps({"format": 1, "documents": saved}))
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "KIT": str(tmp_path), "SAVED": str(tmp_path / "saved")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert "all requests were accepted" not in done.stdout
        if value == "shop/eu":  # it was sent, and the server has no such service
            assert there.requests == [("PUT", "/services/shop%2Feu")]
        else:
            assert there.requests == []
            assert "can lead a request to another path" in done.stderr


def test_a_removal_that_names_no_item_is_a_contradiction(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.documents[0]["put_back"]["delete"] = "DELETE /services"
    api = RestApi()
    try:
        settings: Any = world.component(api).settings
    finally:
        api.close()
    (found,) = settings.contradictions()
    assert "to the whole list" in found.message


def test_a_long_header_of_links_costs_no_time(
    serve: Callable[[Any], Scripted], tmp_path: Path
) -> None:
    header = "<http://x/>;rel=" + " " * 60_000 + "x"
    began = time.process_time()
    assert next_of([header] * 3) is None
    assert time.process_time() - began < 2
    server = serve(lambda to: send(to, b'[{"id": "a"}]', headers={"Link": header}))
    error = refusal(server, tmp_path / "w", save_as="{id}", paging={"next": "link"})
    assert "the header Link is longer than 8,192 characters" in error.message
    for header, address in (
        ('<a>; rel="prev next"; title="x, <b>"', "a"),
        ('<a>; title="rel=next, \\"; rel=next", <b>; REL=Next', "b"),
        ("<a>; rel=nextish, <b>; rel = next ; x", "b"),
        ("<a>; rel=last, <b", None),
        ('<a>; rel="next', "a"),
    ):
        assert next_of([header]) == address


def test_lengths_and_cursors_that_are_neither_numbers_nor_text_are_refused(
    serve: Callable[[Any], Scripted], tmp_path: Path
) -> None:
    server = serve(lambda to: send_with_length(to, "9" * 5000))
    assert "was cut off after 12 of more bytes" in refusal(server, tmp_path / "w").message
    for cursor, says in (("\ud800", "is not Unicode text"), ("x" * 9000, "longer than 8,192")):
        page = {"data": [{"id": "a"}], "next": cursor}
        paging = {"cursor": "after", "cursor_at": "/next"}
        error = refusal(serve(page), tmp_path / "w", save_as="{id}", items="/data", paging=paging)
        assert says in error.message


def send_with_length(to: Any, length: str) -> None:
    to.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n")
    to.wfile.write(b'{"some": 10}')


def test_left_out_parts_and_every_page_count_towards_the_limit_of_received_bytes(
    serve: Callable[[Any], Scripted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_RECEIVED", 10_000)
    junk = {"junk": "x" * 3000}

    def page(to: Any) -> None:
        number = int(to.path.rpartition("=")[2])
        send(to, json.dumps([{"id": number, **junk}]).encode())

    for entry in (
        {"save_as": "t-{id}", "leave_out": ["/junk"]},
        {"save_as": "all", "leave_out": ["/*/junk"]},
    ):
        server = serve(page)
        error = refusal(server, tmp_path / "w", paging={"page": "p"}, **entry)
        assert "all answers together are larger than" in error.message
        assert len(server.asked) == 4


def test_an_answer_of_very_many_values_is_refused_before_it_becomes_objects(
    serve: Callable[[Any], Scripted], tmp_path: Path
) -> None:
    body = b"[" + b"[]," * 2_000_000 + b"[]]"
    began = time.process_time()
    error = refusal(serve(lambda to: send(to, body)), tmp_path / "w")
    assert "has more than 4,000,000 values (each list or object counts as four)" in error.message
    assert time.process_time() - began < 5
    text = json.dumps(["[,{" * 1_000_000, '\\"'] * 2).encode()  # one that only looks so
    with source(serve(lambda to: send(to, text)), tmp_path / "w").open() as capture:
        assert capture.facts["documents"] == 1


def test_many_fields_are_described_by_their_document_alone(
    serve: Callable[[Any], Scripted], tmp_path: Path
) -> None:
    items = [list[Any]()] * 300_000
    began = time.process_time()
    with source(serve(items), tmp_path / "w").open() as capture:
        assert list(capture.fingerprint().entries) == ["/things"]  # type: ignore[union-attr]
    assert time.process_time() - began < 10


def test_a_reading_ends_at_its_time_limit(serve: Callable[[Any], Scripted], tmp_path: Path) -> None:
    def page(to: Any) -> None:
        time.sleep(0.4)
        send(to, json.dumps([{"id": to.path}]).encode())

    server = serve(page)
    settings = source(server, tmp_path / "w", save_as="{id}", paging={"page": "p"})._settings
    settings = settings.model_copy(update={"total_timeout": 1.0})
    began = time.monotonic()
    with pytest.raises(SourceError, match="reading all documents took longer than 1s") as error:
        read_all(Api(settings), settings.documents)
    assert time.monotonic() - began < 20
    assert "total_timeout" in error.value.hint


def test_every_number_is_saved_and_sent_to_its_last_digit(
    serve: Callable[[Any], Scripted], tmp_path: Path
) -> None:
    same = {"0.1": "0.1", "1e3": "1000.0", "1.50": "1.5", "-0.0": "-0.0", "7": "7"}
    exact = {
        "0.12345678901234567890123": "0.12345678901234567890123",
        "0.123456789012345678901230": "0.12345678901234567890123",
        "-12345678901234567890.5": "-12345678901234567890.5",
        "1e-400": "1E-400",
    }
    for given, written in (same | exact).items():
        assert canonical_json(parsed(given.encode())).decode() == written
        assert canonical_json(parsed(written.encode())).decode() == written
    for wrong in (b"1e999", b"1e-99999999999999999999", b"0." + b"1" * 5000):
        with pytest.raises(Malformed):
            parsed(wrong)
    body = b'{"rate": 0.12345678901234567890123, "id": "a"}'
    one = source(serve(lambda to: send(to, body)), tmp_path / "w", put_back={"update": "PUT /x"})
    with one.open() as capture:
        assert isinstance(capture.payload, Stream)
        data = Path(capture.payload.command.argv[-1]).read_bytes()
    assert b'"rate": 0.12345678901234567890123' in data
    stand_in = OwnStandIn(one._settings)
    try:
        stand_in.api.send("PUT", "/x", parsed(body))
        assert stand_in.api.get("/things").data == parsed(body)
    finally:
        stand_in.close()
