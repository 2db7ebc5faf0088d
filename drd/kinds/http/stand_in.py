"""The server into which drills put documents: a small server of drd, which only knows the requests
of the plan, or a program of the plan, behind the fence."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl
from uuid import uuid4

from drd import http, process
from drd.errors import SandboxUnavailable, SourceError
from drd.kinds.http.canonical import canonical_json, parsed
from drd.kinds.http.client import LARGEST, Api
from drd.kinds.http.pages import name_of
from drd.kinds.http.pointers import FIELD, fields_of, filled_path, placed
from drd.kinds.http.settings import (
    DOCUMENT,
    DocumentSettings,
    HttpSettings,
    HttpTarget,
    PagingSettings,
)
from drd.model.json_pointer import MISSING, found, parts_of
from drd.model.malformed import Malformed
from drd.model.units import format_duration
from drd.ports import Workplace
from drd.process.listeners import free_port, require_own

_HEADER = "X-Drd-Stand-In"
_DEADLINE_S = 30.0
_TURN_S = 0.1
_TOO_LARGE = 413


class StandIn(Protocol):
    """A running server on loopback."""

    api: Api
    url: str
    proves: str
    """A sentence for the evidence: what the drill with this stand-in does not prove."""

    def close(self) -> None: ...


# --- drd's own ----------------------------------------------------------------------------------


class OwnStandIn:
    """Keeps objects in memory, and answers the requests that `documents` declare. Only who knows
    its key is answered: every user of the host can connect to loopback."""

    def __init__(self, settings: HttpSettings) -> None:
        key = secrets.token_hex(16)
        self._server = _Server(_Objects(settings.documents), key)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_TURN_S,), name="drd-stand-in", daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.api = Api(HttpTarget(url=self.url, timeout="30s"), {_HEADER: key})
        self.proves = (
            "the drill used a stand-in server of drd, which accepts every document. It does not "
            f"prove that {settings.url} accepts these documents"
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_DEADLINE_S)


class _Objects:
    """The objects of a stand-in, by entry of the plan and name."""

    def __init__(self, documents: Sequence[DocumentSettings]) -> None:
        self._documents = documents
        self._kept: dict[str, dict[str, Any]] = {d.save_as: {} for d in documents}
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Return the status and the JSON of the answer."""
        with self._lock:
            if method == "GET":
                return self._read(path)
            if self._change(method, path, body):
                return 200, {}
        return 404, {"error": "the plan declares no such request"}

    def _read(self, target: str) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        for entry in self._documents:
            kept = self._kept[entry.save_as]
            if path == entry.get.partition("?")[0]:
                if entry.is_list:
                    return 200, self._page(entry, dict(parse_qsl(query)))
                if not kept:
                    return 404, {}
                place = (*parts_of(entry.items or ""), *parts_of(entry.take))
                return 200, placed(None, place, kept[entry.save_as])
            if entry.each is not None and (name := self._named(entry, entry.each, path)):
                return 200, placed(None, parts_of(entry.take), kept[name])
        return 404, {}

    def _page(self, entry: DocumentSettings, query: Mapping[str, str]) -> Any:
        """Return a list as the plan says that pages look: all items are on the first."""
        items, paging = self._listed(entry), entry.paging or PagingSettings()
        is_later = query.get(paging.page or "", str(paging.first)) != str(paging.first)
        is_later = is_later or query.get(paging.offset or "", "0") != "0"
        answer = placed(None, parts_of(entry.items or ""), [] if is_later else items)
        if paging.total is not None:
            answer = placed(answer, parts_of(paging.total), len(items))
        return answer

    def _listed(self, entry: DocumentSettings) -> list[Any]:
        take = () if entry.each is not None else parts_of(entry.take)
        return [placed(None, take, one) for one in self._kept[entry.save_as].values()]

    def _named(self, entry: DocumentSettings, template: str, path: str) -> str | None:
        """Return the name of the object whose path this is. A path without fields is that of a
        whole list."""
        if entry.is_list and not fields_of(template):
            return None
        for name, one in self._kept[entry.save_as].items():
            with suppress(Malformed):
                if filled_path(template, one) == path:
                    return name
        return None

    def _change(self, method: str, path: str, body: Any) -> bool:
        for entry in self._documents:
            put_back = entry.put_back
            if put_back is None:
                continue
            kept = self._kept[entry.save_as]
            for request in (put_back.delete, put_back.update, put_back.create):
                if request is None or request.method != method:
                    continue
                name = self._named(entry, request.path, path)
                if request is put_back.delete:
                    if name is not None:
                        del kept[name]
                        return True
                    continue
                if (name is not None or _fits(request.path, path)) and body is not ...:
                    document = _unwrapped(request.body, body)
                    if document is not ... and self._put(entry, name, document):
                        return True
        return False

    def _put(self, entry: DocumentSettings, name: str | None, document: Any) -> bool:
        kept = self._kept[entry.save_as]
        if not entry.is_list:
            kept[entry.save_as] = document
            return True
        if not isinstance(document, dict):
            return False
        if name is not None:
            document = {**{k: v for k, v in kept[name].items() if k in _own(entry)}, **document}
            del kept[name]
        for key in _own(entry) - document.keys():
            document[key] = str(uuid4())  # as a server that chooses ids
        try:
            kept[name_of(entry, document)] = document
        except SourceError:
            return False
        return True


def _own(entry: DocumentSettings) -> set[str]:
    """Return the members that requests name, and that a server may choose."""
    put_back = entry.put_back
    requests = [r for r in (put_back.update, put_back.delete) if r] if put_back else []
    templates = [entry.save_as, entry.each or "", *(r.path for r in requests)]
    return {f for t in templates for f in fields_of(t) if "/" not in f}


def _fits(template: str, path: str) -> bool:
    pattern = "[^/?]+".join(re.escape(part) for part in FIELD.sub("\0", template).split("\0"))
    return re.fullmatch(pattern, path) is not None


def _unwrapped(template: Any, body: Any) -> Any:
    """Return the document in a body: at the place of `{document}`, or put together from its fields.
    `...` if the body has another shape."""
    if template == DOCUMENT:
        return body
    place = _place_of(template)
    if place is not None:
        value = found(body, place)
        return ... if value is MISSING else value
    fields = dict(_fields_in(template, body))
    return fields or ...


def _fields_in(template: Any, body: Any) -> Iterator[tuple[str, Any]]:
    """Return the fields of a document that a body has, each where the template names it alone."""
    if isinstance(template, dict) and isinstance(body, dict):
        for key, value in template.items():
            yield from _fields_in(value, body.get(key))
    elif isinstance(template, list) and isinstance(body, list):
        for value, one in zip(template, body, strict=False):
            yield from _fields_in(value, one)
    elif isinstance(template, str) and (field := FIELD.fullmatch(template)) is not None:
        yield field[1], body


def _place_of(template: Any) -> tuple[str, ...] | None:
    items = template.items() if isinstance(template, dict) else ()
    for key, value in items:
        if value == DOCUMENT:
            return (key,)
        if (below := _place_of(value)) is not None:
            return (key, *below)
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, objects: _Objects, key: str) -> None:
        self.objects, self.key = objects, key
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the client sees that there is no answer."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _DEADLINE_S
    server: _Server

    def _handle(self) -> None:
        status, data = self._answer()
        text = canonical_json(data)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - the names of the library

    def _answer(self) -> tuple[int, Any]:
        if not secrets.compare_digest(self.headers.get(_HEADER, ""), self.server.key):
            return 403, {}
        size = self.headers.get("Content-Length", "0")
        if not size.isdecimal() or int(size) > LARGEST:
            return _TOO_LARGE, {}
        try:
            body = parsed(self.rfile.read(int(size))) if int(size) else ...
        except Malformed:
            return 400, {}
        return self.server.objects.answer(self.command, self.path, body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Write nothing."""


# --- the plan's ---------------------------------------------------------------------------------


class DeclaredStandIn:
    """A program of the plan's on a free port of loopback, behind the fence of the drill."""

    def __init__(self, settings: HttpSettings, place: Workplace) -> None:
        declared = settings.stand_in
        assert declared is not None
        self._port = port = free_port()
        directory = place.directory / "stand-in"
        directory.mkdir(mode=0o700)
        self._log = place.directory / "stand-in.log"
        values = {"port": str(port), "dir": str(directory)}
        command = process.Command(
            [_with_values(word, values) for word in declared.command],
            env={
                "HOME": str(directory),
                **{k: _with_values(v, values) for k, v in declared.env.items()},
            },
            cwd=directory,
            drop_capabilities=True,
            fence=place.fence(f"{place.directory.name} stand-in", [directory]),
        )
        self.url = f"http://127.0.0.1:{port}"
        self.api = Api(HttpTarget(url=self.url, timeout="30s"), {})
        self.proves = (
            "the drill used the stand-in server that the plan starts. It does not prove that "
            f"{settings.url} accepts these documents"
        )
        with self._log.open("wb") as log:
            self._child = process.start(command, stdout=log.fileno(), stderr=log.fileno())
        try:
            self._wait(declared.ready, declared.within)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._child.stop()

    def _wait(self, path: str, within_s: float) -> None:
        limit = time.monotonic() + within_s
        parts = http.parts_of(self.url + path)
        assert parts is not None
        while True:
            process.check_cancelled()
            with suppress(http.NoAnswer):
                http.exchange(
                    parts,
                    "GET",
                    None,
                    headers={},
                    deadline_s=2.0,
                    most=1 << 16,
                    trust=lambda: http.tls_context(None),
                    loopback_directly=True,
                )
                self._require_own()
                return
            if self._child.exit_code is not None or time.monotonic() > limit:
                raise SandboxUnavailable(
                    self._why(within_s), hint="run the command by hand to see the error."
                )
            time.sleep(_TURN_S)

    def _require_own(self) -> None:
        """Raise SandboxUnavailable if another user would get the documents."""
        what = f"the stand-in {self._child.command.title}"
        require_own(self._port, self._child.pid, what, SandboxUnavailable)

    def _why(self, within_s: float) -> str:
        command = self._child.command.title
        code = self._child.exit_code
        if code is None:
            return f"the stand-in {command} did not answer within {format_duration(within_s)}"
        last = self._log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
        return f"the stand-in {command} {process.ended(code)}: {last[:300]}"


def _with_values(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text
