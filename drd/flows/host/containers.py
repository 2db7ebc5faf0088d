"""Name the running containers of this host: drd does not see all of their data."""

from __future__ import annotations

import shutil
from pathlib import Path

from drd import process
from drd.errors import ToolError
from drd.model.text import in_one_line, some

_NO_IMAGE = " ()"
"""The end of the line of a container that was made from a directory, or whose image has no name."""


def notes() -> list[str]:
    """Say which containers run, and what drd looked for in them."""
    return [note for program in ("docker", "podman") if (note := _note(program))]


def _note(program: str) -> str:
    path = shutil.which(program)
    if path is None or not process.has_containers(program):
        return ""
    words = [path, "ps", "--format", "{{.Names}} ({{.Image}})"]
    try:
        done = process.run(process.Command(words, cwd=Path("/"), deadline_s=10.0))
    except ToolError as error:
        return f"Containers of {program}: unknown, because {error.message}."
    if done.exit_code != 0:
        reason = in_one_line(done.stderr).strip().rstrip(".")
        return f"Containers of {program}: unknown, because `{program} ps` failed: {reason}."
    running = [
        in_one_line(line).strip().removesuffix(_NO_IMAGE)
        for line in done.stdout.splitlines()
        if line.strip()
    ]
    if not running:
        return ""
    return (
        f"Containers of {program}: {some(running, 5)}. drd looked for servers of PostgreSQL, "
        "MariaDB, MySQL, Redis and Valkey in them. Add other servers by hand "
        "(docs/containers.md). To add directories of this host that containers use, give "
        "--files DIRECTORY."
    )
