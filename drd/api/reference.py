"""Make docs/api.md: the requests from the models, and the rights from the table that decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drd.api.handler import AT_WORK, LARGEST_BODY
from drd.api.requests import LONGEST_TEXT, Request
from drd.api.rights import ENDPOINTS, HOLDERS, ROOT_ONLY, Endpoint
from drd.api.server import BURST, CONNECTIONS, DEADLINE_S, OF_A_USER, RATE

INTRODUCTION = f"""\
# The daemon's socket

People who do not own the state ask the daemon, through the Unix socket `drd.sock` in `public_dir`
(`/var/lib/drd-public`): HTTP and JSON, one request a connection. The command line does that by
itself for every user other than root and drd's user. Programs can do it, too:

```
curl --unix-socket /var/lib/drd-public/drd.sock http://drd/v1/runs?limit=5
```

The kernel says who asks: the user and all groups of the process that connected (`SO_PEERCRED`,
`SO_PEERGROUPS`), as they were when it did, and the login behind it, which drd reads as soon as it
accepts the connection. If that process has ended by then, the login is unknown, and
`login_known` of the record is false: such a request cannot approve a step that needs two persons.
The daemon has no login and no key. The socket has an access control list (`getfacl`) with
the two groups and the users whom `drd.yaml` maps: the kernel refuses all other users (permission
denied), however often they try. The daemon checks every 30 s, and at a reload, whether groups or
users have changed. On a file system without such lists everybody can connect; the daemon then
refuses users without rights at once, but such a user can make others wait by connecting in a loop.

Answers are the documents that the command line prints with `--json`, `schema` first. A request that
fails has another status than 200 and `{{"schema": 1, "error": {{"message", "hint", "exit"}}}}`: the
exit code is that of the command.

A request holds names, the options below, and in `comment` and `reason` text of at most
{LONGEST_TEXT} characters, which drd keeps as data: all output escapes its control characters. A
request has no path, no command, no SQL and no plan. Unknown keys are refused. `by` is a claim: drd
keeps it beside the user that the kernel reports.

Limits: {LARGEST_BODY >> 10} KiB a request, {DEADLINE_S:.0f} s for all of it, {RATE:.0f} requests a
second of one user ({BURST:.0f} at once), {OF_A_USER} connections of one user and {CONNECTIONS} of
all at a time, {AT_WORK} that are processed. A request over a limit gets 413, 429, 431 or 503. A
request that is cut off, or has a key or a Content-Length twice, gets 400.

A later version may add keys to answers and optional keys to requests. A change that would break
a program gets another path than `/v1`.

## Who may what

"""

ROOT = "root alone, in a terminal"


def reference() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, rights_table(), "", *_root_only(), "", "## What can be asked", ""]
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
        "The groups are `groups: {read, operate}` of `drd.yaml`. A mapped person is one of",
        "`people` with a `user`: requests of that user count as this person's, and only the roles",
        "of the person decide the rights, also when the user is in a group. Approvals and manual",
        "steps with a role need a person who has this role: a mapped person, or a member of the",
        "operating group who names with `--by` a person that `drd.yaml` does not map. `drd status`",
        "does not ask the daemon: it reads a summary beside the socket, which only the group `drd`",
        "can read.",
        "Without a daemon all other commands need root.",
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
