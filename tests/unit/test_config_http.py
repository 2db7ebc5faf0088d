"""Mistakes in a plan about an HTTP API are named on their line, with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config_support import changed, load, problems

API = """\
    kind: http
    url: https://kong.example.com:8444
    headers: {Kong-Admin-Token: {credential: kong}, Accept-Language: en}
    documents:
      - get: /services
        items: /data
        paging: {next: /next}
        save_as: service-{id}
        leave_out: [/updated_at]
        put_back: {update: "PUT /services/{id}", delete: "DELETE /services/{id}"}
      - {get: /tags, save_as: tags}"""

PLAN = changed("    kind: files\n    paths: [/etc/shop]", API).replace(
    "name: files, kind: files", "name: documents, kind: documents"
)
MISTAKES = [
    ("https://kong.example.com:8444", "kong:8444", 12, "url", "not the address of a web server"),
    ("//kong", "//me:pw@kong", 12, "url", "the address has a login, a query or a fragment"),
    ("8444", "8444/?a=b", 12, "url", "the address has a login, a query or a fragment"),
    ("{credential: kong}", "abc", 13, "headers.Kong-Admin-Token", "this header contains a secret"),
    ("Accept-Language", "Host", 13, "headers.Host", "'Host' cannot be set"),
    ("Accept-Language", "A:b", 13, "headers.A:b", "'A:b' cannot be set"),
    (
        "Accept-Language: en}",
        "Authorization: {credential: a}}\n    token: {credential: t}",
        14,
        "token",
        "two logins",
    ),
    (
        "get: /services",
        "get: services",
        15,
        "documents[0].get",
        "'services' is not a path below `url`",
    ),
    (
        "get: /services",
        "get: //evil.example/x",
        15,
        "documents[0].get",
        "'//evil.example/x' is not a path below `url`",
    ),
    (
        "get: /services",
        "get: '/services/{id}'",
        15,
        "documents[0].get",
        "the path contains a field in braces",
    ),
    ("items: /data", "order_by: name", 15, "documents[0]", "sorts by a field (`order_by`)"),
    ("items: /data", "items: data", 16, "documents[0].items", "'data' is not a JSON pointer"),
    ("{next: /next}", "{}", 17, "documents[0].paging", "says nothing"),
    ("{next: /next}", "{next: /n, page: p}", 17, "documents[0].paging", "has next and page"),
    ("{next: /next}", "{next: n}", 17, "documents[0].paging.next", "'n' is not a JSON pointer"),
    (
        "{next: /next}",
        "{cursor: c}",
        17,
        "documents[0].paging",
        "needs both `cursor` and `cursor_at`, or neither",
    ),
    ("service-{id}", "../{id}", 18, "documents[0].save_as", "'../{id}' cannot be a name"),
    (
        "save_as: tags",
        "save_as: 'service-{id}'",
        21,
        "documents[1].save_as",
        "service-{id} is used twice",
    ),
    (
        "get: /tags",
        "get: /tags, each: '/t/{x}'",
        21,
        "documents[1].each",
        "has no effect, because `save_as` contains no field",
    ),
    ("[/updated_at]", "['']", 19, "documents[0].leave_out", "leaves out the whole document"),
    (
        'update: "PUT',
        'update: "GET',
        20,
        "documents[0].put_back.update",
        "is not a request that changes a document",
    ),
    (
        'update: "PUT /services/{id}", ',
        "",
        20,
        "documents[0].put_back",
        "neither creates nor updates",
    ),
]


def test_a_good_plan_has_no_problem(tmp_path: Path) -> None:
    assert load(tmp_path, PLAN).plan.components["etc"].kind == "http"


@pytest.mark.parametrize(("old", "new", "line", "path", "message"), MISTAKES)
def test_a_wrong_setting_of_an_http_component_is_refused_at_its_line(
    tmp_path: Path, *, old: str, new: str, line: int, path: str, message: str
) -> None:
    assert PLAN.count(old) == 1, old
    found = problems(tmp_path, PLAN.replace(old, new))
    mine = [p for p in found if (p.line, p.path) == (line, f"components.etc.{path}")]
    assert any(message in p.message and p.hint for p in mine), found
