"""Write a commented starting plan for what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drd.config.problems import as_name
from drd.config.writing import inline
from drd.model.location import is_s3
from drd.model.plan import OWN_COMPONENT
from drd.ports.kinds import Ability, Holds, KindSpec, Wish

PLACEHOLDER = "s3:https://s3.example.com/my-bucket"
"""The placeholder for a repository that nobody named; it is never contacted."""


_COMPARED = {Holds.TABLES: "row counts", Holds.PATHS: "files", Holds.OPAQUE: "contents"}


@dataclass(frozen=True, slots=True)
class FoundComponents:
    """What is to be protected: components with their kinds. `notes` are sentences for comments."""

    wishes: Sequence[tuple[KindSpec, Wish]] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Starter:
    """The text of a plan, and the credentials that it refers to, each with its purpose. `password`
    is that of the repository.
    """

    text: str
    credentials: Sequence[tuple[str, str]]
    password: str


def starter(name: str, found: FoundComponents, repository: str | None) -> Starter:
    """Return a plan that passes `drd plan check`."""
    writer = _Writer(name, found, repository)
    text = "\n".join(writer.lines()) + "\n"
    return Starter(text, tuple(writer.credentials), writer.password)


class _Writer:
    def __init__(self, name: str, found: FoundComponents, repository: str | None) -> None:
        self.name = name
        self.found = found
        self.repository = repository or f"{PLACEHOLDER}/{name}"
        self.is_placeholder = repository is None
        self.credentials: list[tuple[str, str]] = []
        self.password = as_name(f"{name[:33]}-restic")
        self.taken = {OWN_COMPONENT, "manifest"}
        self.checks: list[dict[str, str]] = []
        self.asked: list[str] = []

    def lines(self) -> Iterator[str]:
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield "# (drd plan schema > plan.schema.json, beside this file, for completion in editors)"
        yield f"plan: {inline(self.name)}"
        yield 'owner: ""                      # who is responsible for this service'
        yield 'description: ""                # what the service is, for the person on call'
        yield ""
        yield (
            "# How much data may be lost, and how long it may be down. Ask those who pay for it."
        )
        yield "objectives: {rpo: 1h, rto: 1h}"
        yield ""
        yield from self._components()
        yield ""
        yield from self._repositories()
        yield ""
        yield "# Well below the RPO: exposure reaches the interval plus the time a backup takes."
        yield "backup: {every: 30m}"
        yield "retention: {keep_within: 2d, daily: 14, weekly: 8, monthly: 12}"
        yield ""
        yield from self._checks()
        yield ""
        yield "# A drill restores into a sandbox and runs the checks; production is not touched."
        yield "drill: {every: 7d, restore_point: {random_within: 30d, each: 4}}"

    def _components(self) -> Iterator[str]:
        yield from (f"# {note}" for note in self.found.notes)
        yield "components:"
        live = [file for _, wish in self.found.wishes for file in wish.live]
        for spec, wish in self.found.wishes:
            name = self._free(wish.name, wish.fallback)
            yield f"  {inline(name)}:"
            yield f"    kind: {spec.name}"
            credential = as_name(f"{name[:36]}-dsn")
            if wish.secret:
                self.credentials.append((credential, wish.secret))
            for key, value in wish.keys(live, credential):
                yield f"    # {value}" if key == "#" else f"    {key}: {inline(value)}"
            if spec.comparison is not None:
                self._check(name, spec)

    def _repositories(self) -> Iterator[str]:
        self.credentials.append((self.password, "the encryption password of the repository"))
        yield "repositories:"
        yield "  primary:"
        if self.is_placeholder:
            yield (
                "    # CHANGE THIS to your bucket, at another provider or at least in another "
                "region."
            )
        yield f"    url: {inline(self.repository)}"
        yield "    # Without this password the backups are lost: keep a copy elsewhere."
        yield f"    password: {{credential: {inline(self.password)}}}"
        if is_s3(self.repository):
            key, secret = as_name(f"{self.name[:33]}-s3-id"), as_name(f"{self.name[:33]}-s3-key")
            self.credentials.append((key, "the access key id of the bucket"))
            self.credentials.append((secret, "the secret access key of the bucket"))
            yield "    s3:"
            yield f"      access_key: {{credential: {inline(key)}}}"
            yield f"      secret_key: {{credential: {inline(secret)}}}"

    def _checks(self) -> Iterator[str]:
        yield "checks:"
        yield from (f"  - {inline(check)}" for check in self.checks)
        component = next(iter(self.asked), None)
        if component is None:
            return
        yield "# Better still: a query whose answer you know."
        yield "#  - name: newest order is recent"
        yield "#    kind: sql"
        yield f"#    component: {inline(component)}"
        yield "#    query: select max(created_at) from orders"
        yield "#    expect: within rpo"

    def _check(self, component: str, spec: KindSpec) -> None:
        name = f"{component}: {_COMPARED[spec.holds]} as at backup"
        self.checks.append({"name": name, "kind": str(spec.comparison), "component": component})
        if Ability.SQL in spec.can:
            self.asked.append(component)

    def _free(self, wish: str, fallback: str) -> str:
        """A component's name that nothing has yet."""
        base = as_name(wish) or fallback
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base[:36]}-{number}"
        self.taken.add(name)
        return name
