"""What a `count` command prints: the fingerprint of a component."""

from __future__ import annotations

from drd.errors import SourceError
from drd.kinds.command.run import Runner, said
from drd.masking import masked
from drd.model.snapshot import DatabaseFingerprint, TableState
from drd.process import run

WHOLE = "all"
"""The name of what one number counts."""

_MOST_LINES = 100_000
_LONGEST_NAME = 200


def count(runner: Runner, *, budget_s: float) -> DatabaseFingerprint:
    """Run the `count` command. Raises SourceError, DeadlineExceeded."""
    words = runner.settings.count
    assert words is not None
    tables: dict[str, TableState] = {}

    def take(line: str) -> None:
        if len(tables) >= _MOST_LINES:
            raise _unusable(runner, f"printed more than {_MOST_LINES:,} lines")
        if line.strip():
            _take(runner, line, tables)

    done = run(runner.command("count", words, deadline_s=budget_s), on_line=take)
    if done.exit_code != 0:
        raise SourceError(
            f"count command of {runner.component} {said(done)}", hint=runner.by_hand_hint(words)
        )
    if not tables:
        raise _unusable(runner, "printed nothing")
    return DatabaseFingerprint("counts", tables)


def _take(runner: Runner, line: str, tables: dict[str, TableState]) -> None:
    name, tab, number = line.rstrip("\r\n").rpartition("\t")
    name, number = (name if tab else WHOLE), number.strip()
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise _unusable(runner, f"printed a line that does not end with a number: {line[:60]!r}")
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise _unusable(runner, f"printed a name that drd does not accept: {name[:60]!r}")
    if masked(name) != name:
        raise _unusable(runner, "printed a secret of the plan in a name")
    if name in tables:
        raise _unusable(runner, f"printed {name} twice")
    tables[name] = TableState(int(number))


def _unusable(runner: Runner, what: str) -> SourceError:
    return SourceError(
        f"count command of {runner.component} {what}",
        hint="change the command: it must print lines of NAME, tab and NUMBER, or one number.",
    )
