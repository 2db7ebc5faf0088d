"""Errors that say what is at a place where drd expected a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from drd.errors import RepositoryMissing
from drd.model.text import escaped, short_id, some

_NAMED = 3
"""Entries of a directory that a sentence names."""

_ANEW = "To start a new repository on purpose, give the plan another URL or prefix"


def absent_error(url: str, recorded: str) -> RepositoryMissing:
    """Return the error that there is no repository at the URL, although the catalogue has recorded
    the repository `recorded` there."""
    what, state = _describe_place(url)
    hint = (
        f"find out who moved or deleted the repository, and move it back to its old place. {_ANEW}."
    )
    if state == "gone":
        hint = (
            "mount the disk of this directory, or find out who moved or deleted the directory. "
            f"{_ANEW}."
        )
    text = f"{what}, but repository {short_id(recorded)} was at this place before"
    return RepositoryMissing(text, hint=hint, state=state)


def another_error(url: str, recorded: str, actual: str | None) -> RepositoryMissing:
    """The repository at the URL has the id `actual`; None if the password does not open it."""
    its = (
        "a repository that the password does not open"
        if actual is None
        else f"repository {actual[:8]}"
    )
    return RepositoryMissing(
        f"{url} contains a different repository than before: now {its}, before repository "
        f"{short_id(recorded)}",
        hint="find out who replaced the repository, and move the former repository back to "
        f"this place. {_ANEW}.",
        state="replaced",
    )


def _describe_place(url: str) -> tuple[str, Literal["gone", "emptied"]]:
    nothing = f"there is no repository at {url}"
    if not url.startswith("/"):
        return nothing, "emptied"
    place = Path(url)
    try:
        names = sorted(entry.name for entry in place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return f"directory {url} does not exist", "gone"
    except OSError:
        return nothing, "emptied"
    if not names:
        return f"directory {url} is empty", "emptied"
    named = some([escaped(name) for name in names], _NAMED)
    return f"directory {url} contains {named}, but no repository", "emptied"
