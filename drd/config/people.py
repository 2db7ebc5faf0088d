"""The people of drd.yaml, by name."""

from __future__ import annotations

from pathlib import Path

from drd.config.daemon_schema import DaemonFile, Person
from drd.config.reading import read_bytes
from drd.config.yaml import read


def people(file: Path | None) -> tuple[Person, ...]:
    """Return the people of a drd.yaml that `load_settings` accepted; nobody without a file."""
    if file is None:
        return ()
    raw, _ = read_bytes(file, what="configuration")
    data = read(raw, str(file), allow_empty=True).data
    return tuple(DaemonFile.model_validate(data).people)
