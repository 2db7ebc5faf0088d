"""What a failed load says: the reason of the server, and never the rows of the dump."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drd.errors import DrdError, SandboxUnavailable, TargetError
from drd.kinds.mariadb.load import refusal
from drd.kinds.mariadb.restore import _require_success
from drd.process import Completed

ROW = "INSERT INTO `people` VALUES (1,'Ada Lovelace, our cup is full')"
FULL = "ERROR 1114 (HY000) at line 31: The table 'people' is full"
OPTIONS = (
    'ERROR 1005 (HY000) at line 52: Can\'t create table `e` (errno: 140 "Wrong create options")'
)
OTHER = "ERROR 1118 (42000) at line 9: Row size too large"


def failed(said: str, code: int = 1) -> Completed:
    return Completed(code, "", said, 0.1)


def echoed(error: str) -> Completed:
    """What the client of MariaDB 11.8 prints: first the statement, then the error."""
    line = "-" * 14
    return failed(f"{line}\n{ROW}\n{line}\n\n{error}\n")


def raised(done: Completed, *, own: bool) -> DrdError:
    order: Any = SimpleNamespace(
        own=own, component="shop", place=SimpleNamespace(directory=Path("/srv/work"))
    )
    with pytest.raises(DrdError) as caught:
        _require_success(order, done, "mariadb")
    assert "Ada" not in str(caught.value)
    return caught.value


def test_a_refused_statement_is_named_without_the_rows_in_it() -> None:
    error = raised(echoed(OTHER), own=False)
    assert isinstance(error, TargetError)
    assert error.message == f"the server did not accept the dump of shop: {OTHER}"
    assert "Ada" not in refusal(echoed(""))
    assert refusal(failed(OTHER)) == OTHER  # MySQL's client prints no statement
    assert "no such container" in refusal(failed("no such container", 125))


def test_a_table_that_needs_keys_or_a_directory_is_named_as_such() -> None:
    assert "lacks the keys" in (raised(echoed(OPTIONS), own=True).hint or "")


def test_a_full_disk_of_the_target_is_named_and_is_not_that_of_a_sandbox() -> None:
    error = raised(echoed(FULL), own=False)
    assert error.message.startswith("the disk of the target's server is full")
    assert FULL in error.message
    assert "the target is unchanged. Free space" in (error.hint or "")
    own = raised(echoed(FULL), own=True)
    assert isinstance(own, SandboxUnavailable)
    assert "no space left on the disk of /srv/work" in own.message
    assert "disk" not in raised(echoed(OTHER), own=True).message
