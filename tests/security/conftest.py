"""The daemon's socket, for the tests that ask it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.api_support import PEOPLE, House


@pytest.fixture
def house(short_tmp: Path) -> Iterator[House]:
    short_tmp.chmod(0o755)
    with closing(House(short_tmp)) as found:
        yield found


@pytest.fixture
def peopled(short_tmp: Path) -> Iterator[House]:
    short_tmp.chmod(0o755)
    with closing(House(short_tmp, PEOPLE)) as found:
        yield found
