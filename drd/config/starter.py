"""Write a commented starting plan for the components that were found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from drd.config.problems import as_name
from drd.config.scheme_settings import SECTIONS
from drd.config.writing import inline
from drd.model.location import is_s3
from drd.model.plan import OWN_COMPONENT
from drd.model.schemes import scheme_of
from drd.model.text import escaped, some
from drd.ports.kinds import Ability, Holds, KindSpec, Wish

PLACEHOLDER = "s3:https://s3.example.com/my-bucket"
"""The placeholder for a repository that nobody named; it is never contacted."""


WHOLE: Mapping[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
"""A name or a command is not divided at the end of a line."""


def in_comment(text: str, indent: str) -> Iterator[str]:
    """Yield the lines of a comment."""
    first = f"{indent}# "
    yield from wrap(escaped(text), 98, initial_indent=first, subsequent_indent=first, **WHOLE)


_COMPARED = {Holds.TABLES: "row counts", Holds.PATHS: "files", Holds.OPAQUE: "contents"}


@dataclass(frozen=True, slots=True)
class FoundComponents:
    """What is to be protected: components with their kinds. `notes` say what was found and left
    out. If nothing was found, `remark` says how the plan begins instead."""

    wishes: Sequence[tuple[KindSpec, Wish]] = ()
    notes: Sequence[str] = ()
    remark: str = ""


def without_doubles(
    wishes: Sequence[tuple[KindSpec, Wish]],
) -> tuple[list[tuple[KindSpec, Wish]], list[str]]:
    """Return the wishes without databases of servers that are there as a whole, and a note for
    each such server."""
    whole = {socket for _, wish in wishes if wish.serves for socket in wish.sockets}
    kept, left_out = [], dict[tuple[str, str], list[str]]()
    for spec, wish in wishes:
        if not wish.serves and not whole.isdisjoint(wish.sockets):
            left_out.setdefault((spec.name, wish.sockets[0]), []).append(wish.name)
        else:
            kept.append((spec, wish))
    return kept, [
        f"{some(names, 10)}: the plan contains the whole server at {socket}. To dump a database as "
        f"well, add it with --{kind}."
        for (kind, socket), names in left_out.items()
    ]


@dataclass(frozen=True, slots=True)
class Starter:
    """The text of a plan, and the credentials that it refers to, each with its purpose. `password`
    is the password of the repository. `components` are their names, kinds and places. `unseen` has,
    for each component that no drill of the plan can prove, the reason and the remedy. `programs`
    are the Debian packages of the programs that commands of the plan run.
    """

    text: str
    credentials: Sequence[tuple[str, str]]
    password: str
    components: Sequence[tuple[str, str, str]] = ()
    unseen: Sequence[str] = ()
    programs: Sequence[str] = ()


def starter(name: str, found: FoundComponents, repository: str | None) -> Starter:
    """Return a plan that passes `drd plan check`."""
    writer = _Writer(name, found, repository)
    text = "\n".join(writer.lines()) + "\n"
    components = [(name, spec.name, wish.where) for name, spec, wish in writer.named]
    return Starter(text, tuple(writer.credentials), writer.password, components)


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
        self.named: list[tuple[str, KindSpec, Wish]] = []

    def lines(self) -> Iterator[str]:
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield "# (drd plan schema > plan.schema.json, beside this file, for completion in editors)"
        yield f"plan: {inline(self.name)}"
        yield 'owner: ""                      # who is responsible for this service'
        yield 'description: ""                # what the service is, for the person on call'
        yield ""
        yield ("# How much data may be lost, and how long the service may be down. Ask its owner.")
        yield "objectives: {rpo: 1h, rto: 1h}"
        yield ""
        yield from self._components()
        yield ""
        yield from self._repositories()
        yield ""
        yield "# Well below the RPO: this time plus the duration of a backup can be lost."
        yield "backup: {every: 30m}"
        yield "retention: {keep_within: 2d, daily: 14, weekly: 8, monthly: 12}"
        yield ""
        yield from self._checks()
        yield ""
        yield "# A drill restores into a sandbox and runs the checks; production is not touched."
        yield (
            "# One drill out of four uses a random point of the last 30 days, the others "
            "the newest."
        )
        yield "drill: {every: 7d, restore_point: {random_within: 30d, each: 4}}"
        yield ""
        yield from self._targets()
        yield ""
        yield from self._runbook()

    def _components(self) -> Iterator[str]:
        if self.found.remark:
            yield f"# {self.found.remark}"
        if self.found.notes:
            yield "# drd plan new also found the following, but did not add it to the plan:"
        for note in self.found.notes:
            yield from wrap(
                escaped(note), 98, initial_indent="# - ", subsequent_indent="#   ", **WHOLE
            )
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
                yield from (f"    {line}" for line in _key(key, value))
            if spec.comparison is not None:
                self._check(name, spec)
            self.named.append((name, spec, wish))

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
        yield from self._access()

    def _access(self) -> Iterator[str]:
        """What the place of the repository needs besides the password."""
        scheme = scheme_of(self.repository)
        if scheme is not None:
            yield f"    {scheme.name}:    # docs/repositories.md explains how to get these values"
            fields = SECTIONS[scheme.name].model_fields
            for key, setting in scheme.settings.items():
                shown = "" if setting.required else "# "
                if setting.secret:
                    credential = as_name(f"{self.name[:20]}-{scheme.name}-{key}")
                    if setting.required:
                        about = str(fields[key].description).partition(". ")[0].rstrip(".")
                        self.credentials.append((credential, about[:1].lower() + about[1:]))
                    yield f"      {shown}{key}: {{credential: {inline(credential)}}}"
                else:
                    about = "    # CHANGE THIS" if setting.sample else ""
                    yield f"      {shown}{key}: {inline(setting.sample or 'CHANGE-THIS')}{about}"
        if is_s3(self.repository):
            yield from bucket_keys(self.name, self.credentials)

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

    def _targets(self) -> Iterator[str]:
        """Comments that are a valid target without the first `#` of each line."""
        lines = [line for named in self.named for line in _target(*named)]
        yield "# Places to restore to, other than production: drd recover PLAN --target standby"
        yield "# Without targets, a recovery is possible only in place: drd recover PLAN --in-place"
        yield "# Adapt the places, make their directories, and remove the first # of each line from"
        yield "# `targets` on."
        yield "#targets:"
        yield "#  standby:"
        yield from (f"#    {line}" for line in lines)

    def _runbook(self) -> Iterator[str]:
        """Steps that stop the application for a recovery in place, and start it again: servers
        whose data is replaced stop last and start first. They are comments, unless a service has a
        database open: what has other files open may be anything.
        """
        wishes = [wish for _, _, wish in self.named]
        servers = _units(wish for wish in wishes if wish.serves)
        certain = [u for u in _units(w for w in wishes if w.live) if u not in servers] + servers
        units = certain or _units(wishes)
        yield "# A recovery in place stops the programs that use the data, and starts them again."
        yield "# Without a runbook, drd restores everything and runs every check."
        if units:
            yield f"# These services had files of this plan open: {', '.join(units)}."
        if certain:
            yield "# Add other services that use the data."
        else:
            which = "of other services" if units else "of application.service"
            yield f"# Write the unit of your application in place {which}, and remove the"
            yield "# first # of each line from `runbook` on."
        mark = "" if certain else "#"
        yield from (f"{mark}{line}" for line in _runbook(units or ["application.service"]))

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


def _key(key: str, value: Any) -> Iterator[str]:
    """Return the lines of a key; a list of mappings has a line for each. No name of a file ends a
    comment."""
    if key == "#":
        yield from wrap(escaped(value), 94, initial_indent="# ", subsequent_indent="# ", **WHOLE)
    elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        yield f"{key}:"
        yield from (f"  - {inline(v)}" for v in value)
    else:
        yield f"{key}: {inline(value)}"


def _target(name: str, spec: KindSpec, wish: Wish) -> Iterator[str]:
    """Return the lines of a component in a target; a comment if nobody knows its keys."""
    keys = wish.target(name) if wish.target is not None else _path_alone(name, spec)
    pairs = list(keys)
    if not pairs:
        yield f"# {name}: its place, with the keys of kind {spec.name}"
        return
    yield f"{inline(name)}:"
    for key, value in pairs:
        yield from (f"  {line}" for line in _key(key, value))


def _path_alone(name: str, spec: KindSpec) -> Iterator[tuple[str, Any]]:
    """Return a path as an example, for a kind whose targets need nothing else."""
    if [k for k, f in spec.target.model_fields.items() if f.is_required()] == ["path"]:
        yield "path", f"/srv/standby/{name}"


def _units(wishes: Iterable[Wish]) -> list[str]:
    return list(dict.fromkeys(unit for wish in wishes for unit in wish.units))


def _runbook(units: Sequence[str]) -> Iterator[str]:
    yield "runbook:"
    for unit in units:
        yield from _of_production("stop", unit)
    yield "  - {name: data, restore: all}"
    yield "  - {name: checks, check: all}"
    for unit in reversed(units):
        yield from _of_production("start", unit)


def _of_production(verb: str, unit: str) -> Iterator[str]:
    """Return a step that no drill executes."""
    yield f"  - name: {inline(f'{verb}-{_step(unit)}')}"
    yield f"    {verb}: {{unit: {inline(unit)}}}"
    yield "    when: {target: in-place}"
    yield "    rehearse: skip"
    yield "    reason: the application keeps running during a drill"


def _step(unit: str) -> str:
    return as_name(unit.removesuffix(".service")[:30]) or "application"


def bucket_credentials(name: str, credentials: list[tuple[str, str]]) -> tuple[str, str]:
    """Return the names of the credentials with the keys of a bucket, and add these to the
    credentials of the plan."""
    key, secret = as_name(f"{name[:33]}-s3-id"), as_name(f"{name[:33]}-s3-key")
    credentials.append((key, "the access key id of the bucket"))
    credentials.append((secret, "the secret access key of the bucket"))
    return key, secret


def bucket_keys(name: str, credentials: list[tuple[str, str]]) -> Iterator[str]:
    """Return the lines of a repository with the keys of its bucket, and add these to the
    credentials of the plan."""
    key, secret = bucket_credentials(name, credentials)
    yield "    s3:"
    yield f"      access_key: {{credential: {inline(key)}}}"
    yield f"      secret_key: {{credential: {inline(secret)}}}"
