"""The keys of a plan about files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from drd.fields import AbsolutePath, Settings


class FilesSettings(Settings):
    """Files and directories with everything below them."""

    kind: Literal["files"]
    paths: list[AbsolutePath] = Field(
        min_length=1, description="Files and directories to back up; a missing one is an error."
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="Patterns of files that are not backed up: a name pattern (`*.tmp`) matches "
        "at any depth, a pattern with a slash matches the path (`/etc/app/cache`, "
        "`/srv/**/tmp`).",
    )
    one_file_system: bool = Field(
        False,
        description="If true, drd does not back up other file "
        "systems that are mounted below `paths`.",
    )


class FilesTarget(Settings):
    """Where a files component is restored to."""

    path: AbsolutePath = Field(
        description="The directory to restore to. Each file keeps its whole path below this "
        "directory: `/etc/nginx` is restored to `PATH/etc/nginx`."
    )


def overlapping(paths: Iterable[str], target: str) -> str | None:
    """Return the first of a component's paths that a target's directory equals, contains or is in:
    it would be replaced, or become part of the next backup.
    """
    place = PurePosixPath(target)
    for path in map(PurePosixPath, paths):
        if place == path or place in path.parents or path in place.parents:
            return str(path)
    return None
