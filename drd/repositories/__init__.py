"""Repositories: where copies are kept. restic stores them, on S3 or in a local directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drd.model.plan import RepositorySpec, SecretRef
    from drd.ports import Repository


def open_repository(
    spec: RepositorySpec,
    *,
    cache_dir: Path,
    resolve: Callable[[SecretRef], str],
    restic: str | None = None,
) -> Repository:
    """Return the repository that `spec` describes. Contacts no server and reads no secret yet.
    restic keeps its caches in `cache_dir`; `restic` is a configured path of the program.
    """
    from drd.repositories.restic import ResticRepository

    if spec.adopted is not None:
        from drd.repositories.adopted import open_adopted

        return open_adopted(
            spec, spec.adopted, cache_dir=cache_dir, resolve=resolve, program=restic
        )
    return ResticRepository(spec, cache_dir=cache_dir, resolve=resolve, restic=restic)


__all__ = ["open_repository"]
