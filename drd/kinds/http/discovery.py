"""Suggest components for a new plan: APIs that drd knows, by their address or on this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from drd import http
from drd.errors import UsageError
from drd.kinds.http.canonical import parsed
from drd.kinds.http.settings import is_loopback
from drd.model.json_pointer import found as at
from drd.model.json_pointer import parts_of
from drd.model.malformed import Malformed
from drd.ports.kinds import Wish

_DEADLINE_S = 2.0
_MOST = 1 << 20


class _Known(NamedTuple):
    """An API that drd recognises by the answer at `asks`: an object with these members."""

    name: str
    port: int
    asks: str
    members: frozenset[str]
    documents: Sequence[Mapping[str, Any]]


def _of_kong(what: str, one: str) -> dict[str, Any]:
    path = f"/{what}/{{id}}"
    return {
        "get": f"/{what}",
        "items": "/data",
        "paging": {"next": "/next"},
        "save_as": f"{one}-{{id}}",
        "leave_out": ["/updated_at"],
        "put_back": {"update": f"PUT {path}", "delete": f"DELETE {path}"},
    }


_CADDY = _Known(
    "Caddy",
    2019,
    "/config/",
    frozenset({"apps"}),
    ({"get": "/config/apps", "save_as": "apps", "put_back": {"update": "POST /config/apps"}},),
)
_KONG = _Known(
    "Kong",
    8001,
    "/",
    frozenset({"tagline", "version"}),
    tuple(
        _of_kong(what, one)
        for what, one in (
            ("services", "service"),
            ("routes", "route"),
            ("upstreams", "upstream"),
            ("consumers", "consumer"),
            ("plugins", "plugin"),
        )
    ),
)
_ALL = (_CADDY, _KONG)


def wishes(given: Sequence[str]) -> list[Wish]:
    """Suggest a component for each address. Raises UsageError for an API that drd does not know."""
    return [_wish(url.rstrip("/"), _recognised(url.rstrip("/"))) for url in dict.fromkeys(given)]


def found() -> tuple[list[Wish], list[str]]:
    """Suggest the APIs of gateways that answer on loopback, each at its usual port."""
    there: list[Wish] = []
    notes: list[str] = []
    for known in _ALL:
        url = f"http://127.0.0.1:{known.port}"
        status, data = _asked(url, known.asks)
        if status == 200 and _is(known, data):
            there.append(_wish(url, known))
        elif status is not None and known is _CADDY:
            notes.append(
                f"{url}, the usual address of {known.name}, answers, but there are no sites to "
                f"back up yet. After you have added sites to {known.name}, run drd plan new again."
            )
    return there, notes


def _recognised(url: str) -> _Known:
    if http.parts_of(url) is None:
        raise UsageError(
            f"{url} is not the address of a web server",
            hint="write an address that begins with http:// or https://.",
        )
    answers = False
    for known in _ALL:
        status, data = _asked(url, known.asks)
        answers = answers or status is not None
        if status == 200 and _is(known, data):
            return known
    if not answers:
        raise UsageError(
            f"nothing answers at {url}", hint="check the address, and that the server runs."
        )
    names = " and ".join(known.name for known in _ALL)
    raise UsageError(
        f"drd does not recognise the API at {url}",
        hint=f"drd plan new knows {names}; for other APIs write the component by hand: "
        "docs/http.md has examples.",
    )


def _is(known: _Known, data: Any) -> bool:
    return isinstance(data, dict) and known.members <= data.keys()


def _asked(url: str, path: str) -> tuple[int | None, Any]:
    """Return the status and the JSON of an answer; neither if there is none."""
    parts = http.parts_of(url + path)
    if parts is None:
        return None, None
    try:
        answer = http.exchange(
            parts,
            "GET",
            None,
            headers={"Accept": "application/json"},
            deadline_s=_DEADLINE_S,
            most=_MOST,
            trust=lambda: http.tls_context(None),
            loopback_directly=True,
        )
        return answer.status, parsed(answer.body)
    except http.NoAnswer:
        return None, None
    except Malformed:
        return answer.status, None


def _with_emptiness(url: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry, which allows an empty list only if the list is empty now: later, an empty
    one is often a token that has lost its rights."""
    put_back = {"put_back": document["put_back"]}
    rest = {key: value for key, value in document.items() if key != "put_back"}
    if "items" not in document:
        return {**rest, **put_back}
    status, data = _asked(url, document["get"])
    is_empty = status == 200 and at(data, parts_of(document["items"])) in ([], None)
    return {**rest, **({"may_be_empty": True} if is_empty else {}), **put_back}


def _wish(url: str, known: _Known) -> Wish:
    def keys(_: Sequence[str], __: str) -> Iterator[tuple[str, Any]]:
        yield "url", url
        if not is_loopback(url):
            yield "#", "If the API needs a token, add: token: {credential: NAME}"
        yield "documents", [_with_emptiness(url, one) for one in known.documents]

    def target(_: str) -> Iterator[tuple[str, Any]]:
        yield "#", "Another server of the same kind."
        yield "url", f"{url}-standby" if not is_loopback(url) else f"http://standby:{known.port}"

    name = known.name.lower()
    return Wish(name, name, keys, names_plan=False, target=target, where=f"{known.name} at {url}")
