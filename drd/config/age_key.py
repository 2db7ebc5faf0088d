"""The public keys that drd encrypts to, checked when they are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from drd import age
from drd.errors import UsageError
from drd.model.malformed import Malformed


def _usable(text: str) -> str:
    if "PGP" in text:
        raise Malformed(
            "this is a PGP key",
            "write an age public key (age1…, which age-keygen makes) or an SSH public key; the PGP "
            "key of a contact belongs under `pgp`",
        )
    try:
        age.recipient(text)
    except UsageError as error:
        raise Malformed(error.message, (error.hint or "").rstrip(".")) from None
    return text


AgeKey = Annotated[str, AfterValidator(_usable)]
"""A public age key or SSH key that can be used."""
