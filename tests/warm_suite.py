"""The workers of a run of the whole suite, forked from an interpreter that has imported every test.

Each worker of xdist would import drd and all tests, which takes five seconds of the processor. Here
one process does that, and forks when xdist starts a worker: the fork reads xdist's program from its
input as a fresh interpreter does, and finds the modules there. A module that cannot be imported is
imported again in the worker, which reports it. With DRD_TEST_COLD=1 workers start afresh.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import execnet
import pytest
from _pytest.config import _prepareconfig
from _pytest.pathlib import import_path

from tests import light_catalogue, warm, warm_process


def start_from_here(specs: Sequence[execnet.XSpec]) -> None:
    """Let xdist start these workers from a new server of this process."""
    if "DRD_TEST_COLD" in os.environ:
        return
    program = warm.client("worker", (warm.begin(__name__), [sys.executable], "", ()))
    for spec in specs:
        spec.python = program


def serve(module: str, address: str) -> None:
    warm.show_server(module, address)
    import_tests()
    light_catalogue.statements()
    warm.listen(address, _become)


def import_tests() -> None:
    """With their assertions rewritten, as pytest imports them."""
    config = _prepareconfig(["--capture=no", "-p", "no:cacheprovider"])
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        if file.name == "conftest.py" or file.name.startswith("test_"):
            with suppress(Exception, pytest.skip.Exception):
                import_path(file, root=config.rootpath, consider_namespace_packages=False)
    config._ensure_unconfigure()


def _become(connection: socket.socket, request: list[Any], fds: list[int]) -> NoReturn:
    argv, words, env, cwd, _, mask, *_ = request
    os.umask(mask)
    warm.with_client(fds)
    os.setsid()
    warm_process.become(argv, env, cwd, fds, connection)
    os._exit(warm_process.run_program(words[words.index("-c") + 1]))
