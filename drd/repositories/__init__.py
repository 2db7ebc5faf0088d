"""Repositories: where copies are kept. restic does the keeping, on S3 or in a local directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drd.model.plan import RepositorySpec, SecretRef
    from drd.repositories.restic import ResticRepository


def open_repository(
    spec: RepositorySpec,
    *,
    cache_dir: Path,
    resolve: Callable[[SecretRef], str],
    restic: str | None = None,
) -> ResticRepository:
    """The repository that `spec` describes; nothing is contacted and no secret read yet.

    `cache_dir` gets restic's caches; `restic` is a configured path of the program.
    """
    from drd.repositories.restic import ResticRepository

    return ResticRepository(spec, cache_dir=cache_dir, resolve=resolve, restic=restic)


__all__ = ["open_repository"]
