"""How values are stored in the columns of the catalogue.

It is the same on SQLite and PostgreSQL. Times are text of fixed width in UTC: the text sorts as the
time does, and a person with nothing but `sqlite3` can read it on a bad day. JSON is text, always
ASCII.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Dialect, MetaData, String, Text, TypeDecorator

from drd.model.text import storable

metadata = MetaData()

OF_A_PLAN = {"of_a_plan": True}
"""The `info` of a table whose rows are deleted when the plan in its column `plan` is forgotten."""


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime, as `2026-11-25T00:31:00.000000+00:00`. A naive datetime is refused."""

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
    """JSON as ASCII, so that surrogate escapes of odd file names survive."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Words(TypeDecorator[str]):
    """Text that people wrote or programs printed. What no database takes (NUL, bytes of a file's
    name that are not UTF-8) becomes a backslash escape."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        return storable(value) if value is not None else None
