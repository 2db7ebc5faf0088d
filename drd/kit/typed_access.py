"""The settings of a repository as a person gives them to a bootstrap: `--access NAME=…`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from drd.errors import UsageError
from drd.log import mask
from drd.model.malformed import Malformed
from drd.model.plan import SecretRef
from drd.model.schemes import CA_CERT, Setting, scheme_of


def typed_access(url: str, given: Mapping[str, str]) -> tuple[tuple[str, SecretRef | str], ...]:
    """Return the settings of the URL's scheme. Raises UsageError for a setting that the scheme does
    not have."""
    scheme = scheme_of(url)
    settings = scheme.settings if scheme is not None else {}
    for name in given.keys() - settings.keys():
        known = ", ".join(settings) or "none"
        raise UsageError(
            f"--access {name} does not apply to {url}",
            hint=f"use one of the settings for this URL: {known}.",
        )
    missing = [n for n, setting in settings.items() if setting.required and n not in given]
    if missing:
        raise UsageError(
            f"{url} needs more than its password: {', '.join(missing)}",
            hint=f"give --access {missing[0]}=FILE, with the file that contains this value."
            if settings[missing[0]].secret
            else f"give --access {missing[0]}=VALUE.",
        )
    for name, value in given.items():
        if settings[name].secret:
            mask(value)
        elif name != CA_CERT and Path(value).is_absolute() and Path(value).is_file():
            raise UsageError(
                f"--access {name}={value} names a file, but {name} needs the value itself",
                hint=f"give the value, which is no secret: --access {name}=VALUE.",
            )
        _require_place(name, settings[name], value)
    return tuple(
        (name, SecretRef("text", value) if settings[name].secret else value)
        for name, value in given.items()
    )


def _require_place(name: str, setting: Setting, value: str) -> None:
    try:
        if setting.place is not None:
            setting.place(value)
    except Malformed as error:
        raise UsageError(f"--access {name}: {error.fact}", hint=f"{error.remedy}.") from None
