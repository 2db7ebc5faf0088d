"""Check that the service has the credentials of a reloaded file: it gets them only at its start."""

from __future__ import annotations

from pathlib import Path

from drd import secrets
from drd.errors import ConfigError, DrdError, Problem


def require_credentials(value: object, file: str) -> None:
    """Raise ConfigError for the first credential in `value`, which was read from `file`, that this
    process does not have.
    """
    for ref in secrets.references(value):
        if ref.source != "credential":
            continue
        try:
            secrets.resolve(ref)
        except DrdError as error:
            line = _line_of(str(ref.value), file)
            raise ConfigError([Problem(file, line, "", error.message, error.hint)]) from None


def _line_of(name: str, file: str) -> int:
    """Return the line that names the credential first; 1 when it is not written out."""
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 1
    lines_naming = (n for n, line in enumerate(lines, 1) if "credential" in line and name in line)
    return next(lines_naming, 1)
