"""Make text safe to show, and shorten errors."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_ID = r"[0-9a-f]{64}"
_LONE = r"[\ud800-\udc7f\udd00-\udfff]"
"""Halves of a character that stand for no byte; JSON can contain them."""


def escaped(text: str) -> str:
    """Return one line that no terminal, mail or log interprets: control characters, marks that
    change the direction of writing, and bytes that are no UTF-8 are escaped.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable(text)
    )


def readable(text: str) -> str:
    """Return the text with an escape, like `\\xe9`, for each byte that is no UTF-8: for documents
    and programs, which take every other character."""
    if text.isascii():
        return text
    text = re.sub(_LONE, lambda half: f"\\u{ord(half[0]):04x}", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def storable(text: str) -> str:
    """Return the text as the catalogue and the records have it: what no database takes (NUL, bytes
    of a file's name that are not UTF-8) is a backslash escape."""
    return readable(text).replace("\0", "\\x00")


def short_id(recorded: str) -> str:
    """Shorten an id of a repository or snapshot for messages. A value that is no id is not
    repeated.
    """
    return recorded[:8] if re.fullmatch(_ID, recorded) else "with an invalid id"


def in_commands(text: str, *, plan: str = "", run: str = "", component: str = "") -> str:
    """Put the plan, the run and the component into the commands of a remedy that has the words
    PLAN, RUN and COMPONENT in their places, because the code that wrote it does not know them."""
    if component:
        text = text.replace("--component COMPONENT", f"--component {component}")
    names = {"PLAN": plan, "RUN": run}
    return re.sub(
        r"\b(drd (?:[a-z]+ )+)(PLAN|RUN)\b",
        lambda found: found[1] + (names[found[2]] or found[2]),
        text,
    )


def by_file(text: str, plan: str, file: str) -> str:
    """Name a plan by its file in the commands of a remedy, because drd does not find the plan by
    its name; `file` is quoted for a shell."""
    name = rf"\b(drd (?:[a-z]+ ){{1,2}}){re.escape(plan)}(?![\w-])"
    return re.sub(name, lambda found: found[1] + file, text)


def in_one_line(text: str) -> str:
    """Return in one line a text that may have several: the output of a program, or commands, one a
    line.
    """
    return "; ".join(line.strip() for line in text.strip().splitlines())


def without_output(fact: str) -> str:
    """Return a fact without the output of a program at its end, except the first line of the
    output: `pg_dump exited with 1: connection refused`. drd's own facts have one line.
    """
    return fact.strip().split("\n", 1)[0].strip()


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters: a longer one ends with `…`, if possible after a
    whole word.
    """
    if len(text) <= most:
        return text
    head = text[: most - 1]
    words = head.rpartition(" ")[0]
    return (words if len(words) > most * 3 // 5 else head).rstrip(" :;,(") + "…"


def without_middle(text: str, most: int) -> str:
    """Return a text of about `most` characters: if it is longer, its beginning and its end, and
    between them how many characters are missing."""
    if len(text) <= most:
        return text
    head, tail = text[: most // 4], text[-(most - most // 4) :]
    missing = len(text[len(head) : -len(tail)].encode("utf-8", "replace"))
    return f"{head} … {missing:,} bytes left out … {tail}"


def left_out(count: int) -> str:
    """Return the text that follows the first of several names if `count` are left out:
    ` and 4 more`.
    """
    return f" and {count:,} more" if count > 0 else ""


def and_more(count: int) -> str:
    """Return the text that follows the first of several problems if `count` are left out."""
    return f" (and {count} more)" if count > 0 else ""


def some(names: Collection[object], most: int = 3, *, between: str = ", ") -> str:
    """List the first few, and the number of the others: `a, b, c and 4 more`."""
    told = between.join(str(name) for name, _ in zip(names, range(most), strict=False))
    more = left_out(len(names) - most)
    return f"{told};{more}" if more and between == "; " else told + more


def either(names: Iterable[object]) -> str:
    """List names of which exactly one applies: `a`, `a or b`, `a, b or c`."""
    *others, last = [str(name) for name in names] or [""]
    return f"{', '.join(others)} or {last}" if others else last


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 file`, `1,234 files`, `2 entries`."""
    return f"{count:,} {noun(count, one, many)}"


def noun(count: int, one: str, many: str = "") -> str:
    """Return the noun of `counted` without its number."""
    return one if count == 1 else many or f"{one}s"


def with_article(noun: str) -> str:
    """Return a noun with its article: an exercise, a playbook."""
    return f"{'an' if noun[:1] in set('aeiou') else 'a'} {noun}"


def itself(made_by: str) -> str:
    """Return what remedies call the tool that is to be used instead of drd."""
    return "the tool that makes the copies" if made_by == "command" else f"{made_by} itself"


def called(made_by: str) -> str:
    """Return what sentences call a tool, by its name in a plan or in the id of a point."""
    return "another tool" if made_by == "command" else made_by
