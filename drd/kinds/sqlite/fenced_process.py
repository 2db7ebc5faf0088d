"""The fenced process that opens a database file of a drill, so that no other process of drd reads
it.

A file that was made to exploit SQLite affects only this process, which is behind a fence and has
access to nothing else. It reads questions as lines of JSON and answers each with one line.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from drd.errors import DrdError, SourceUnreachable
from drd.kinds.sqlite import database


def main() -> None:
    """Answer questions until the input ends."""
    for line in sys.stdin:
        question = json.loads(line)
        sys.stdout.write(f"{json.dumps(_answered(question))}\n")
        sys.stdout.flush()


def _answered(question: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"value": _DO[question["do"]](Path(question["path"]), question)}
    except DrdError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}


def _sound(path: Path, question: Mapping[str, Any]) -> None:
    database.check_integrity(path, called=Path(question["called"]), quick=True)


def _properties(path: Path, _: Mapping[str, Any]) -> dict[str, Any]:
    with closing(database.connect(path, immutable=True)) as connection:
        return database.properties(connection)


def _scalar(path: Path, question: Mapping[str, Any]) -> Any:
    with closing(_opened(path)) as connection:
        return database.single_value(connection, question["query"], timeout_s=question["timeout_s"])


def _execute(path: Path, question: Mapping[str, Any]) -> int:
    return database.execute(path, question["statements"], timeout_s=question["timeout_s"])


def _fingerprint(path: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    with closing(_opened(path)) as connection:
        return database.take_fingerprint(
            connection, path, digests=question["digests"], budget_s=question["budget_s"]
        ).to_json()


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return database.connect(path)
    except sqlite3.Error as error:
        raise SourceUnreachable(f"cannot open {path}: {error}") from error


_DO: Mapping[str, Callable[[Path, Mapping[str, Any]], Any]] = {
    "sound": _sound,
    "properties": _properties,
    "scalar": _scalar,
    "execute": _execute,
    "fingerprint": _fingerprint,
}
