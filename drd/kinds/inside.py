"""The key `in` of components and targets: where a kind starts its client programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from drd import process
from drd.errors import DrdError, SourceUnreachable
from drd.fields import Settings
from drd.model import strict
from drd.model.malformed import Malformed
from drd.ports.by_hand import Passage


def _container_name(text: str) -> str:
    if process.CONTAINER_NAME.fullmatch(text) is None:
        raise Malformed(
            f'"{text}" is not a name of a container',
            "write the name that `podman ps` or `docker ps` shows: letters, digits, `_`, `.` and "
            "`-`, at most 128, and first a letter or a digit",
        )
    return text


ContainerName = Annotated[
    str,
    AfterValidator(_container_name),
    WithJsonSchema(
        {"type": "string", "maxLength": 128, "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"}
    ),
]


class InContainer(Settings):
    """A running container of this host."""

    container: ContainerName = Field(
        description="The name of the container, as `podman ps` or `docker ps` shows it.",
        examples=["shop-db-1"],
    )
    engine: Literal["podman", "docker"] = Field(description="The engine that runs the container.")


IN: Any = Field(
    None,
    alias="in",
    description="The container in which drd starts the client programs, for example "
    "`{container: shop-db, engine: podman}` (docs/containers.md). The address and `bin_dir` are "
    "then those that are valid in the container. Drills still use the programs of this host.",
)


FACT = "container"
"""The fact of a capture that was made in a container: its engine, name, image and digest."""

_FACTS = ("engine", "name", "image", "image_digest")
_LONGEST = 4096


def facts_of(container: process.Container | None) -> dict[str, Any]:
    """Return the facts about the container of a capture. Raises SourceUnreachable."""
    if container is None:
        return {}
    named = {"engine": container.engine, "name": container.name}
    return {FACT: {**named, **process.image_of(container).facts}}


def pinned(container: process.Container | None) -> process.Container | None:
    """Return the container of a component with its id: all programs of one capture start in this
    container, also if another one gets its name. Raises SourceUnreachable."""
    return container if container is None or container.id else process.pinned(container)


@contextmanager
def one_container(container: process.Container | None) -> Iterator[None]:
    """Check the pinned container after the body, also if the body has failed. Raises
    SourceUnreachable if the container does not run, or if another container has its name now."""
    try:
        yield
    except DrdError as error:
        if container is not None:
            try:
                process.require_same(container)
            except SourceUnreachable as why:
                raise why from error
        raise
    if container is not None:
        process.require_same(container)


def runs(container: process.Container) -> str:
    """Say that a container runs, with its image. Raises SourceUnreachable."""
    image = process.image_of(container).name
    return f"the {container} runs" + (f", image {image}" if image else "")


def require_facts(facts: Mapping[str, Any], place: str) -> None:
    """Raise Refused for a fact about a container that no capture writes."""
    if FACT in facts:
        known = strict.mapping(facts[FACT], f"{place}.{FACT}")
        for key in _FACTS:
            where = f"{place}.{FACT}.{key}"
            strict.text(strict.member(known, key, f"{place}.{FACT}"), where, most=_LONGEST)


def by_hand_in(container: process.Container, component: str) -> Passage:
    """Say for a recovery by hand that the plan restores into a container, and of which image."""
    text = (
        f"The plan restores {component} into the container {container.name} of {container.engine}. "
        "Either install a server on this host, or start a container of the same image, with its "
        "port published on this host. These commands print the image, if a backup was made there:"
    )
    known = f"fact {component} {FACT} 2>/dev/null || echo unknown"
    return Passage(text, f"{known}\n", always=True)


def needs_of(settings: Any) -> str:
    """Say which engine and image a new host needs for a component or a target; empty without a
    container."""
    container = process.container_of(settings)
    if container is None:
        return ""
    text = f"{container.engine}, with the container {container.name}"
    try:
        image = process.image_of(container)
    except DrdError:
        return f"{text} (this host does not know its image)"
    digest = f", {image.digest}" if image.digest else ""
    return f"{text} of the image {image.name}{digest}" if image.name else text
