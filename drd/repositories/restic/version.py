"""The version of restic."""

from __future__ import annotations

import re
from collections.abc import Sequence

from drd import process
from drd.errors import ToolError, ToolTooOld
from drd.process import Command
from drd.repositories.restic.errors import no_threads_error
from drd.repositories.restic.library import ask

OLDEST = (0, 17)
"""The first restic with exit codes 10, 11 and 12."""


def version(program: str) -> str:
    """restic's version. Raises ToolMissing, or ToolTooOld before 0.17."""

    def answer(words: Sequence[str]) -> str:
        done = process.run(Command([program, *words], deadline_s=30.0, name="restic"))
        if done.exit_code != 0:
            raise no_threads_error(done.stderr) or ToolError(
                f"restic cannot run: {done.complaint}", hint="install restic 0.17 or later."
            )
        return done.stdout

    text = str(ask(answer, lambda library: library.version())["restic_version"])
    numbers = tuple(int(n) for n in re.findall(r"\d+", text)[:2])
    if numbers < OLDEST:
        raise ToolTooOld(
            f"restic {text} is too old: its exit codes do not distinguish a wrong password "
            "from a missing repository",
            hint="install restic 0.17 or later; Debian 13 has 0.18.",
        )
    return text
