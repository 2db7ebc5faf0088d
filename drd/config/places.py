"""Codes of countries and their parts in settings."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from drd.model.malformed import Malformed

_PLACE = r"[A-Z]{2}(-[A-Z0-9]{1,3})?"
_JURISDICTION = rf"{_PLACE}|contract|cards|any"
_HINT = "write EU, a country like DE, or a part of a country like US-CA"


def is_place(text: str) -> bool:
    """Return whether this is a code of a place."""
    return re.fullmatch(_PLACE, text) is not None


def _place(text: str) -> str:
    if not is_place(text):
        raise Malformed(f'"{text}" is not the code of a country or of a part of a country', _HINT)
    return text


def _jurisdiction(text: str) -> str:
    if not re.fullmatch(_JURISDICTION, text):
        raise Malformed(f'"{text}" is not a jurisdiction', f"{_HINT}; or contract, cards, any")
    return text


PlaceCode = Annotated[
    str, AfterValidator(_place), Field(json_schema_extra={"pattern": f"^{_PLACE}$"})
]
"""A country, or a part of one."""

Jurisdiction = Annotated[
    str, AfterValidator(_jurisdiction), Field(json_schema_extra={"pattern": f"^({_JURISDICTION})$"})
]
"""A place, or another thing on which a duty depends."""
