"""Recovery by hand from copies that another tool has made: the commands that choose a copy, and
describe it as the commands of the kinds expect."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from shlex import quote
from typing import Any

from drd.kit import stanza_by_hand
from drd.kit.document import Block, Commands, Heading, Paragraph
from drd.model.adopted import Adopted, CommandTool
from drd.model.plan import Component
from drd.registry import KINDS

_HOLDS = """\
.paths as $roots | all($wanted[]; . as $path | any($roots[]; . as $root |
    $root == "/" or $path == $root or ($path | startswith($root + "/"))
    or ($root | startswith($path + "/"))))"""


def without(left_out: Sequence[str]) -> str:
    """Return a sentence, with a space at its end, about copies that the commands do not choose."""
    if not left_out:
        return ""
    return f"The commands leave out {', '.join(left_out)}, which drd could not restore in a drill. "


def choosing(adopted: Adopted, left_out: Sequence[str] = ()) -> Iterator[Block]:
    """Yield the commands that take the place of reading a manifest of drd's. `left_out` are copies
    that a drill could not restore."""
    if left_out and (adopted.command is not None or adopted.stanza is not None):
        yield Paragraph(
            f"drd could not restore {', '.join(left_out)} in a drill. If the commands below "
            "choose such a copy, choose an older copy."
        )
    if adopted.command is not None:
        yield Heading(3, "Choose the copy")
        yield Paragraph(
            "These commands choose the newest copy. To choose another copy, first set COPY "
            f"to the name of that copy{stanza_by_hand.PRESET}. The commands below call "
            "`restic`: on this page `restic` is a function that calls the `restore` command "
            "of the plan."
        )
        yield Commands(_of_commands(adopted, adopted.command))
        return
    if adopted.stanza is not None:
        yield from stanza_by_hand.choosing(adopted)
        return
    yield Commands(f"restic snapshots {_only(adopted)}".rstrip() + "\n")
    yield Heading(3, "Choose the copy")
    yield Paragraph(
        f"These commands choose the newest copy of {adopted.made_by} that contains all paths "
        f"of the plan. {without(left_out)}To choose another copy, first set COPY to the id "
        f"of that copy from the list above{stanza_by_hand.PRESET}."
    )
    yield Commands(_choice(adopted, left_out))


_ACCEPTED = r"""def offset:
    if . == "Z" then 0
    else .[:1] as $sign | (.[1:3] | tonumber) * 3600 + (.[4:6] | tonumber) * 60
        | if $sign == "-" then -. else . end
    end;
def seconds:
    if type == "number" then .
    else capture("\\A(?<t>[0-9-]{10}T[0-9:]{8})([.][0-9]+)?(?<z>Z|[+-][0-9]{2}:[0-9]{2})\\z")
        | ("\(.t)Z" | fromdateiso8601) - (.z | offset)
    end;
[inputs | fromjson? | objects
    | select((.name | type) == "string" and (.bytes | type) == "number" and .bytes > 0)
    | select(.name | test("\\A(?!-)[A-Za-z0-9_.:@+=,~%-]+(/[A-Za-z0-9_.:@+=,~%-]+)*\\z"))
    | select(.name | split("/") | any(. == "." or . == "..") | not)
    | .at = (.time | seconds)?]
| group_by(.name) | map(unique | select(length == 1) | .[0]) | sort_by(.at)"""
"""Matches the names that drd accepts for copies; other names could lead elsewhere, or be
options."""


_TABLE = """.[] | [(.at | floor | todate), "\\(.bytes) bytes", .name,
    if .at > now then "dated in the future: not chosen" else empty end] | @tsv"""


def _of_commands(adopted: Adopted, command: CommandTool) -> str:
    lists = " ".join(map(quote, command.list))
    restores = " ".join(map(_word, command.restore))
    return f"""\
{lists} > listed.json
jq -Rn {quote(_ACCEPTED)} listed.json > copies.json
jq -r {quote(_TABLE)} copies.json
[[ -n ${{COPY:-}} ]] || COPY=$(jq -er '[.[] | select(.at <= now)] | last | .name' copies.json)
AT=$(jq -er --arg copy "$COPY" '[.[] | select(.name == $copy)] | last | .at | floor' copies.json)
{stanza_by_hand.noted(_rows(adopted))}
snapshot() {{ echo "$COPY"; }}
restic() {{
    local verb=$1 INTO=
    while [[ $# -gt 0 ]]; do
        [[ $1 != --target ]] || INTO=$2
        shift
    done
    [[ $verb == dump || $verb == restore ]] || {{ echo "no command for restic $verb"; false; }}
    {restores}
}}
fact() {{
    jq -er --arg c "$1" --arg f "$2" \\
        '.components[] | select(.component == $c) | .facts[$f]' manifest.json
}}
"""


def _word(word: str) -> str:
    """Return a word of a command for bash, with the name of the copy and the directory."""
    for name, variable in (("copy", "COPY"), ("into", "INTO")):
        head, reference, rest = word.partition(f"${{{name}}}")
        if reference:
            return f'{_word(head) if head else ""}"${variable}"{_word(rest) if rest else ""}'
    return quote(word)


def _only(adopted: Adopted) -> str:
    return " ".join(f"--{key} {quote(value)}" for key, value in adopted.only)


def _choice(adopted: Adopted, left_out: Sequence[str]) -> str:
    paths = [path for c in adopted.components for path in _paths(c)]
    dumps = " ".join(quote(c.copied_as) for c in adopted.components if c.copied_as)
    return f"""\
[[ -n ${{COPY:-}} ]] || COPY=$(restic snapshots --json {_only(adopted)} |
    jq -er --argjson wanted {quote(json.dumps(paths))} {quote(_select(left_out))})
{_FUNCTIONS}\
AT=$(date -d "$(restic snapshots --json "$COPY" | jq -er '.[0].time')" +%s)
for DUMP in {dumps}; do
    MADE=$(date -d "$(entry "$DUMP" .mtime)" +%s)
    (( MADE > AT )) || AT=$MADE
done
{stanza_by_hand.noted(_rows(adopted))}
"""


_FUNCTIONS = """\
snapshot() { echo "$COPY"; }
part() { jq -er --arg c "$1" '.components[] | select(.component == $c) | '"$2" manifest.json; }
entry() {
    restic ls --json "$COPY" "$1" | jq -er --arg path "$1" 'select(.path == $path) | '"$2"
}
fact() {
    case $2 in
        mode) entry "$(part "$1" .file)" '.mode % 4096' ;;
        uid | gid) entry "$(part "$1" .file)" ".$2" ;;
        *) part "$1" ".facts.$2" ;;
    esac
}
"""


def _select(left_out: Sequence[str]) -> str:
    others = ""
    if left_out:
        names = ", ".join(json.dumps(name) for name in left_out)
        others = f" | select([.id | startswith({names})] | any | not)"
    return f"[.[] | select({_HOLDS}){others}] | sort_by(.time) | last | .id"


def _rows(adopted: Adopted) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for component in adopted.components:
        path = next(iter(_paths(component)), "/")
        facts = {"filename": path.lstrip("/"), **_own_facts(component)}
        rows.append({"component": component.name, "file": path, "facts": facts})
    return rows


def _own_facts(component: Component) -> dict[str, str | int]:
    """Return the facts that the commands of the kinds ask for."""
    path = getattr(component.settings, "path", None)
    if path is not None:
        return {"path": str(path), "mode": 0o600, "uid": 0, "gid": 0}
    return {"database": component.name}


def _paths(component: Component) -> tuple[str, ...]:
    return KINDS[component.kind].in_copies(component)
