"""The public keys that drd encrypts to, checked when they are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from drd import age
from drd.errors import UsageError
from drd.model.malformed import Malformed

NO_PGP = "drd does not encrypt with PGP"
AGE_INSTEAD = (
    "ask for an age public key (age1…, which age-keygen makes) or an SSH public key, and write it "
    "under `age`"
)


def _usable(text: str) -> str:
    if "PGP" in text:
        raise Malformed(f"this is a PGP key, and {NO_PGP}", AGE_INSTEAD)
    try:
        age.recipient(text)
    except UsageError as error:
        raise Malformed(error.message, (error.hint or "").rstrip(".")) from None
    return text


AgeKey = Annotated[str, AfterValidator(_usable)]
"""A public age key or SSH key that can be used."""
