"""Find what a plan needs but the service's unit forbids, by the name of the directive.

This is checked inside the service: its mounts, its rights, its sockets. Elsewhere there are no
findings.
"""

from __future__ import annotations

import errno
import os
import shlex
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from drd.flows.host.engine_access import lack_of
from drd.flows.services import Services
from drd.model.finding_codes import REPOSITORY
from drd.model.location import is_local
from drd.model.plan import Component, Plan, RepositorySpec
from drd.ports import Finding, KindSpec
from drd.process import container_of
from drd.process.mounts import Mounted, mount_of, mounted
from drd.users import user_name

_RISES = {"sudo", "su", "doas", "pkexec", "runuser"}
"""Programs that are useless without more rights than their caller's."""

OF_REPOSITORY = "repository-unit"
_HOMES = ("/home", "/root", "/run/user")


def in_a_service() -> bool:
    """Return whether systemd started us by the unit of the service, or as that unit would."""
    return "INVOCATION_ID" in os.environ and "STATE_DIRECTORY" in os.environ


def confinement(services: Services, plan: Plan, *places: Path) -> list[Finding]:
    """Return what the unit forbids to this plan; `places` are directories to which drd writes. The
    check writes nothing and connects to nothing.
    """
    if not in_a_service():
        return []
    mounts = mounted()
    findings = [f for place in places for f in _unwritable(mounts, "unit", str(place), place)]
    for component in plan.components.values():
        findings += _component(mounts, component, services.kinds(component.kind).spec)
    for repository in plan.repositories.values():
        findings += _repository(mounts, repository)
    return [*findings, *_families(services, plan)]


def without_those_of_the_unit(findings: list[Finding], unit: list[Finding]) -> list[Finding]:
    """Return the findings without the findings about repositories to which the unit forbids access:
    the finding about the unit has the right remedy."""
    forbidden = {f.subject for f in unit if f.code == OF_REPOSITORY}
    return [
        f for f in findings if not (f.failed and f.code == REPOSITORY and f.subject in forbidden)
    ]


def _component(mounts: list[Mounted], component: Component, spec: KindSpec) -> Iterator[Finding]:
    settings = component.settings
    container = container_of(settings)
    lacking = lack_of(container) if container is not None else None
    if lacking is not None:
        what, lines, before = lacking
        drop_in = _drop_in(*lines) if lines else "run: systemctl restart drd"
        yield _finding("unit", component.name, what, f"{before}: {drop_in}")
    for path in (*spec.paths(settings), *spec.sockets(settings)):
        hidden = hides(mounts, path)
        if hidden is not None:
            directive, remedy = hidden
            yield _finding(
                "unit",
                component.name,
                f"the service does not see {path}, because its unit has {directive}",
                _drop_in(remedy),
            )
        elif _closed(path):
            yield _finding(
                "unit",
                component.name,
                f"the service may not read {path}, because its unit gives the service only the "
                "rights of its user (AmbientCapabilities=)",
                _drop_in(
                    "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
                    "AmbientCapabilities=CAP_DAC_READ_SEARCH",
                ),
            )
    for hook in (component.before, component.after):
        if hook is not None and Path(hook.command[0]).name in _RISES and _no_new_rights():
            yield _finding(
                "unit",
                component.name,
                f"the hook {' '.join(hook.command)} cannot get more rights, because the unit has "
                "NoNewPrivileges=yes",
                "give the user drd itself the right to do this (by a group or a role), or "
                "run the command in a systemd unit of root.",
            )


def _closed(path: str) -> bool:
    """Return whether only a missing right keeps us from it (the kinds report other problems of a
    path)."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM) and not _has_read_search()
    return False


def _repository(mounts: list[Mounted], repository: RepositorySpec) -> Iterator[Finding]:
    if not repository.url.startswith("/"):
        return
    name, place = repository.name, Path(repository.url)
    hidden = hides(mounts, repository.url)
    if hidden is None:
        yield from _unwritable(mounts, OF_REPOSITORY, name, place)
        return
    directive, remedy = hidden
    what = (
        f"the service does not see {place}, and would lose what it stores there as soon "
        "as the service stops"
    )
    drop_in = _drop_in(remedy, f"ReadWritePaths={place}")
    elsewhere = f"use another place, such as in /var/backups; or {drop_in}"
    yield _finding(OF_REPOSITORY, name, f"{what}, because its unit has {directive}", elsewhere)


def _unwritable(mounts: list[Mounted], code: str, name: str, place: Path) -> Iterator[Finding]:
    there = place if place.exists() else place.parent
    mount = mount_of(mounts, str(there))
    if mount is None or not mount.read_only or mount.file_system_read_only:
        return
    home = any(Path(place).is_relative_to(h) for h in _HOMES)
    directive = "ProtectHome=read-only" if home else "ProtectSystem=strict"
    make = f"install -d -o drd -g drd -m 2770 {place}\n"
    if place.exists():
        make = _own(place) if code == OF_REPOSITORY else ""
    yield _finding(
        code,
        name,
        f"the service may not write to {place}, because its unit has {directive}",
        make + _drop_in(f"ReadWritePaths={place}"),
    )


def _own(place: Path) -> str:
    """Return the command that makes our user the owner of a repository; empty if it is the owner.
    No other finding names this problem while the unit makes the directory read-only."""
    if place.stat().st_uid == os.geteuid():
        return ""
    return f"chown -R {user_name(os.geteuid())} {shlex.quote(str(place))}\n"


def _families(services: Services, plan: Plan) -> Iterator[Finding]:
    """Databases need sockets or the network, repositories elsewhere the network."""
    wanted: dict[str, list[tuple[str, str]]] = {}
    for component in plan.components.values():
        for family in services.kinds(component.kind).spec.families:
            wanted.setdefault(family, []).append(("unit", component.name))
    for repository in plan.repositories.values():
        if not is_local(repository.url):
            wanted.setdefault("AF_INET", []).append((OF_REPOSITORY, repository.name))
    for family, names in wanted.items():
        if not _may_open(family):
            yield _finding(
                *names[0],
                f"the service may not open {family} sockets, because RestrictAddressFamilies= of "
                "its unit does not allow them",
                _drop_in(f"RestrictAddressFamilies={family}"),
            )


def _may_open(family: str) -> bool:
    try:
        socket.socket(getattr(socket, family)).close()
    except OSError as error:
        return error.errno not in (errno.EAFNOSUPPORT, errno.EPERM, errno.EACCES)
    return True


def _finding(code: str, subject: str, detail: str, hint: str) -> Finding:
    return Finding(code, "error", subject, detail, hint)


def _drop_in(*lines: str) -> str:
    return "\n".join(
        ["systemctl edit drd, with", "[Service]", *lines, "then systemctl restart drd"]
    )


# --- what the kernel tells of us ----------------------------------------------------------------


def hides(mounts: list[Mounted], path: str) -> tuple[str, str] | None:
    """Return the directive that hides what is at `path` on the host, and the directive that would
    show it."""
    mount = mount_of(mounts, path)
    if mount is None:
        return None
    home = str(mount.place) in _HOMES
    if home and mount.kind == "tmpfs" and mount.read_only and mount.root == "/":
        return "ProtectHome=tmpfs", "ProtectHome=read-only"
    if "/inaccessible/" in mount.root:  # below /run/systemd, or a container's /run/host
        if home:
            return "ProtectHome=yes", "ProtectHome=read-only"
        return f"InaccessiblePaths={mount.place}", "InaccessiblePaths="
    if str(mount.place) in ("/tmp", "/var/tmp") and "/systemd-private-" in mount.root:  # noqa: S108
        return "PrivateTmp=yes", "PrivateTmp=no"
    return None


def _own_status() -> Mapping[str, str]:
    text = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    return {k: v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}


def _no_new_rights() -> bool:
    return _own_status().get("NoNewPrivs") == "1"


def _has_read_search() -> bool:
    """CAP_DAC_READ_SEARCH, the third bit of linux/capability.h."""
    return bool(int(_own_status().get("CapEff", "0"), 16) & 0b100)
