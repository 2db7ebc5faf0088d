"""Find whether the service may use the engine of a container that a plan names."""

from __future__ import annotations

import grp
import os
import stat
from contextlib import suppress
from pathlib import Path

from drd.process import Container

_SCHEME = "unix://"
_DOCKER = "/run/docker.sock"
_PODMAN = "/run/podman/podman.sock"
_PODMAN_SOCKET = (
    "let the service use podman's socket. Run `systemctl edit podman.socket` with the lines "
    "[Socket] and SocketGroup=drd, then `systemctl enable podman.socket` and `systemctl restart "
    "podman.socket`. Also"
)
ROOT = "Whoever may use this socket is root on this host (docs/containers.md)"


def lack_of(container: Container) -> tuple[str, tuple[str, ...], str] | None:
    """Return what the service lacks, the lines of a drop-in, and what has to be done before it;
    None if nothing is missing. Nothing is started or connected to."""
    variable = "CONTAINER_HOST" if container.engine == "podman" else "DOCKER_HOST"
    given = os.environ.get(variable, "")
    if container.engine == "podman" and not given and os.geteuid() != 0:
        return (
            f"the service cannot use the {container}, because its unit has NoNewPrivileges=",
            (f"Environment=CONTAINER_HOST={_SCHEME}{_PODMAN}",),
            f"{ROOT}. To accept that, {_PODMAN_SOCKET}",
        )
    if given and not given.startswith(_SCHEME):
        return None
    place = given.removeprefix(_SCHEME) or (_DOCKER if container.engine == "docker" else "")
    # With the rights of the service: its unit lets it enter podman's directory, which is root's.
    if not place or os.access(place, os.W_OK, effective_ids=True):
        return None
    group = _group(place)
    what = f"the service may not use {place}, the socket of {container.engine}"
    if container.engine == "docker":
        return what, (f"SupplementaryGroups={group or 'docker'}",), f"{ROOT}. To accept that, use"
    lines = (f"SupplementaryGroups={group}",) if group else ()
    return what, lines, f"{ROOT}. To accept that, {_PODMAN_SOCKET}"


def _group(place: str) -> str:
    """Return the group that may use a socket, if that is not root's."""
    with suppress(OSError, KeyError):
        info = Path(place).stat()
        if stat.S_ISSOCK(info.st_mode) and info.st_gid != 0 and info.st_mode & stat.S_IWGRP:
            return grp.getgrgid(info.st_gid).gr_name
    return ""
