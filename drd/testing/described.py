"""Whether settings explain themselves: the plan reference is made of what they say."""

from __future__ import annotations

from drd.fields import Settings


def undescribed(settings: type[Settings]) -> list[str]:
    """The keys without a description, but for `kind`, which is described by the model."""
    return [
        info.alias or name
        for name, info in settings.model_fields.items()
        if name != "kind" and not info.description
    ]
