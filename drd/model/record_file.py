"""The file of exported records: lines of text, which a shell script can check as well.

    drd records 1
    header CANONICAL-JSON
    signature KEY-ID BASE64          or: signature - -
    body SALT CANONICAL-JSON         or: body - redacted, body - withheld, body - sealed BASE64

A sealed body is an age file: the salt, a line feed, the text, a line feed, of which the digest is.

It comes from elsewhere, so it is read strictly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from drd.model.malformed import Malformed
from drd.model.records import NEEDED, Body, Entry, Header
from drd.model.units import from_rfc3339

FIRST_LINE = "drd records 1"
LONGEST_LINE = 16 << 20
MOST_ENTRIES = 5_000_000
_KEY_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}|", re.ASCII)
_SALT = re.compile(r"[0-9a-f]{16,64}", re.ASCII)
_SEALED = re.compile(r"sealed [A-Za-z0-9+/]{40,}={0,2}", re.ASCII)
_SIGNATURE = re.compile(r"[A-Za-z0-9+/=]{1,100}", re.ASCII)


Hides = Callable[[Entry], str | None]
"""Returns what a file contains instead of the body of an entry: the encrypted body, or "" if it
contains nothing instead. None if everybody who gets the file may read the body."""


def hides_nothing(_: Entry) -> None:
    """Leave all bodies as they are."""


def lines_of(
    entries: Iterable[Entry],
    *,
    shows: frozenset[int] | None = None,
    hides: Hides = hides_nothing,
) -> Iterator[str]:
    """The lines of the file. `shows` are the entries whose bodies it contains; None: all. The
    bodies of keys and redactions are always in it: the check needs them.
    """
    yield FIRST_LINE
    for entry in entries:
        yield from lines_of_one(entry, hides, shown=shows is None or entry.seq in shows)


def lines_of_one(
    entry: Entry, hides: Hides = hides_nothing, *, shown: bool = True
) -> Iterator[str]:
    """Yield the lines of one entry; with its body if `shown` is true."""
    yield f"header {entry.header.message().decode()}"
    yield f"signature {entry.key or '-'} {entry.signature or '-'}"
    hidden = entry.sealed or hides(entry)
    if entry.body is None and not entry.sealed:
        yield "body - redacted"
    elif hidden is not None:
        yield f"body - sealed {hidden}" if hidden and shown else "body - withheld"
    elif entry.body is not None and (shown or entry.header.kind in NEEDED):
        yield f"body {entry.body.salt} {entry.body.text}"
    else:
        yield "body - withheld"


@dataclass(slots=True)
class RecordFile:
    """The entries of a file, and the entries whose bodies the file leaves out, or contains only
    encrypted."""

    entries: list[Entry] = field(default_factory=list)
    withheld: set[int] = field(default_factory=set)


def read(lines: Iterable[str]) -> RecordFile:
    """Read the lines of a file. Raises Malformed with the number of the line."""
    read_file = RecordFile()
    pending: list[str] = []
    number = 0
    for number, raw in enumerate(lines, 1):
        line = raw.removesuffix("\n")
        if len(line) > LONGEST_LINE:
            raise Malformed(f"line {number} is too long")
        if number == 1:
            if line != FIRST_LINE:
                raise Malformed(f"the first line is not {FIRST_LINE!r}")
            continue
        pending.append(line)
        if len(pending) == 3:
            _add(read_file, pending, number)
            pending = []
            if len(read_file.entries) > MOST_ENTRIES:
                raise Malformed(f"there are more than {MOST_ENTRIES:,} entries")
    if pending or not number:
        raise Malformed(f"the file is cut off in an entry, after line {number}")
    return read_file


def _add(read_file: RecordFile, lines: list[str], number: int) -> None:
    try:
        header = _header(_after("header", lines[0]))
        key, signature = _after("signature", lines[1]).split(" ")
        salt, text = _after("body", lines[2]).split(" ", 1)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Malformed(
            f"lines {number - 2} to {number} are not an entry of the records"
        ) from error
    signed = (key, signature) != ("-", "-")
    if signed and not (_KEY_ID.fullmatch(key) and _SIGNATURE.fullmatch(signature)):
        raise Malformed(f"line {number - 1} is not the signature of an entry")
    body, sealed = None, ""
    if salt != "-":
        if not _SALT.fullmatch(salt):
            raise Malformed(f"line {number} is not the body of an entry")
        body = Body(salt, text)
    elif text == "withheld":
        read_file.withheld.add(header.seq)
    elif _SEALED.fullmatch(text):
        read_file.withheld.add(header.seq)
        sealed = text.removeprefix("sealed ")
    elif text != "redacted":
        raise Malformed(f"line {number} is not the body of an entry")
    signing = (key, signature) if signed else ("", "")
    read_file.entries.append(Entry(header, header.hash, *signing, body, sealed))


def _after(word: str, line: str) -> str:
    if not line.startswith(f"{word} "):
        raise Malformed(f"this line does not contain a {word}")
    return line[len(word) + 1 :]


def _header(text: str) -> Header:
    data: Any = json.loads(text)
    actor = data["actor"]
    header = Header(
        seq=_number(data["seq"]),
        at=_moment(data["at"]),
        actor_kind=_word(actor["kind"]),
        actor_name=_word(actor["name"]),
        came=_word(actor["came"]),
        subject=_word(data["subject"]),
        kind=_word(data["kind"]),
        digest=_hash(data["digest"]),
        previous=_hash(data["previous"]),
    )
    # What is hashed is made from the values: anything else in the text would be unseen.
    if header.message().decode() != text:
        raise Malformed("the header does not have the form that drd writes")
    return header


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("a value of the header is not text")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Malformed("the number of an entry is not a number, or less than 1")
    return value


def _moment(value: Any) -> datetime:
    return from_rfc3339(_word(value))


def _hash(value: Any) -> str:
    if not _HASH.fullmatch(_word(value)):
        raise Malformed("a hash in the header is not a hash")
    return str(value)
