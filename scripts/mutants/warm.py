"""Run tests in forks of an interpreter that has imported drd and the tests: imports take longer
than most tests.

A mutant replaces the function that it changes, in the fork alone. Requests are read as lines of
JSON; the process id of the fork and its exit code are written.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

from mutants.running import ARGUMENTS, BROKEN, CANNOT, READY, TESTS

_OPTIMIZED = 1  # what only the code of functions has
_LIBRARIES = ("hypothesis", "sqlalchemy", "alembic.command", "psycopg", "boto3", "tests")


def main() -> None:
    for name in _LIBRARIES:
        importlib.import_module(name)
    drd = importlib.import_module("drd")
    for module in pkgutil.walk_packages(drd.__path__, "drd."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            with contextlib.suppress(Exception):
                importlib.import_module(module.name)
    with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):  # noqa: PTH123
        pytest.main([*ARGUMENTS, "--collect-only", *TESTS])  # imports the modules of the tests
    gc.collect()
    live = [f for f in gc.get_objects() if type(f) is FunctionType]
    gc.freeze()
    out, sys.stdout = sys.stdout, sys.stderr
    print(READY, end="", file=out, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _carry_out(json.loads(line), live)
        print(child, file=out, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=out, flush=True)


def _carry_out(order: dict[str, Any], live: list[FunctionType]) -> None:
    """In the fork, which ends here."""
    code = 1
    try:
        os.setsid()
        output = os.open(order["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "rw"[n > 0]) for n in range(3))
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc, assignment]
        if "path" in order and not put(live, order["path"], order["before"], order["after"]):
            code = CANNOT
        else:
            code = int(pytest.main(order["arguments"]))
        sys.stdout.flush()
        sys.stderr.flush()  # pytest writes there which tests it does not find
    except BaseException:  # noqa: BLE001 - told, or the mutant would pass for killed
        os.write(2, traceback.format_exc().encode())
        code = BROKEN
    finally:
        os._exit(code)


def put(live: list[FunctionType], path: str, before: str, after: str) -> bool:
    """Replace the code of each `live` function of a module that was loaded from `before` by that of
    `after`; return whether there was one.
    """
    old, new = (dict(_codes(compile(text, path, "exec"))) for text in (before, after))
    changed = {_place(old[n]): new[n] for n in old.keys() & new.keys() if old[n] != new[n]}
    met = False
    for function in live:
        code = function.__code__
        if code.co_filename == path and (mutant := changed.get(_place(code))) is not None:
            try:
                function.__code__ = mutant
            except ValueError:  # it takes another part of what is around it
                return False
            met = True
    return met


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[tuple[tuple[str, int], CodeType]]:
    """Return the code of each function, by its name and its number among those of that name."""
    seen: dict[str, int] = {}
    waiting = [code]
    while waiting:
        one = waiting.pop(0)
        waiting += [const for const in one.co_consts if isinstance(const, CodeType)]
        if one.co_flags & _OPTIMIZED:
            seen[one.co_qualname] = seen.get(one.co_qualname, 0) + 1
            yield (one.co_qualname, seen[one.co_qualname]), one


if __name__ == "__main__":
    main()
