"""The commands of the printed page as a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from shlex import quote
from textwrap import wrap

from drd.kit.document import Block, Commands, Heading, Items, Paragraph, Removal, Stage
from drd.model.kit import ROOT

_BEGIN = """\
#!/bin/bash
# Start it with: bash {start}
# It is the page {page}, section "By hand, without drd", and ends at the first command that fails.
SCRIPT=$(realpath -- "${{BASH_SOURCE[0]}}")
cd -- "$(dirname -- "$SCRIPT")/{up}"
# What is restored is noted here, where only this user can write, for a later run of the script.
NOTES=$PWD/{notes}
LEFT=0 RESTORING= SUCCEEDED=
left_to_you() {{
    printf 'This script does not do this, it is left to you: %s\\n' "$1"
    LEFT=$((LEFT + 1))
}}
a_person_does() {{
    printf '%s\\n' "$1"
    read -r -p 'When this is done, press Enter (Ctrl-C ends the script): ' </dev/tty
}}
{functions}"""

_NOTES = """\
is_ours() {
    [[ -O $1 && ! -L $1 && $(stat -c %a -- "$1") == *00 ]]
}
the_same() { # what has to be the same in a later run: this script, and the restore point
    { cat -- "$SCRIPT" manifest.json; printf '%s\\n' "${COPY-}" "${UNTIL-}"; } | sha256sum
}
note() { # FILE TEXT
    [[ -d $NOTES ]] || mkdir -p -m 700 -- "$NOTES"
    is_ours "$NOTES" || { echo "other users can change $NOTES: remove it" >&2; return 1; }
    rm -f -- "$NOTES/$1"
    (umask 077 && printf '%s\\n' "$2" > "$NOTES/$1")
}
was_restored() { # COMPONENT.PART
    local file=$NOTES/$1
    [[ -f $file ]] && is_ours "$NOTES" && is_ours "$file" && [[ $(< "$file") == "$(the_same)" ]]
}
is_restored() {
    local same
    same=$(the_same)
    note "$RESTORING" "$same"
    RESTORING=
}
at_the_end() {
    local made=$NOTES/$RESTORING.made of=${RESTORING%.*}
    [[ -z $SUCCEEDED && ( -n $RESTORING || -d $NOTES ) ]] || return 0
    echo
    [[ -z $RESTORING ]] || echo "The script ended before $of was restored completely."
    if [[ -n $RESTORING && -f $made ]] && is_ours "$NOTES" && is_ours "$made"; then
        echo "What it made of $of ($(date -r "$made" '+%F %T')) is perhaps incomplete. If"
        echo "nothing else was put there since then, remove it before you start the script again:"
        echo "  $(< "$made")"
    fi
    local same="${COPY:+COPY=${COPY@Q} }${UNTIL:+UNTIL=${UNTIL@Q} }"
    echo "Correct the cause, then start the script again: ${same}bash ${SCRIPT@Q}"
    echo "It leaves out what it has restored and compared completely."
} >&2
AT_END=at_the_end
trap 'eval "$AT_END"' EXIT
"""


_END = """\
SUCCEEDED=1
echo 'Every command succeeded.'
[[ $LEFT == 0 ]] || echo "Left to you (see above): $LEFT"
"""


def script_file(plan: str, target: str | None, *, several: bool) -> str:
    """Return the path in the kit of the script for a target; `several`: the plan has more."""
    return f"runbooks/{plan}/recover-by-hand{f'-{target}' if several else ''}.sh"


def script(blocks: Sequence[Block], *, file: str, page: str) -> bytes:
    """Return the script; `file` and `page` are the paths in the kit."""
    up = "/".join(".." for _ in PurePosixPath(file).parent.parts)
    place = PurePosixPath(file)
    begin = _BEGIN.format(
        start=f"{ROOT}/{file}",
        page=page,
        up=up,
        notes=f"recovered/{place.parent.name}/.{place.stem}",
        functions=_NOTES,
    )
    parts = [begin, *_lines(blocks)]
    return "\n".join([*parts, _END]).encode("utf-8", "backslashreplace")


def _lines(blocks: Sequence[Block]) -> Iterator[str]:
    said: Block | None = None
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if isinstance(block, Stage):
            yield from _stage(block)
        elif isinstance(block, Removal):
            yield f'note "$RESTORING.made" "{block.words}"\n'
        elif isinstance(block, Heading):
            yield f"printf '\\n== %s\\n' {quote(block.text)}"
        elif isinstance(block, Paragraph) and (block.waits or block.left):
            said = after if isinstance(after, Commands) and after.shown else None
            words = [block.text, said.text] if isinstance(said, Commands) else [block.text]
            does = "a_person_does" if block.waits else "left_to_you"
            yield f"{does} {quote(chr(10).join(words).strip())}\n"
        elif isinstance(block, Paragraph):
            yield "\n".join(f"# {line}" for line in wrap(block.text, 96))
        elif isinstance(block, Items):
            yield "\n".join(f"# - {item}" for item in block.items)
        elif isinstance(block, Commands) and block is not said:
            lines = block.text.splitlines()
            yield "\n".join(f"#     {x}" for x in lines) + "\n" if block.shown else block.text


def _stage(stage: Stage) -> Iterator[str]:
    """Yield the commands of a stage, which a later run leaves out if they have succeeded."""
    part, lines = f"{stage.component}.{stage.number}", _lines(stage.blocks)
    if not stage.there:
        yield f"RESTORING={part}\n"
        yield from lines
        yield "RESTORING=\n"
        return
    told = f"{stage.component}: restored before by this script, from the same restore point"
    yield f"if was_restored {part} &&\n    {stage.there}\nthen\n    echo {quote(told)}\nelse"
    yield f"RESTORING={part}\n"
    yield from lines
    yield "is_restored\nfi\n"
