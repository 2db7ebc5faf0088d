"""Lines for systemd's journal: each has one MESSAGE, whatever fields it has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import drd
from drd import journal
from tests.source import SEARCHED, parsed

pytestmark = SEARCHED

LOGS = frozenset({"debug", "info", "warning", "error", "get"})


def test_a_line_has_its_message_and_its_fields_in_capitals() -> None:
    line = journal.datagram("warning", "run.over plan=shop", {"plan": "shop", "not-a-name": "x"})
    assert line == (b"MESSAGE=run.over plan=shop\nPRIORITY=4\nSYSLOG_IDENTIFIER=drd\nPLAN=shop\n")


@pytest.mark.parametrize("name", ["message", "Message", "message_id", "priority"])
def test_a_field_that_the_journal_has_itself_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="rename it"):
        journal.datagram("info", "message.delivered", {name: "02f297eec9752147"})


def fields_of(source: str) -> Iterator[str]:
    """The names of fields that calls of a logger give."""
    for node in ast.walk(parsed(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LOGS
        ):
            yield from (k.arg for k in node.keywords if k.arg is not None)


def test_no_line_of_drd_has_such_a_field() -> None:
    [root] = drd.__path__
    named = {
        (str(file.relative_to(root)), name)
        for file in Path(root).rglob("*.py")
        for name in fields_of(file.read_text())
    }
    assert ("flows/alerts/outbox.py", "delivery") in named
    assert not {(file, name) for file, name in named if name.upper() in journal.OWN}
