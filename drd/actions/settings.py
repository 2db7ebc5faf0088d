"""The settings that all steps share. Each kind of step has its own in its module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from drd.fields import Settings

Words = Annotated[list[str], Field(min_length=1)]


Text = tuple[tuple[str | int, ...], str]
"""A text, and its place below the settings."""


class StepSettings(Settings):
    """The value of the key of a kind of step."""

    def all_texts(self) -> Iterable[Text]:
        """Return the texts that may contain values (`${…}`), beside the words of commands."""
        return ()

    def needed_files(self) -> Iterable[str]:
        """Return the paths of files that a recovery on a new host needs, in addition to the files
        of commands."""
        return ()

    def host_needs(self) -> Iterable[str]:
        """Other needs that a new host must meet, each in a few words."""
        return ()


class Rehearsed(StepSettings):
    """How a drill executes the step; may stand beside the step's kind as well."""

    rehearse: Literal["run", "simulate", "skip"] | None = Field(
        None,
        description="What a drill does: `run` the step as a recovery does (default), "
        "`simulate` it by the command in `with`, or `skip` it for the `reason`.",
    )
    reason: str | None = Field(
        None,
        min_length=1,
        description="The reason why drills skip this step. Each drill shows the reason in its "
        "result.",
    )
    stand_in: Words | None = Field(
        None,
        alias="with",
        description="The command that simulates the step; drd does not use a shell.",
    )


def named_texts(key: str, texts: Mapping[str, str]) -> Iterator[Text]:
    """The texts of a mapping below this key."""
    yield from (((key, name), text) for name, text in texts.items())


def short(key: str) -> BeforeValidator:
    """Accept a text instead of the settings with only this key."""

    def read(value: Any) -> Any:
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(read)
