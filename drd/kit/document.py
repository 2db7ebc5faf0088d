"""A document to print: a list of blocks, as Markdown and as one HTML page that needs no other
files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from drd.model.text import escaped, readable

_STYLE = """
body { font: 11pt/1.45 sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em; color: #111 }
h1 { font-size: 1.6em } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #999 }
h3 { font-size: 1.05em }
table { border-collapse: collapse }
th, td { border: 1px solid #999; padding: .25em .6em; text-align: left; vertical-align: top }
pre, code { font-size: 9pt } code { background: #f3f3f3; overflow-wrap: anywhere }
pre { background: #f3f3f3; border: 1px solid #bbb; padding: .6em; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: 9pt }
table.form td:last-child { min-width: 4em } table.form { width: 100% }
table.sheet { width: 100%; table-layout: fixed } table.sheet th { width: 7.5em }
table.sheet td { height: 2em; overflow-wrap: anywhere } table.sheet th:last-child { width: auto }
@page { margin: 15mm; @bottom-right { content: counter(page) " / " counter(pages) } }
@media print { body { margin: 0; max-width: none } h2, h3 { break-after: avoid } p { orphans: 2 }
  tr, pre { break-inside: avoid } p:has(+ pre) { break-after: avoid }
  .page { break-before: page } thead { display: table-header-group } }
"""


@dataclass(frozen=True, slots=True)
class Heading:
    """With `new_page`, paper begins a new page here."""

    level: int
    text: str
    new_page: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """With `waits`, a script waits here until a person has done what the text says. With `left`,
    the script says that a person has to do this, and continues."""

    text: str
    waits: bool = False
    left: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """With `form`, the table has a last column for handwriting. In a `sheet`, all empty cells have
    room for handwriting, and the columns have the same width, except the last one."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    form: bool = False
    sheet: bool = False


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands for bash; `shown` commands are to be read or adapted, and are not executed
    unchanged."""

    text: str
    shown: bool = False


@dataclass(frozen=True, slots=True)
class Removal:
    """The words of the command that removes what the next commands make of a component. A script
    writes them down, with the present values of `${NAME@Q}`."""

    component: str
    words: str

    @property
    def command(self) -> str:
        """The command that removes it, as a person types it in the shell of the other commands."""
        words = re.sub(r"\$\{(\w+)\[\*\]@Q\}", r'"${\1[@]}"', self.words)
        return re.sub(r"\$\{(\w+)@Q\}", r'"$\1"', words)


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks that restore a component, or its part of this `number`. A script that restored the
    part before leaves them out if `there`, a condition of bash, still holds."""

    component: str
    number: int
    blocks: tuple[Block, ...]
    there: str = ""


@dataclass(frozen=True, slots=True)
class Restoring:
    """All blocks that restore a component. A script in which they fail goes on after them."""

    component: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Following:
    """Blocks of a step or of checks. A script leaves them out, and names them as `what`, if a
    component before them could not be restored; those of a step `once` also if an earlier run of
    the script did them, and nothing was restored since."""

    what: str
    blocks: tuple[Block, ...]
    once: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment for programs, which a reader of the page does not see. `text` must not contain two
    hyphens: they would end the comment."""

    text: str


_Group = Stage | Restoring | Following
Block = Heading | Paragraph | Items | Table | Commands | Removal | _Group | Comment
Blocks = Sequence[Block]


def markdown(document: Blocks) -> bytes:
    return readable("\n".join(_markdown(block) for block in document)).encode()


def _removing(removal: Removal) -> tuple[Block, ...]:
    """Return what a reader of the page sees of it."""
    text = (
        f"If one of the commands below fails, this removes what they have made of "
        f"{removal.component}, so that you can begin with it again:"
    )
    return Paragraph(text), Commands(removal.command, shown=True)


def _markdown(block: Block) -> str:
    if isinstance(block, _Group):
        return "\n".join(map(_markdown, block.blocks))
    if isinstance(block, Removal):
        return "\n".join(map(_markdown, _removing(block)))
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}\n"
    if isinstance(block, Paragraph):
        return f"{block.text}\n"
    if isinstance(block, Comment):
        return f"<!-- {block.text} -->\n"
    if isinstance(block, Items):
        marks = [f"{n}." if block.numbered else "-" for n in range(1, len(block.items) + 1)]
        return "".join(f"{m} {i}\n" for m, i in zip(marks, block.items, strict=True))
    if isinstance(block, Table):
        rows = [block.header, tuple("---" for _ in block.header), *block.rows]
        return "".join(f"| {' | '.join(_cell(c) for c in row)} |\n" for row in rows)
    fence = "text" if block.shown else "bash"
    return f"```{fence}\n{block.text.rstrip()}\n```\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def html(document: Blocks, *, paper: str = "") -> bytes:
    """Return one page as HTML; `paper` is its size in print (`A4`), by default the size of the
    printer."""
    title = next((b.text for b in document if isinstance(b, Heading)), "")
    body = "\n".join(_html(block) for block in document)
    size = f"@page {{ size: {paper} }}\n" if paper else ""
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{_safe(title)}</title>\n<style>{_STYLE}{size}</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
    )
    return readable(page).encode()


def _html(block: Block) -> str:
    if isinstance(block, _Group):
        return "\n".join(map(_html, block.blocks))
    if isinstance(block, Removal):
        return "\n".join(map(_html, _removing(block)))
    if isinstance(block, Heading):
        page = ' class="page"' if block.new_page else ""
        return f"<h{block.level}{page}>{_safe(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{_with_code(block.text)}</p>"
    if isinstance(block, Comment):
        return f"<!-- {block.text} -->"
    if isinstance(block, Items):
        tag = "ol" if block.numbered else "ul"
        return f"<{tag}>{''.join(f'<li>{_with_code(i)}</li>' for i in block.items)}</{tag}>"
    if isinstance(block, Table):
        head = "".join(f"<th>{_safe(c)}</th>" for c in block.header)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_with_code(c)}</td>' for c in row)}</tr>\n" for row in block.rows
        )
        kept = ' class="form"' if block.form else ' class="sheet"' if block.sheet else ""
        return f"<table{kept}>\n<thead><tr>{head}</tr></thead>\n{rows}</table>"
    name = "shown" if block.shown else "bash"
    return f'<pre class="{name}">{escape(block.text.rstrip())}\n</pre>'


def _with_code(text: str) -> str:
    """Text between backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", _safe(text))


def _safe(text: str) -> str:
    """Text for a page: no character in a name can hide or turn what a reader sees."""
    return escape("\n".join(map(escaped, text.split("\n"))))
