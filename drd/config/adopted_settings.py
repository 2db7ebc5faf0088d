"""The keys of a plan about copies that another tool makes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import Field

from drd.fields import Contradiction, Duration, Placed, Secret, Settings


class Only(Settings):
    """Which of the copies that another tool has made are copies of this service."""

    host: str | None = Field(None, min_length=1, description="Only copies made on this host.")
    tag: str | None = Field(None, min_length=1, description="Only copies with this tag.")


class CommandToolSettings(Settings):
    """The commands of a tool that drd does not know. drd runs them without a shell, as its own
    user."""

    list_: list[str] = Field(
        alias="list",
        min_length=1,
        description="A command that prints one line for each finished copy, with a JSON "
        "object: `name`, `time` (RFC 3339, or seconds since 1970) and `bytes`.",
    )
    restore: list[str] = Field(
        min_length=1,
        description="A command that restores the copy `${copy}`. It prints the file of the "
        "component, with exactly `bytes` bytes. For a component of kind files, "
        "it writes the files with their whole paths below the directory "
        "`${into}`.",
    )
    verify: list[str] = Field(
        default_factory=list,
        description="A command that verifies the copies: an exit code other than 0 means "
        "damage. Without this command, drd cannot verify the copies.",
    )
    env: dict[str, Secret] = Field(
        default_factory=dict,
        description="Secrets for these commands: the name of an "
        "environment variable, and the secret.",
    )
    timeout: Duration = Field(
        3600.0, description="Time limit of each command; `list` has at most two minutes."
    )

    def all_commands(self) -> Iterable[Placed]:
        given = {"list": self.list_, "restore": self.restore, "verify": self.verify}
        yield from (((key,), words) for key, words in given.items() if words)

    def contradictions(self) -> Iterator[Contradiction]:
        for name in self.env:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
                hint = "write letters, digits and underscores, like TOKEN."
                yield Contradiction(
                    ("env", name), "is not a valid name of an environment variable", hint, True
                )
        if not any("${copy}" in word for word in self.restore):
            yield Contradiction(
                ("restore",),
                "does not contain ${copy}, so the command does not know which copy to restore",
                "write ${copy} instead of the name of the copy.",
            )
