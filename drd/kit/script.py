"""The commands of the printed page as a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import PurePosixPath
from shlex import quote
from textwrap import wrap

from drd.kit.document import (
    Block,
    Commands,
    Following,
    Heading,
    Items,
    Paragraph,
    Removal,
    Restoring,
    Stage,
)
from drd.model.kit import ROOT

_BEGIN = """\
#!/bin/bash
# Start it with: bash {start}
# It is the page {page}, section "By hand, without drd". If a component cannot be restored, it goes
# on with the others; it ends at any other command that fails.
SCRIPT=$(realpath -- "${{BASH_SOURCE[0]}}")
cd -P -- "$(dirname -- "$SCRIPT")/{up}"
# What is restored is noted here, where only this user can write, for a later run of the script.
NOTES=$PWD/{notes}
LEFT=0 RESTORING= SUCCEEDED=
COMPONENTS=({components}) RESTORED=() FAILED=() LEFT_OUT=() PASSED=()
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
restores() { # COMPONENT.PART: what is noted of it does not hold for what now comes
    RESTORING=$1
    ! is_ours "$NOTES" || rm -f -- "$NOTES/$1"
}
redo_steps() { # after a restore: in this run and later ones, the steps that come after it
    local file step
    is_ours "$NOTES" || return 0 # then no note counts
    for file in "$NOTES"/step-*.done; do
        step=${file##*/step-}
        [[ ! -e $file || " ${PASSED[*]} " == *" ${step%.done} "* ]] ||
            mv -fT -- "$file" "${file%.done}.former"
    done
}
is_restored() {
    local same
    redo_steps
    same=$(the_same)
    note "$RESTORING" "$same"
    RESTORING=
}
was_done() { # STEP, by an earlier run of this script, in the data that is still there
    local file=$NOTES/step-$1
    if was_restored "step-$1.done"; then
        echo "step $1: done before by this script ($(date -r "$file.done" '+%F %T')). To do it"
        echo "again, start the script again after: rm ${file@Q}.done"
        PASSED+=("$1")
        return 0
    elif was_restored "step-$1.former"; then
        echo "step $1: done before by this script, and now again, because data was restored since"
    elif was_restored "step-$1.begun"; then
        echo "step $1: begun before by this script, and perhaps not finished: now again"
    fi
    return 1
}
notes_step() { # STEP begun|done
    local same
    same=$(the_same)
    note "step-$1.$2" "$same"
    if [[ $2 == begun ]]; then
        rm -f -- "$NOTES/step-$1.done" "$NOTES/step-$1.former"
    else
        PASSED+=("$1")
    fi
}
failed_here() { # LINE COMMAND; a plain `false` follows a message
    [[ $2 == false ]] || printf 'This command failed (line %s of the script): %s\\n' "$1" "$2" >&2
}
attempt() { # COMPONENT: restore it; the first command that fails ends the attempt, not the script
    local code here=$PWD
    IN_USE= # set by commands that find a server of this host in the data
    set +e -E
    trap '[[ ${FUNCNAME[0]-} != restore_* ]] || ((BASH_SUBSHELL)) ||
        failed_here "$LINENO" "$BASH_COMMAND"
        [[ ${FUNCNAME[0]-} == attempt ]] || return 1' ERR
    "restore_$1"
    code=$?
    set -e +E
    trap 'failed_here "$LINENO" "$BASH_COMMAND"' ERR
    cd -- "$here"
    if ((code == 0)); then
        RESTORED+=("$1")
        return 0
    fi
    FAILED+=("$1")
    echo "$1 was not restored completely. The script goes on with the other components." >&2
    tell_removal "$1"
    RESTORING=
}
all_restored() { # WHAT follows: only if every component before it is restored
    ((${#FAILED[@]})) || return 0
    local failed="${FAILED[*]}"
    echo "Left out, because ${failed// /, } could not be restored: $1" >&2
    LEFT_OUT+=("$1")
    return 1
}
tell_removal() { # COMPONENT that was being restored
    [[ -z ${IN_USE-} ]] || return 0 # nobody shall remove what a server uses
    local made=$NOTES/$RESTORING.made
    [[ -n $RESTORING ]] || made=$(compgen -G "$NOTES/$1.*.made" | tail -n 1 || true)
    [[ -f $made ]] && is_ours "$NOTES" && is_ours "$made" || return 0
    if [[ -n $RESTORING ]]; then
        echo "What the script made of $1 ($(date -r "$made" '+%F %T')) is perhaps incomplete. If"
        echo "nothing else was put there since then, remove it before you start the script again:"
    else
        echo "A part of $1 is restored ($(date -r "$made" '+%F %T')), and the script goes on after"
        echo "it when you start it again. To restore this part again, remove it first, if"
        echo "nothing else was put there since then:"
    fi
    echo "  $(< "$made")"
} >&2
at_the_end() {
    local one same
    ! declare -F stop_servers >/dev/null || stop_servers || true # says itself what still runs
    [[ -z $SUCCEEDED ]] || return 0
    [[ -n $RESTORING${RESTORED[*]}${FAILED[*]} || -d $NOTES ]] || return 0 # nothing was begun
    echo
    if [[ -n $RESTORING ]]; then
        echo "The script ended before ${RESTORING%.*} was restored completely."
        tell_removal "${RESTORING%.*}"
        FAILED+=("${RESTORING%.*}")
    fi
    for one in "${COMPONENTS[@]}"; do
        if [[ " ${RESTORED[*]} " == *" $one "* ]]; then
            echo "restored:     $one"
        elif [[ " ${FAILED[*]} " == *" $one "* ]]; then
            echo "NOT restored: $one (see above)"
        else
            echo "NOT restored: $one (not begun)"
        fi
    done
    for one in "${LEFT_OUT[@]}"; do
        echo "left out:     $one"
    done
    same="${COPY:+COPY=${COPY@Q} }${UNTIL:+UNTIL=${UNTIL@Q} }"
    echo "Correct the cause, then start the script again: ${same}bash ${SCRIPT@Q}"
    [[ ! -d $NOTES ]] || echo "The script then skips what it has already restored and done."
} >&2
AT_END=at_the_end
trap 'eval "$AT_END"' EXIT
trap 'failed_here "$LINENO" "$BASH_COMMAND"' ERR
"""


_END = """\
((${#FAILED[@]} == 0)) || exit 1
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
        components=" ".join(b.component for b in blocks if isinstance(b, Restoring)),
        functions=_NOTES,
    )
    parts = [begin, *_lines(blocks)]
    return "\n".join([*parts, _END]).encode("utf-8", "backslashreplace")


def _lines(blocks: Sequence[Block]) -> Iterator[str]:
    said: Block | None = None
    for block, after in zip_longest(blocks, blocks[1:]):
        if isinstance(block, Stage | Restoring | Following):
            yield from _group(block)
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


def _group(group: Stage | Restoring | Following) -> Iterator[str]:
    if isinstance(group, Stage):
        yield from _stage(group)
    elif isinstance(group, Restoring):
        yield "\n".join([f"restore_{group.component}() {{", *_lines(group.blocks), ":", "}"])
        yield f"attempt {group.component}\n"
    else:
        undone = f" && ! was_done {group.once}" if group.once else ""
        yield f"if all_restored {quote(group.what)}{undone}\nthen"
        if group.once:
            yield f"notes_step {group.once} begun\n"
        yield from _lines(group.blocks)
        yield f"notes_step {group.once} done\nfi\n" if group.once else ":\nfi\n"


def _stage(stage: Stage) -> Iterator[str]:
    """Yield the commands of a stage, which a later run leaves out if they have succeeded."""
    part, lines = f"{stage.component}.{stage.number}", _lines(stage.blocks)
    if not stage.there:
        yield f"restores {part}\n"
        yield from lines
        yield "redo_steps\nRESTORING=\n"
        return
    told = f"{stage.component}: restored before by this script, from the same restore point"
    yield f"if was_restored {part} &&\n    {stage.there}\nthen\n    echo {quote(told)}\nelse"
    yield f"restores {part}\n"
    yield from lines
    yield "is_restored\nfi\n"
