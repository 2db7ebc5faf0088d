"""Programs and libraries that take less of the processor, without doing anything else.

restic's collector and its many threads cost more than its work in a repository of a few kilobytes:
here it has one thread, and collects late. botocore reads a megabyte of descriptions for each of its
sessions: here a process reads them once. Python's collector goes through all of pytest's objects
again and again: here it leaves out those that are there before the first test.
"""

from __future__ import annotations

import functools
import gc
import os

import botocore.session

from drd.process import command

_GO = {"GOMAXPROCS": "1", "GOGC": "400"}


def install() -> None:
    """In this process, and for what it starts, from now on."""
    os.environ.update(_GO)
    command._PASSED_ON = (*command._PASSED_ON, *_GO)
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def collect_late() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # as drd itself does
