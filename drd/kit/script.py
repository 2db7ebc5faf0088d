"""The commands of the printed page as a script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from shlex import quote
from textwrap import wrap

from drd.kit.document import Block, Commands, Heading, Items, Paragraph
from drd.model.kit import ROOT

_BEGIN = """\
#!/bin/bash
# Start it with: bash {start}
# It is the page {page}, section "By hand, without drd", and ends at the first command that fails.
cd -- "$(dirname -- "${{BASH_SOURCE[0]}}")/{up}"
LEFT=0
left_to_you() {{
    printf 'This script does not do this, it is left to you: %s\\n' "$1"
    LEFT=$((LEFT + 1))
}}
a_person_does() {{
    printf '%s\\n' "$1"
    read -r -p 'When this is done, press Enter (Ctrl-C ends the script): ' </dev/tty
}}
"""


_END = """\
echo 'Every command succeeded.'
[[ $LEFT == 0 ]] || echo "Left to you (see above): $LEFT"
"""


def script_file(plan: str, target: str | None, *, several: bool) -> str:
    """Return the path in the kit of the script for a target; `several`: the plan has more."""
    return f"runbooks/{plan}/recover-by-hand{f'-{target}' if several else ''}.sh"


def script(blocks: Sequence[Block], *, file: str, page: str) -> bytes:
    """Return the script; `file` and `page` are the paths in the kit."""
    up = "/".join(".." for _ in PurePosixPath(file).parent.parts)
    parts = [_BEGIN.format(start=f"{ROOT}/{file}", page=page, up=up), *_lines(blocks)]
    return "\n".join([*parts, _END]).encode("utf-8", "backslashreplace")


def _lines(blocks: Sequence[Block]) -> Iterator[str]:
    said: Block | None = None
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if isinstance(block, Heading):
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
