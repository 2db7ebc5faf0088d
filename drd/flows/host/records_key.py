"""The findings of `drd doctor` about the key that signs the records."""

from __future__ import annotations

from drd.errors import SecretUnavailable
from drd.flows.records.key import RecordKey
from drd.model.finding import Finding

CODE = "records-key"


def findings(key: RecordKey, current: str, *, named: bool) -> list[Finding]:
    """Return findings about whether drd can sign with the key. `current` is the id of the key that
    signs the records, empty if there is none; `named` says that drd.yaml names the key. If nobody
    expects a key, there are no findings."""
    where = key.ref.describe()
    if (missing := key.missing(current, named=named)) is not None:
        return [Finding(CODE, "warning", where, *missing)]
    if not current and not key.exists:
        return []
    try:
        key_id = key.read().public.id
    except SecretUnavailable as error:
        return [Finding(CODE, "warning", where, error.message, error.hint)]
    if current not in ("", key_id):
        text = f"{key.file} contains key {key_id}, but the records are signed by key {current}"
        remedy = "put the right key back, or make a new one: drd records rotate --lost"
        return [Finding(CODE, "warning", where, text, remedy)]
    return [Finding(CODE, "ok", where, "the key that signs the records exists")]
