"""Run programs inside a container of this host, through the command of its engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from drd.errors import SourceUnreachable, ToolError, ToolMissing
from drd.model.text import escaped, in_one_line
from drd.process.child import run
from drd.process.command import Command, find_tool
from drd.process.inside import LISTED, NAMES
from drd.process.orphans import MARKS

LIST = LISTED
"""The path of `inside(…, listed=…)` for the program in the container."""

_PROGRAM = Path(__file__).with_name("inside.py")
_ENGINE_VARIABLES = (
    "CONTAINER_HOST",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "XDG_RUNTIME_DIR",
)
_ASK_S = 60.0
_LOOK_S = 10.0
CONTAINER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""What engines take as the name of a container."""
_STORAGE = ("/var/lib/containers/storage", ".local/share/containers/storage")
"""For root, and below the home of others."""
_SAID = 300
_BRIEF = 12
"""The number of characters of an id that engines show."""
_DESCRIPTION = 16 << 20
"""The bytes of the description of a container: an image can have long labels and variables."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container by its name, and the program of its engine (`podman` or `docker`). `pinned` sets
    the `id`: then the object means this container, also if another one gets its name later."""

    engine: str
    name: str
    id: str = ""

    @property
    def known_as(self) -> str:
        """The id or the name by which drd asks the engine for the container."""
        return self.id or self.name

    def __str__(self) -> str:
        return f"container {self.name} of {self.engine}"


@dataclass(frozen=True, slots=True)
class Image:
    """The image of a container; what the engine does not know is empty."""

    name: str = ""
    digest: str = ""
    container_id: str = ""

    @property
    def facts(self) -> dict[str, str]:
        return {"image": self.name, "image_digest": self.digest}


def container_of(settings: Any) -> Container | None:
    """Return the container of a component or a target, if its settings name one."""
    given = getattr(settings, "inside", None)
    return Container(given.engine, given.container) if given is not None else None


def engine_environment() -> dict[str, str]:
    """Return the variables of drd with which the client of an engine finds its containers."""
    return {name: os.environ[name] for name in _ENGINE_VARIABLES if name in os.environ}


def engine_of(container: Container) -> str:
    """Return the path of the engine's program. Raises ToolMissing."""
    return find_tool(
        container.engine,
        package="podman" if container.engine == "podman" else "docker.io, or Docker's own packages",
    )


def inside(
    command: Command,
    container: Container | None,
    *,
    feed: Path | None = None,
    listed: Path | None = None,
    forget: Collection[str] = (),
) -> Command:
    """Return the command that runs `command` in a container; without a container, `command` itself.

    `feed` is a file of this host that the program reads from its input. `listed` is a file whose
    lines, without empty lines, the program finds at `LIST`. drd passes the variables of the command
    through a pipe. The program does not get variables of the container whose names begin with a
    word of `forget`. When drd ends, also by kill -9, the program in the container ends as well.
    Raises ToolMissing.
    """
    if container is None:
        return command
    marks = {name: os.environ[name] for name in MARKS if name in os.environ}
    sent = {**marks, **command.env}
    words = [sys.executable, "-I", "-S", str(_PROGRAM), engine_of(container), container.known_as]
    words += [str(feed or ""), str(listed or ""), " ".join(forget), *command.argv]
    return replace(
        command,
        argv=words,
        env={**engine_environment(), **sent, NAMES: " ".join(sent)},
        cwd=Path("/"),
        name=f"{command.title} in {container}",
        has_helpers=True,
    )


def shell_in(
    container: Container, script: str, *words: str, deadline_s: float | None = _ASK_S
) -> Command:
    """Return the command that runs a script of a POSIX shell in a container, with the input that
    the caller gives. Raises ToolMissing."""
    argv = [engine_of(container), "exec", "-i", container.known_as, "/bin/sh", "-c", script, "drd"]
    return Command(
        [*argv, *words],
        env=engine_environment(),
        cwd=Path("/"),
        deadline_s=deadline_s,
        name=f"sh in {container}",
    )


def has_containers(engine: str) -> bool:
    """Return whether this host has the engine, and perhaps containers of it. podman is not asked
    where it has made no storage yet: it would make it."""
    if shutil.which(engine) is None:
        return False
    system, own = _STORAGE
    place = Path(system) if os.geteuid() == 0 else Path.home() / own
    elsewhere = "CONTAINER_HOST" in os.environ or "CONTAINERS_STORAGE_CONF" in os.environ
    return engine != "podman" or elsewhere or place.is_dir()


def running_containers() -> list[Container]:
    """Return the containers of this host that run, as far as this user's engines show them."""
    containers = []
    for engine in filter(has_containers, ("podman", "docker")):
        argv = [engine, "ps", "--format", "{{.Names}}"]
        command = Command(argv, env=engine_environment(), cwd=Path("/"), deadline_s=_LOOK_S)
        with suppress(ToolError):
            done = run(command)
            names = done.stdout.split() if done.exit_code == 0 else []
            containers += [
                Container(engine, name) for name in names if CONTAINER_NAME.fullmatch(name)
            ]
    return containers


def containers_by_space() -> dict[str, Container]:
    """Return the running containers by the namespace of their processes, as /proc names it."""
    by_space = {}
    for container in running_containers():
        argv = [container.engine, "inspect", "--type", "container", "--format", "{{.State.Pid}}"]
        command = Command(
            [*argv, container.name], env=engine_environment(), cwd=Path("/"), deadline_s=_LOOK_S
        )
        with suppress(ToolError):
            done = run(command)
            first = done.stdout.strip()
            if done.exit_code == 0 and first.isdecimal() and (space := space_of(int(first))):
                by_space[space] = container
    return by_space


def space_of(pid: int | Literal["self"]) -> str:
    """Return the namespace of processes of a process, which is another one in a container; empty if
    nobody may see it."""
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - no path
    return ""


def image_of(container: Container) -> Image:
    """Return the image of a container. Raises SourceUnreachable if the container does not run,
    or is paused."""
    argv = [engine_of(container), "inspect", "--type", "container", container.known_as]
    asked = Command(argv, env=engine_environment(), cwd=Path("/"), deadline_s=_ASK_S)
    done = run(asked, limit=_DESCRIPTION)
    if done.exit_code != 0:
        said = escaped(in_one_line(done.complaint))[:_SAID]
        if container.id:
            raise _replaced(
                container,
                f"{container.engine} no longer shows {_brief(container.id)}, which was the "
                f"container {container.name}: {said}",
            )
        raise SourceUnreachable(
            f"{container.engine} does not show the container {container.name}: {said}",
            hint=f"start the container, or correct `in`: `{container.engine} ps` lists the "
            "containers that run. Each user has containers of their own with podman, and the "
            "service of drd needs access to the engine (docs/containers.md).",
        )
    described = _first(done.stdout)
    state = described.get("State")
    if isinstance(state, Mapping) and state.get("Paused") is True:
        raise SourceUnreachable(
            f"the {container} is paused, so nothing in it answers",
            hint=f"let it go on: {container.engine} unpause {container.name}",
        )
    if not isinstance(state, Mapping) or state.get("Running") is not True:
        raise SourceUnreachable(
            f"the {container} does not run",
            hint=f"start it: {container.engine} start {container.name}",
        )
    settings = described.get("Config")
    named = settings.get("Image") if isinstance(settings, Mapping) else ""
    name = described.get("ImageName") or named
    digest = described.get("ImageDigest") or described.get("Image")
    return Image(_short(name), _short(digest), _short(described.get("Id")))


def pinned(container: Container) -> Container:
    """Return the container that has this name now: programs start in this one alone, also when
    another gets its name. Raises SourceUnreachable."""
    return replace(container, id=image_of(replace(container, id="")).container_id)


def require_same(container: Container) -> None:
    """Raise SourceUnreachable if a pinned container has lost its name to another one."""
    now = image_of(replace(container, id="")).container_id
    if now != container.id:
        raise _replaced(
            container,
            f"the {container} was replaced meanwhile: the name was that of {_brief(container.id)}, "
            f"and is now that of {_brief(now)}",
        )


def _replaced(container: Container, text: str) -> SourceUnreachable:
    return SourceUnreachable(
        text,
        hint="what drd has read comes from the former container, so drd does not use it. Run the "
        f"command again; if this happens often, do not replace {container.name} while a backup "
        "runs.",
    )


def _brief(found: str) -> str:
    return found[:_BRIEF] or "another"


def _first(text: str) -> Mapping[str, Any]:
    try:
        decoded = json.loads(text)
    except ValueError:
        return {}
    one = decoded[0] if isinstance(decoded, list) and decoded else decoded
    return one if isinstance(one, Mapping) else {}


def _short(value: object) -> str:
    return escaped(value)[:_SAID] if isinstance(value, str) else ""


def programs_in(
    container: Container, program: str, places: str, option: str = "--version"
) -> list[tuple[str, str]]:
    """Return the paths of a program in a container, each with what it says of its version. `places`
    are patterns of a shell for paths; PATH comes last. Raises SourceUnreachable, ToolMissing."""
    done = run(shell_in(container, _FIND, program, option, places))
    if done.exit_code != 0:
        image_of(container)  # says so if it does not run
        raise ToolMissing(
            f"drd cannot run /bin/sh in the {container}: {escaped(done.complaint)[:_SAID]}",
            hint="drd needs a shell in the container. Use an image that has one, or leave out "
            "`in` and install the programs on this host.",
        )
    installed = [line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line]
    return [(path, said) for path, said in installed]


_FIND = r"""
for p in $3 "$(command -v "$1")"; do
  [ -f "$p" ] && [ -x "$p" ] && printf '%s\t%s\n' "$p" "$("$p" $2 2>&1 | head -n 1)"
done
exit 0
"""
