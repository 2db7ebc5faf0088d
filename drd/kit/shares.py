"""A kit's passphrase in shares: any k of n people can open the kit together; fewer people find out
nothing.

Shamir's scheme as the program `ssss` implements it (Debian's package of that name combines them
without drd); the arithmetic is pycryptodome's, and this is the only module that imports it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from Crypto.Protocol.SecretSharing import Shamir

from drd import log
from drd.errors import UsageError
from drd.kinds.file_system import fsync_path
from drd.kit.sealing import read_secret_file, unwritable
from drd.model.sharing import Sharing
from drd.model.text import counted
from drd.model.units import format_time
from drd.process import rights

BYTES = 16
"""Size of the secret, which is the passphrase in hexadecimal digits: nobody can guess 128 bits."""

_LINE = re.compile(r"^(set|needed|share|check): +(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class KitShare:
    """One share. `set` distinguishes the shares of one kit from those of another, `text` is what
    `ssss` takes: `2-3f9a…`."""

    set: str
    needed: int
    text: str

    @property
    def number(self) -> int:
        return int(self.text.partition("-")[0])

    @property
    def check(self) -> str:
        """Return a checksum that detects a misread letter. It reveals nothing about the secret,
        because it depends only on this share."""
        return hashlib.sha256(f"{self.set} {self.needed} {self.text}".encode()).hexdigest()[:8]


def split(sharing: Sharing) -> tuple[str, list[KitShare]]:
    """Return a new passphrase, masked from now on, and its shares."""
    secret = secrets.token_bytes(BYTES)
    log.mask(secret.hex())
    name = secrets.token_hex(4)
    parts = Shamir.split(sharing.needed, sharing.of, secret, ssss=True)
    shares = [KitShare(name, sharing.needed, f"{index}-{part.hex()}") for index, part in parts]
    for share in shares:
        log.mask(share.text)
    return secret.hex(), shares


def combine(paths: Sequence[Path]) -> str:
    """Return the passphrase, from the files of enough shares. Raises UsageError, which names the
    invalid file, or says what is missing."""
    shares: dict[int, KitShare] = {}
    for path in paths:
        share = _read(path)
        first = next(iter(shares.values()), share)
        if (share.set, share.needed) != (first.set, first.needed):
            raise UsageError(
                f"{path} does not belong to the same kit as the other shares: it has set "
                f"{share.set}, the others have set {first.set}",
                hint="use shares of the same kit.",
            )
        shares[share.number] = share
    needed = next(iter(shares.values())).needed
    if len(shares) < needed:
        count = counted(len(shares), "share", "different shares")
        raise UsageError(
            f"{count} given, but {needed} are needed to open the kit",
            hint="give --share FILE once for each share.",
        )
    parts = [(s.number, bytes.fromhex(s.text.partition("-")[2])) for s in shares.values()]
    passphrase = Shamir.combine(parts[:needed], ssss=True).hex()
    log.mask(passphrase)
    return passphrase


def _read(path: Path) -> KitShare:
    lines = dict(_LINE.findall(read_secret_file(path, "share")))
    missing = [key for key in ("set", "needed", "share", "check") if key not in lines]
    if missing:
        raise UsageError(
            f"{path} is not a share of a kit: it has no line `{missing[0]}: …`",
            hint="give a file that drd kit export --shares wrote, not the kit. If you typed the "
            "share from paper, compare the last four lines with the paper.",
        )
    text = lines["share"].lower()
    if (
        not re.fullmatch(rf"[1-9]\d*-[0-9a-f]{{{2 * BYTES}}}", text)
        or not lines["needed"].isdigit()
    ):
        raise UsageError(
            f"{path}: the share is incomplete",
            hint=f"write the share completely: a number, a dash and {2 * BYTES} digits "
            "from 0 to f.",
        )
    log.mask(text)
    share = KitShare(lines["set"].lower(), int(lines["needed"]), text)
    if share.check != lines["check"].lower():
        raise UsageError(
            f"{path}: a character of the share is wrong: it does not match the line `check: "
            f"{lines['check']}`",
            hint="compare the file with the original, letter by letter.",
        )
    return share


@contextmanager
def written(
    shares: Sequence[KitShare], kit: Path, plans: Sequence[str], made_at: datetime
) -> Iterator[list[Path]]:
    """Write a file for each share beside the kit, mode 0600. Files of an older kit are kept; the
    new files are removed if the body fails. Raises TargetUnwritable."""
    paths: list[Path] = []
    try:
        for share in shares:
            path = kit.with_name(
                f"{kit.name}.share-{share.number}-of-{len(shares)}-{share.set}.txt"
            )
            paths.append(path)
            _write(path, _text(share, len(shares), kit.name, plans, made_at))
        yield paths
    except BaseException as error:
        for path in paths:
            with suppress(OSError), rights.writing(path.parent) as place:
                (place / path.name).unlink()
        if isinstance(error, OSError):
            raise unwritable("the shares", error) from None
        raise


def _write(path: Path, text: str) -> None:
    with rights.writing(path.parent) as place:
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(place / path.name, how, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fsync_path(place)


def _text(share: KitShare, count: int, kit: str, plans: Sequence[str], made_at: datetime) -> str:
    names = ", ".join(plans)
    return f"""\
share {share.number} of {count} of the drd recovery kit of {format_time(made_at)} \
for {names}

Any {share.needed} of the {count} shares open the kit ({kit}); fewer shares reveal nothing. \
Keep this share apart from the kit and
from the other shares. You may print it.

With drd:     drd bootstrap --kit FILE --share THIS-FILE --share ANOTHER …
Without drd:  ssss-combine -t {share.needed} -D -x    (Debian's package ssss) \
asks for the line behind `share:` of
              {share.needed} files, and prints the passphrase of the kit, which age asks for.

set: {share.set}
needed: {share.needed}
share: {share.text}
check: {share.check}
"""
