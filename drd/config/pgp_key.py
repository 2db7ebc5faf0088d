"""The public PGP keys of contacts, checked as far as is possible without gpg when they are read."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator

from drd.model.contacts import PGP_KEY
from drd.model.malformed import Malformed

_END = "-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC, _SECRET = 6, 5
_EXPORT = "write the lines that `gpg --armor --export ADDRESS` prints: pgp: |"


def _usable(text: str) -> str:
    block = text.strip()
    if "PRIVATE KEY" in block:
        raise Malformed("this is a private key", f"remove it here; {_EXPORT}")
    if not (block.isascii() and block.startswith(PGP_KEY) and block.endswith(_END)):
        raise Malformed("this is not a public PGP key in ASCII armour", _EXPORT)
    packet = _first_packet(block)
    if packet == _SECRET:
        raise Malformed("this is a private key", f"remove it here; {_EXPORT}")
    if packet != _PUBLIC:
        raise Malformed("this PGP key is damaged", _EXPORT)
    return block


def _first_packet(block: str) -> int:
    """Return the tag of the first packet (RFC 4880, 4.2); 0 for what cannot be decoded."""
    lines = [line.strip() for line in block.splitlines()[1:-1]]
    if "" in lines:  # headers of the armour end with an empty line
        lines = lines[lines.index("") + 1 :]
    body = "".join(line for line in lines if not line.startswith("="))  # the checksum
    try:
        raw = base64.b64decode(body, validate=True)
    except binascii.Error:
        return 0
    if not raw or not raw[0] & 0x80:
        return 0
    return raw[0] & 0x3F if raw[0] & 0x40 else (raw[0] & 0x3C) >> 2


PgpKey = Annotated[str, AfterValidator(_usable)]
"""A public PGP key in ASCII armour."""
