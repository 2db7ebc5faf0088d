"""Ask resticpy, which runs restic through our own door."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

from drd.errors import RepositoryError, ToolError, ToolMissing

T = TypeVar("T")

AskRestic = Callable[[Sequence[str]], str]
"""Runs restic with the words given (without the program) and returns its output."""

_answer: ContextVar[AskRestic] = ContextVar("answer")


def ask(answer: AskRestic, question: Callable[[Any], T]) -> T:
    """Put `question` to resticpy; `answer` runs the one restic call that it makes.

    Safe in several threads: nothing is kept in resticpy's module. Errors of `answer` pass through;
    an answer that resticpy cannot parse is a RepositoryError.
    """
    library = _library()
    token = _answer.set(answer)
    try:
        return question(library)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RepositoryError(
            "cannot parse restic's answer",
            hint="install restic 0.17 or 0.18: drd supports these versions.",
        ) from error
    finally:
        _answer.reset(token)


@cache
def _library() -> Any:
    try:
        import restic
    except ImportError as error:
        raise ToolMissing(
            "the Python library resticpy is not installed", hint="pip install 'resticpy>=1.3,<2'"
        ) from error
    executor: Any = getattr(getattr(restic, "internal", None), "command_executor", None)
    if not hasattr(executor, "execute") or not hasattr(restic, "binary_path"):
        raise ToolError(
            "the Python module `restic` does not belong to resticpy: another package has the "
            "same name",
            hint="pip uninstall restic dycw-restic; pip install --force-reinstall resticpy",
        )
    executor.execute = _execute
    return restic


def _execute(words: list[str]) -> str:
    """Replaces resticpy's own `subprocess.run`; the first word is the program."""
    return _answer.get()(words[1:])
