"""Check that settings describe themselves: the plan reference is made from their descriptions."""

from __future__ import annotations

from drd.fields import Settings


def undescribed(settings: type[Settings]) -> list[str]:
    """Return the keys without a description, but for `kind`, which is described by the model."""
    return [
        info.alias or name
        for name, info in settings.model_fields.items()
        if name != "kind" and not info.description
    ]
