"""Ask about a component: its counts, and the answers to queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from drd.errors import NotSupported, SourceError
from drd.kinds.command.counts import count
from drd.kinds.command.run import Runner, said
from drd.kinds.command.settings import ADDRESS, PATH, QUERY
from drd.masking import masked
from drd.model.snapshot import Fingerprint
from drd.model.values import references
from drd.ports import Inspector
from drd.process import run

_MOST = 1 << 16
"""Bytes of an answer."""

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?")


class CommandInspector(Inspector):
    """Runs the commands `count` and `query` of a component."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def location(self) -> str:
        known = self._runner.values
        return known.get(PATH) or known.get(ADDRESS, "")

    @property
    def environment(self) -> Mapping[str, str]:
        names = {PATH: "DRD_PATH", ADDRESS: "DRD_ADDRESS"}
        return {names[key]: value for key, value in self._runner.values.items() if key in names}

    def fingerprint(self, like: Fingerprint, budget_s: float) -> Fingerprint:  # noqa: ARG002 - all is counted
        if self._runner.settings.count is None:
            raise NotSupported(
                f"drd cannot count the data of component {self._runner.component}: the plan "
                "has no `count` for it",
                hint="add `count` to the component: the command that counts its data.",
            )
        return count(self._runner, budget_s=budget_s)

    def scalar(self, query: str, *, timeout_s: float = 60.0) -> Any:
        return ask(self._runner, query, timeout_s=timeout_s)


def ask(runner: Runner, query: str, *, timeout_s: float) -> Any:
    """Return the answer to a query: a number, else a text. Raises NotSupported, SourceError and
    DeadlineExceeded."""
    words = runner.settings.query
    if words is None:
        raise NotSupported(
            f"component {runner.component} cannot be queried",
            hint="add `query` to the component: the command that answers queries.",
        )
    in_words = any(QUERY in references(word) for word in words)
    command = runner.command("query", words, deadline_s=timeout_s, query=query)
    done = run(command, stdin=None if in_words else query.encode(), limit=_MOST)
    if done.exit_code != 0:
        raise SourceError(f"query command of {runner.component} {said(done)}")
    lines = done.stdout.rstrip("\n").split("\n")
    if len(done.printed) >= _MOST or len(lines) != 1 or "\t" in lines[0]:
        raise SourceError(
            f"query command of {runner.component} printed more than one value",
            hint="change the command: it must print one line without a tab.",
        )
    if masked(lines[0]) != lines[0]:
        raise SourceError(
            f"query command of {runner.component} printed a secret of the plan, so drd does not "
            "keep its answer",
            hint="change the command: it must print only the answer.",
        )
    return _value(lines[0].strip())


def _value(text: str) -> Any:
    if not _NUMBER.fullmatch(text):
        return text or None
    return Decimal(text) if "." in text else int(text)
