"""Name the running containers of this host, whose data drd cannot back up from outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from drd import process
from drd.errors import ToolError
from drd.model.text import in_one_line, some

_STORAGE = ("/var/lib/containers/storage", ".local/share/containers/storage")
"""For root, and below the home of others. Without it podman has no container, and would make it."""


def notes() -> list[str]:
    """Say which containers run, and why a new plan leaves them out."""
    return [note for program in ("docker", "podman") if (note := _note(program))]


def _note(program: str) -> str:
    path = shutil.which(program)
    if path is None or (program == "podman" and not _has_storage()):
        return ""
    words = [path, "ps", "--format", "{{.Names}} ({{.Image}})"]
    try:
        done = process.run(process.Command(words, cwd=Path("/"), deadline_s=10.0))
    except ToolError as error:
        return f"Containers of {program}: unknown, because {error.message}."
    if done.exit_code != 0:
        reason = in_one_line(done.stderr).strip().rstrip(".")
        return f"Containers of {program}: unknown, because `{program} ps` failed: {reason}."
    running = [in_one_line(line) for line in done.stdout.splitlines() if line.strip()]
    if not running:
        return ""
    return (
        f"Containers of {program}: {some(running, 5)}. drd cannot back up inside containers "
        "yet. To add a PostgreSQL server in a container, use --postgres with its published "
        "port. To add directories of this host that containers use, give --files DIRECTORY."
    )


def _has_storage() -> bool:
    system, own = _STORAGE
    return (Path(system) if os.geteuid() == 0 else Path.home() / own).is_dir()
