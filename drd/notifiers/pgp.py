"""Encrypt messages with the PGP keys of contacts. This uses the program gpg."""

from __future__ import annotations

import tempfile
from pathlib import Path

from drd import process
from drd.errors import UsageError

_DEADLINE_S = 60.0
_MOST = 4 << 20
_BEGIN = "-----BEGIN PGP MESSAGE-----"


def encrypted(text: str, key: str) -> str:
    """Return a text for the holder of this public key, in ASCII armour. The key ring of the user is
    neither read nor changed, and the text is in no file. Raises ToolMissing, DeadlineExceeded, and
    UsageError for a key to which gpg does not encrypt."""
    gpg = process.find_tool("gpg", package="gpg")
    with tempfile.TemporaryDirectory(prefix="drd-pgp-") as home:
        file = Path(home) / "key.asc"
        file.write_text(key + "\n", encoding="ascii")
        words = [gpg, "--batch", "--no-tty", "--quiet", "--no-options", "--no-autostart"]
        words += ["--homedir", home, "--trust-model", "always"]
        words += ["--armor", "--encrypt", "--recipient-file", str(file)]
        command = process.Command(words, name="gpg", deadline_s=_DEADLINE_S)
        done = process.run(command, stdin=text.encode(), limit=_MOST)
    if done.exit_code != 0 or not done.stdout.startswith(_BEGIN):
        lines = done.stderr.strip().splitlines()
        raise UsageError(
            f"gpg cannot encrypt to the contact's PGP key: {lines[-1] if lines else 'no reason'}",
            hint="ask the contact for a key that is valid now and can encrypt, write it under "
            "`pgp` in drd.yaml. If a message was not sent because of this, write it again.",
        )
    return done.stdout
