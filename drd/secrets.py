"""Resolving secret references, at the moment of use and no earlier."""

from __future__ import annotations

import os
from pathlib import Path

from drd import log, process
from drd.errors import SecretUnavailable
from drd.model.plan import SecretRef

CREDENTIALS = Path("/etc/drd/credentials")
"""Where a credential lies when systemd has not handed it over; root's, mode 0600."""


def resolve(ref: SecretRef, *, credentials: Path = CREDENTIALS) -> str:
    """The secret, without a trailing newline; from now on masked in logs and messages.

    A credential is looked for in $CREDENTIALS_DIRECTORY, then in `credentials`, so the same plan
    works in the unit and in an operator's terminal. Raises SecretUnavailable, naming the
    reference and never a value.
    """
    if ref.source == "text":
        assert isinstance(ref.value, str)
        return ref.value
    value = _read(ref, credentials).removesuffix("\n").removesuffix("\r")
    if not value:
        raise SecretUnavailable(f"secret {ref.describe()} is empty")
    log.mask(value)
    return value


def _read(ref: SecretRef, credentials: Path) -> str:
    if ref.source == "command":
        return _from_command(ref)
    assert isinstance(ref.value, str)
    if ref.source == "env":
        value = os.environ.get(ref.value)
        if value is None:
            raise SecretUnavailable(
                f"environment variable {ref.value} is not set", hint=f"export {ref.value}=…"
            )
        return value
    if ref.source == "credential":
        return _from_credential(ref.value, credentials)
    return _from_file(Path(ref.value), f"write the secret to {ref.value}, mode 0600.")


def _from_credential(name: str, credentials: Path) -> str:
    handed_over = os.environ.get("CREDENTIALS_DIRECTORY")
    places = [Path(handed_over)] if handed_over else []
    places.append(credentials)
    for place in places:
        if (place / name).exists():
            return _from_file(place / name, "let its owner run this command.")
    looked = " and ".join(str(p) for p in places)
    raise SecretUnavailable(
        f"credential {name} is not in {looked}",
        hint=f"write it to {credentials / name}, mode 0600, or add LoadCredential={name}:… to the "
        "unit and restart it.",
    )


def _from_file(path: Path, hint: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SecretUnavailable(
            f"cannot read secret file {path}: {error.strerror}", hint=hint
        ) from error
    except UnicodeDecodeError as error:
        raise SecretUnavailable(f"secret file {path} is not UTF-8 text", hint=hint) from error


def _from_command(ref: SecretRef) -> str:
    done = process.run(process.Command(tuple(ref.value), deadline_s=30.0))
    if done.exit_code != 0:
        # What it printed may be the secret, so it is not repeated.
        raise SecretUnavailable(
            f"secret command {ref.value[0]} exited with {done.exit_code}",
            hint="run it by hand as the same user.",
        )
    return done.stdout
