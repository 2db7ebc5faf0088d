"""The files that drd ships for its service, as they are installed.

Each has its own digest in its first line, so that a later version may replace it and `drd
uninstall` may remove it; a file that was changed since belongs to its editor and stays.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import drd
from drd.errors import UsageError
from drd.process import mounter

SHIPPED = Path(drd.__file__).parent / "systemd"
UNIT = "etc/systemd/system/drd.service"
SOCKET = "etc/systemd/system/drd-mounter.socket"
MOUNTER = "etc/systemd/system/drd-mounter@.service"
SYSUSERS = "etc/sysusers.d/drd.conf"
TMPFILES = "etc/tmpfiles.d/drd.conf"
CONFIG = "etc/drd/drd.yaml"
FILES = {
    UNIT: "drd.service",
    SOCKET: "drd-mounter.socket",
    MOUNTER: "drd-mounter@.service",
    SYSUSERS: "drd.sysusers.conf",
    TMPFILES: "drd.tmpfiles.conf",
    CONFIG: "drd.yaml",
}
"""The destination of each shipped file, below the prefix."""

_SEAL = re.compile(rb"# drd \S+ put this file here, with the digest ([0-9a-f]{16})\.[^\n]*\n")


def with_digest(body: bytes, *, about: str) -> bytes:
    """Return the file in the form in which it is installed: its first line shows later whether the
    file was changed."""
    first = (
        f"# drd {drd.__version__} put this file here, with the digest {_digest(body)}. {about}\n"
    )
    return first.encode() + body


def is_as_put(content: bytes) -> bool:
    """Return whether a drd of any version wrote the content, and nobody has changed it since."""
    seal = _SEAL.match(content)
    return seal is not None and seal[1].decode() == _digest(content[seal.end() :])


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()[:16]


def entry_point() -> list[str]:
    """Return the words that start drd as this process was started: the program beside the
    interpreter."""
    program = Path(sys.executable).with_name("drd")
    if os.access(program, os.X_OK):
        return [str(program)]
    return [sys.executable, "-m", "drd"]


def shipped(path: str, program: Sequence[str]) -> bytes:
    """Return the content of the file at `path`, for a service that is started by `program`."""
    body = (SHIPPED / FILES[path]).read_bytes()
    if path == UNIT:
        body = body.replace(b"@DRD@", " ".join(_unit_word(w) for w in program).encode())
        return with_digest(body, about="Change it with `systemctl edit drd`.")
    if path == MOUNTER:
        words = " ".join(_unit_word(w) for w in mounter.WORDS)
        body = body.replace(b"@MOUNTER@", words.encode())
    if path == CONFIG:
        return with_digest(body, about="This file is yours: drd never overwrites it.")
    return with_digest(body, about="drd never overwrites a changed file.")


def _unit_word(word: str) -> str:
    """Return a word of ExecStart=, quoted as systemd.syntax(7) requires."""
    if re.search(r"[\x00-\x1f'\"\\]", word):
        raise UsageError(
            f"systemd cannot start a program whose path has quotes or backslashes: {word!r}",
            hint="install drd elsewhere, such as in /opt/drd.",
        )
    return f'"{word}"'.replace("%", "%%") if re.search(r"[\s;]", word) else word.replace("%", "%%")
