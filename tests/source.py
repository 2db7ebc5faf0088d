"""The source of drd as trees, for the tests that search all of it: each text is parsed once in a
process, and the group keeps those tests in one."""

from __future__ import annotations

import ast
from functools import cache

import pytest

SEARCHED = pytest.mark.xdist_group("source")
parsed = cache(ast.parse)
