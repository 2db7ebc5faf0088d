"""The values that a regime may have: texts that name a condition, an anchor, a source or a time."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from drd.model.malformed import Malformed
from drd.model.obligations.anchors import ID, Anchor, Source
from drd.model.obligations.conditions import Condition

Text = Annotated[str, Field(min_length=1)]
RegimeId = Annotated[str, Field(pattern=f"^{ID}$", max_length=60)]


def _condition(text: str) -> str:
    Condition.parse(text)
    return text


def _anchor(text: str) -> str:
    Anchor.parse(text)
    return text


def _instant(text: str) -> str:
    if Anchor.parse(text).source is not Source.INSTANT:
        raise Malformed(
            f'"{text}" is not a moment of the incident, but a report', f"write `after: {text}`"
        )
    return text


def _report(text: str) -> str:
    if Anchor.parse(text).source is Source.INSTANT:
        raise Malformed(
            f'"{text}" is a moment of the incident, not a report', f"write `from: {text}`"
        )
    return text


_EXPRESSION = r"ask|timeline|(moment|scope|facts|timeline)\.[a-z_.]+"


def _expression(text: str) -> str:
    if not re.fullmatch(_EXPRESSION, text):
        hint = (
            "write ask or timeline, or a source like moment.aware, scope.people or facts.encrypted"
        )
        raise Malformed(f'drd cannot get a value from "{text}"', hint)
    return text


def _clock_time(text: str) -> str:
    try:
        datetime.time.fromisoformat(text)
    except ValueError:
        raise Malformed(f'"{text}" is not a time of day', 'write a time like "17:30"') from None
    return text


def _listed(anchors: Any) -> Any:
    return [anchors] if isinstance(anchors, str) else anchors


class _OrOne:
    """Adds to the JSON Schema that one item is enough."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        several = handler(core)
        return {"anyOf": [several["items"], several]}


Conditions = list[Annotated[str, AfterValidator(_condition)]]
AnInstant = Annotated[str, AfterValidator(_instant)]
AReport = Annotated[str, AfterValidator(_report)]
Anchors = Annotated[
    list[Annotated[str, AfterValidator(_anchor)]], BeforeValidator(_listed), _OrOne()
]
Instants = Annotated[list[AnInstant], BeforeValidator(_listed), _OrOne()]
Reports = Annotated[list[AReport], BeforeValidator(_listed), _OrOne()]
ClockTime = Annotated[str, AfterValidator(_clock_time)]
Expression = Annotated[
    str,
    AfterValidator(_expression),
    Field(json_schema_extra={"pattern": f"^({_EXPRESSION})$"}),
]
Number = Annotated[int, Field(strict=True, ge=0, le=10_000)]
