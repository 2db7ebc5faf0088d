"""A drd.yaml with errors from a lost host. A daemon continues with the settings that it read
before, and stores the file unchanged."""

from __future__ import annotations

from dataclasses import replace

from drd.config.daemon import schema_errors
from drd.kit.state_snapshots import StateSnapshot
from drd.model.text import escaped


def without_broken(
    own: StateSnapshot, config: str
) -> tuple[StateSnapshot, dict[str, bytes], list[str]]:
    """If drd.yaml in the snapshot has errors, return the snapshot without it, its text by the path
    at which it is kept beside `config`, and the sentences to print."""
    text = own.config if own.config is not None else own.broken_config
    wrong = schema_errors(text, config) if text is not None else ""
    if text is None or not wrong:
        return own, {}, []
    beside = f"{config}.former"
    told = (
        f"the stored drd.yaml has errors: {escaped(wrong)}. So drd writes a drd.yaml with "
        f"the default settings to {config}, and keeps the stored file as {beside}. Correct "
        f"the stored file, then move it to {config}"
    )
    return replace(own, config=None), {beside: text.encode()}, [told]
