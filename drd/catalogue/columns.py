"""How values are kept in the columns of the catalogue.

The same on SQLite and PostgreSQL. Times are text of fixed width in UTC, which sorts as time does
and which a person with nothing but `sqlite3` can read on a bad day; JSON is text, always ASCII.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, MetaData, String, Text, TypeDecorator

metadata = MetaData()

OF_A_PLAN = {"of_a_plan": True}
"""The `info` of a table whose rows go when the plan is forgotten that its column `plan` names."""


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime as `2026-11-25T00:31:00.000000+00:00`; a naive one is refused."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


class Json(TypeDecorator[Any]):
    """ASCII, so surrogate escapes of odd file names survive."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Words(TypeDecorator[str]):
    """Text that people wrote or programs printed: what no database takes (NUL, bytes that are not
    UTF-8 in a file's name) is kept as a backslash escape."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
