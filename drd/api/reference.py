"""Make docs/api.md: the requests from the models, and the rights from the table that decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drd.api.handler import AT_WORK
from drd.api.requests import LONGEST_TEXT, Request
from drd.api.rights import ENDPOINTS, HOLDERS, LARGEST_BODY, LARGEST_MESSAGE, ROOT_ONLY, Endpoint
from drd.api.server import BURST, CONNECTIONS, DEADLINE_S, OF_A_USER, RATE

INTRODUCTION = f"""\
# The daemon's socket

Users who do not own drd's state ask the daemon, through the Unix socket `drd.sock` in
`public_dir` (`/var/lib/drd-public`). The socket speaks HTTP and JSON, with one request for each
connection. The command line does this for all users except root and drd's user. Programs can do
it, too:

```
curl --unix-socket /var/lib/drd-public/drd.sock http://drd/v1/runs?limit=5
```

The kernel tells drd who asks: the user and all groups of the process that connected
(`SO_PEERCRED`, `SO_PEERGROUPS`), at the moment of the connection. drd reads the login of the
process when it accepts the connection. If the process has ended by then, the login is unknown,
and `login_known` of the record is false: such a request cannot approve a step that needs two
persons. The daemon itself has no passwords and no keys. The socket has an access control list
(`getfacl`) with the two groups and the users that `drd.yaml` maps to people: the kernel refuses
all other users (permission denied). The daemon updates the list every 30 s, and at a reload. On
a file system without such lists everybody can connect. The daemon then refuses users without
rights at once, but such a user can make others wait by connecting again and again.

An answer is the document that the command line prints with `--json`; its first key is `schema`.
If a request fails, its status is not 200, and the answer is `{{"schema": 1, "error":
{{"message", "hint", "exit"}}}}`, with the exit code of the command.

A request contains names, the options below, and in `comment` and `reason` a text of at most
{LONGEST_TEXT} characters; alerts of other systems have a `message`, and incidents longer texts.
drd stores this text as data, and escapes its control characters in all output. A request never
contains a path, a command, SQL or a plan. drd refuses unknown keys. `by` is what the user claims:
drd records it together with the user that the kernel reports.

Limits: {LARGEST_BODY >> 10} KiB ({LARGEST_MESSAGE >> 10} KiB with a `message` or a longer text
of an incident) and {DEADLINE_S:.0f} s for one request; {RATE:.0f} requests a second from one user
({BURST:.0f} at once); {OF_A_USER} connections at a time from one user, and {CONNECTIONS} from all
users. The daemon processes {AT_WORK} requests at a time. A request over a limit gets 413, 429, 431
or 503. A request that is cut off, or has a key or a Content-Length twice, gets 400.

A later version may add keys to answers, and optional keys to requests. A change that would
break programs gets a new path instead of `/v1`.

## Who may do what

"""

ROOT = "only root, in a terminal"


def reference() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, rights_table(), "", *_root_only(), "", "## The requests", ""]
    for endpoint in ENDPOINTS:
        parts += [*_endpoint(endpoint), ""]
    return "\n".join(parts).rstrip("\n") + "\n"


def rights_table() -> str:
    """Markdown: one row an endpoint, one column a kind of people."""
    lines = [
        "| what | command | group `drd` | group `drd-operator` | a mapped person | root |",
        "|---|---|---|---|---|---|",
    ]
    for endpoint in ENDPOINTS:
        who = HOLDERS[endpoint.right]
        verb = f"`{endpoint.verb}`" if endpoint.verb else ""
        read, operate = _yes(who.read_group), _yes(who.operate_group)
        lines.append(f"| {endpoint.what} | {verb} | {read} | {operate} | {who.person} | yes |")
    lines += [f"| {what} | | no | no | no | yes |" for what in ROOT_ONLY]
    return "\n".join(lines)


def _root_only() -> list[str]:
    return [
        "The groups are those of `groups: {read, operate}` in `drd.yaml`. A mapped person is one",
        "of `people` with a `user`. Requests of this user count as requests of the person, and",
        "only the person's roles decide, even if the user is in a group. An approval, or a manual",
        "step with a role, needs a person with this role: a mapped person; or a person without a",
        "`user`, whom a member of the operating group names with `--by`. `drd status` does not",
        "ask the daemon: it reads a summary beside the socket, which the group `drd` can read.",
        "Without a running daemon, all other commands need root.",
    ]


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _endpoint(endpoint: Endpoint) -> Iterator[str]:
    verb = f" (`{endpoint.verb}`)" if endpoint.verb else ""
    yield f"### {endpoint.method} {endpoint.path}"
    yield ""
    yield f"{endpoint.what[0].upper()}{endpoint.what[1:]}{verb}."
    rows = list(_fields(endpoint.takes))
    if rows:
        where = "query" if endpoint.method == "GET" else "body"
        yield ""
        yield f"| {where} | what | |"
        yield "|---|---|---|"
        yield from rows


def _fields(takes: type[Request]) -> Iterator[str]:
    schema = takes.model_json_schema()
    for name, about in schema.get("properties", {}).items():
        required = "required" if name in schema.get("required", ()) else ""
        yield (
            f"| `{name}` | {_type(about)} | {about.get('description', '')} {required}".rstrip()
            + " |"
        )


def _type(about: dict[str, Any]) -> str:
    """Describe a type in a few words, without the null that only means optional."""
    if "anyOf" in about:
        return " or ".join(_type(a) for a in about["anyOf"] if a.get("type") != "null")
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    if about.get("type") == "array":
        return f"list of {_type(about['items'])}"
    if about.get("type") == "string" and "pattern" not in about and "maxLength" in about:
        return f"text, at most {about['maxLength']} characters"
    if "maximum" in about:
        return f"{about.get('minimum', 0)} to {about['maximum']}"
    if "pattern" in about:
        return f"`{about['pattern'].strip('^$').replace('|', chr(92) + '|')}`"
    return {"boolean": "true or false"}.get(str(about.get("type")), str(about.get("type", "text")))
