"""The keys of a plan about configuration behind an HTTP API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from drd import http
from drd.fields import (
    AbsolutePath,
    Connection,
    Contradiction,
    Duration,
    Placed,
    Secret,
    Settings,
)
from drd.headers import wrong_headers
from drd.kinds.http.pointers import fields_of
from drd.model.json_pointer import parts_of
from drd.model.malformed import Malformed

DOCUMENT = "{document}"
"""Stands for the whole document in a body."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_REQUEST = re.compile(r"(POST|PUT|PATCH|DELETE) /([^/\s#][^\s#]*)?")


def _pointer(value: Any) -> Any:
    if isinstance(value, str):
        parts_of(value)
    return value


Pointer = Annotated[str, BeforeValidator(_pointer)]
"""A JSON pointer; in patterns, `*` stands for every member or item."""

_PATH = re.compile(r"/([^/\s#][^\s#]*)?")


def _path(value: Any) -> Any:
    if isinstance(value, str) and not _PATH.fullmatch(value):
        raise Malformed(
            f"{value!r} is not a path below `url`",
            "write it with one slash at its beginning: /path",
        )
    return value


def _request_line(value: Any) -> Any:
    if isinstance(value, str) and not _REQUEST.fullmatch(value):
        raise Malformed(
            f"{value!r} is not a request that changes a document",
            "write POST, PUT, PATCH or DELETE, and a path: PUT /services/{id}",
        )
    return value


ApiPath = Annotated[
    str, BeforeValidator(_path), Field(json_schema_extra={"pattern": f"^{_PATH.pattern}$"})
]
RequestLine = Annotated[
    str,
    BeforeValidator(_request_line),
    Field(json_schema_extra={"pattern": f"^{_REQUEST.pattern}$"}),
]


def _request(value: Any) -> Any:
    return {"request": value} if isinstance(value, str) else value


def _within(place: tuple[str | int, ...], settings: Settings | None) -> Iterator[Contradiction]:
    """Return the contradictions of settings below these."""
    for wrong in settings.contradictions() if settings is not None else ():
        yield wrong._replace(path=(*place, *wrong.path))


class RequestSettings(Settings):
    """A request that changes one document."""

    request: RequestLine = Field(
        description="Method and path of the request, for example `PUT /services/{id}`. drd "
        "replaces `{id}` by the field `id` of the present document on the server; for "
        "`create`, by that of the saved document.",
    )
    body: Any = Field(
        DOCUMENT,
        description="The JSON body of the request. drd replaces `{document}` by the saved "
        "document, and `{name}` by its field `name`. DELETE has no body.",
    )

    @property
    def method(self) -> str:
        return self.request.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.request.partition(" ")[2]


class _OrText:
    """Adds to the JSON Schema that a text is enough."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Any:
        return {"anyOf": [{"type": "string", "pattern": f"^{_REQUEST.pattern}$"}, handler(core)]}


Request = Annotated[RequestSettings, BeforeValidator(_request), _OrText()]


class PutBackSettings(Settings):
    """The requests that bring documents to their saved state. Short form of each: `PUT /path`."""

    create: Request | None = Field(
        None, description="Creates a document that is missing. Default: `update`."
    )
    update: Request | None = Field(
        None,
        description="Changes a document that differs from the restore point. Without `update`, drd "
        "sends `delete`, then `create`.",
    )
    delete: Request | None = Field(
        None,
        description="Removes a document that the restore point does not have. Without `delete`, "
        "such documents stay on the server, and the recovery reports their names.",
    )

    @property
    def requests(self) -> tuple[RequestSettings, ...]:
        return tuple(r for r in (self.create, self.update, self.delete) if r is not None)

    def contradictions(self) -> Iterator[Contradiction]:
        if self.create is None and self.update is None:
            yield Contradiction(
                (), "neither creates nor updates", "add `create`, `update` or both.", of_key=True
            )


class PagingSettings(Settings):
    """How the API divides a list into pages. Give exactly one of `next`, `cursor`, `page` and
    `offset`."""

    next: str | None = Field(
        None,
        description="Where an answer has the address of the next page: a JSON pointer, or `link` "
        "for the header Link.",
    )
    cursor: str | None = Field(
        None,
        description="The name of the query parameter that gets the cursor of the next "
        "page (see `cursor_at`).",
    )
    cursor_at: Pointer | None = Field(
        None, description="JSON pointer of the cursor of the next page, for `cursor`."
    )
    page: str | None = Field(
        None,
        description="The name of the query parameter for the page number. An empty page "
        "is the last one.",
    )
    first: int = Field(1, ge=0, description="The number of the first page, for `page`.")
    offset: str | None = Field(
        None,
        description="The name of the query parameter for the number of items to skip. An empty "
        "page is the last one.",
    )
    total: Pointer | None = Field(
        None,
        description="JSON pointer of the total number of items, if answers contain it: drd then "
        "notices missing items.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        given = [n for n in ("next", "cursor", "page", "offset") if getattr(self, n) is not None]
        if len(given) != 1:
            said = f"has {' and '.join(given)}" if given else "says nothing"
            hint = "give only one of `next`, `cursor`, `page` and `offset`."
            yield Contradiction((), said, hint, of_key=True)
        if (self.cursor is None) != (self.cursor_at is None):
            hint = "`cursor` is the query parameter, `cursor_at` the place in the answer."
            yield Contradiction((), "needs both `cursor` and `cursor_at`, or neither", hint)
        if self.next is not None and self.next != "link" and not self.next.startswith("/"):
            hint = "write a JSON pointer such as /next, or `link`."
            yield Contradiction(("next",), f"{self.next!r} is not a JSON pointer", hint)


class DocumentSettings(Settings):
    """A document of the API, or a list of which every item is a document."""

    get: ApiPath = Field(description="The path below `url`, with its query: `/services?size=100`.")
    save_as: str = Field(
        min_length=1,
        max_length=100,
        description="The name of the saved document: letters, digits, `-` and `_`. For a list, "
        "write a field of its items into the name, for example `service-{name}`: drd then "
        "saves each item as a document of its own. Choose a field whose value is different "
        "for each item, and is not generated by the server.",
    )
    items: Pointer | None = Field(
        None, description="JSON pointer of the list in the answer. Default: the answer itself."
    )
    paging: PagingSettings | None = Field(None, description="How a list is divided into pages.")
    each: ApiPath | None = Field(
        None,
        description="For a list whose items are only names: the path of one item, such as "
        "`/api/dashboards/uid/{uid}`.",
    )
    take: Pointer = Field(
        "", description="JSON pointer of the document in the answer. Default: the whole answer."
    )
    leave_out: list[Pointer] = Field(
        default_factory=list,
        description="Fields that drd does not save, because they change by themselves: JSON "
        "pointers such as `/updated_at`, with `*` for every member: `/routes/*/id`.",
    )
    unordered: list[Pointer] = Field(
        default_factory=list,
        description="Lists in the document whose order has no meaning, as JSON pointers. drd sorts "
        "them.",
    )
    may_be_empty: bool = Field(
        False,
        description="If true, an empty list or a missing document is not an error. Often a list "
        "is empty only because the token lacks rights.",
    )
    put_back: PutBackSettings | None = Field(
        None,
        description="The requests that put the documents back in a recovery. Without `put_back`, "
        "a person has to put the documents back.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_order(cls, data: Any) -> Any:
        if isinstance(data, dict) and "order_by" in data:
            raise Malformed(
                "sorts by a field (`order_by`), which drd does not support: it would hide "
                "changes of the order in lists whose order has a meaning",
                "name each list whose order has no meaning in `unordered`, as a JSON pointer",
            )
        return data

    @property
    def is_list(self) -> bool:
        """Whether every item is a document of its own."""
        return bool(fields_of(self.save_as))

    def contradictions(self) -> Iterator[Contradiction]:
        plain = re.sub(r"\{[^{}]+\}", "x", self.save_as)
        if not _NAME.fullmatch(plain):
            hint = "use letters, digits, - and _, and fields such as {name}."
            yield Contradiction(("save_as",), f"{self.save_as!r} cannot be a name", hint)
        if fields_of(self.get):
            hint = "write the whole path: fields work only in `save_as`, `each` and `put_back`."
            yield Contradiction(("get",), "the path contains a field in braces", hint)
        if self.each is not None and not self.is_list:
            hint = "add a field of the items to `save_as`, such as {name}."
            yield Contradiction(
                ("each",), "has no effect, because `save_as` contains no field", hint, of_key=True
            )
        delete = self.put_back.delete if self.put_back is not None else None
        if self.is_list and delete is not None and not fields_of(delete.path):
            hint = "name the item in its path: DELETE /services/{id}."
            text = "every removal would send the same request, to the whole list"
            yield Contradiction(("put_back", "delete"), text, hint)
        if "" in self.leave_out:
            hint = "name a part of the document, such as /updated_at."
            yield Contradiction(("leave_out",), "leaves out the whole document", hint)
        yield from _within(("paging",), self.paging)
        yield from _within(("put_back",), self.put_back)


class StandInSettings(Settings):
    """A server of your own for drills, instead of drd's simple one."""

    command: list[str] = Field(
        min_length=1,
        description="The words of a program that stays in the foreground and starts without data; "
        "`${port}` is its port, `${dir}` an empty directory. drd does not use a shell, and "
        "ends the program after the drill.",
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables of the program, with `${port}` and `${dir}`; must not "
        "contain secrets.",
    )
    ready: ApiPath = Field("/", description="The path that answers when the server is ready.")
    within: Duration = Field(30.0, description="How long the server may take to become ready.")


class _Api(Settings):
    """The address of an API, and what requests carry."""

    url: str = Field(
        min_length=1,
        description="The address that all paths begin with, without a login: "
        "`https://kong.example.com:8444`. drd does not follow redirects, and reads more "
        "pages only from this address.",
    )
    token: Secret | None = Field(
        None, description="A token, which drd sends in the header `Authorization: Bearer TOKEN`."
    )
    headers: dict[str, Connection] = Field(
        default_factory=dict,
        description="Headers of every request: a text, or a secret reference for a header that "
        "contains a secret.",
    )
    ca_cert: AbsolutePath | None = Field(
        None, description="PEM file of your own certificate authority."
    )
    timeout: Duration = Field(30.0, description="Time limit of one request.")
    total_timeout: Duration = Field(
        3600.0, description="Time limit of all requests together that read the documents."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        parts = http.parts_of(self.url)
        if parts is None:
            hint = "write http:// or https://, the host and, if needed, the port."
            yield Contradiction(("url",), "not the address of a web server", hint)
        elif parts.username is not None or parts.query or parts.fragment:
            hint = "write a login into `headers`, as {Authorization: {credential: NAME}}."
            yield Contradiction(("url",), "the address has a login, a query or a fragment", hint)
        yield from wrong_headers(self.headers)
        if self.token is not None and any(n.lower() == "authorization" for n in self.headers):
            hint = "give either `token` or the header Authorization."
            yield Contradiction(("token",), "there are two logins", hint, of_key=True)


class HttpSettings(_Api):
    """Configuration behind an HTTP API: the configuration of a gateway, an identity provider or a
    SaaS."""

    kind: Literal["http"]
    documents: list[DocumentSettings] = Field(
        min_length=1,
        description="The documents to save. A recovery puts them back in this order: first list "
        "the documents that others refer to.",
    )
    stand_in: StandInSettings | None = Field(
        None,
        description="The server into which a drill puts the documents. Default: a simple test "
        "server of drd, which accepts the requests of `put_back`.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from super().contradictions()
        seen: set[str] = set()
        for number, document in enumerate(self.documents):
            if document.save_as in seen:
                hint = "give every entry of `documents` a `save_as` of its own."
                place = ("documents", number, "save_as")
                yield Contradiction(place, f"{document.save_as} is used twice", hint)
            seen.add(document.save_as)
            yield from _within(("documents", number), document)

    def all_commands(self) -> Iterator[Placed]:
        if self.stand_in is not None:
            yield ("stand_in", "command"), self.stand_in.command


class HttpTarget(_Api):
    """The API that the documents are put back into, by the requests of `put_back`."""


def is_loopback(url: str) -> bool:
    """Return whether an address is surely this host's."""
    host = (urlsplit(url).hostname or "").lower()
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None


def same_address(one: str, other: str) -> bool:
    """Return whether two addresses lead to the same place."""
    return normal_address(one) == normal_address(other)


def normal_address(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port, parts.path.rstrip("/")
