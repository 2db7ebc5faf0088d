"""Write a commented starting plan for what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drd.config.problems import as_name
from drd.config.writing import inline
from drd.model.plan import OWN_COMPONENT

PLACEHOLDER = "s3:https://s3.example.com/my-bucket"
"""The placeholder for a repository that nobody named; it is never contacted."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is to be protected.

    `databases` are PostgreSQL databases: name and connection string, None for one with a password,
    which then becomes a credential. `notes` are sentences for comments."""

    databases: Sequence[tuple[str, str | None]] = ()
    sqlite: Sequence[str] = ()
    files: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Starter:
    """The text of a plan, and the credentials that it refers to, each with its purpose."""

    text: str
    credentials: Sequence[tuple[str, str]]


def starter(name: str, found: Found, repository: str | None) -> Starter:
    """A plan that passes `drd plan check`."""
    writer = _Writer(name, found, repository)
    text = "\n".join(writer.lines()) + "\n"
    return Starter(text, tuple(writer.credentials))


class _Writer:
    def __init__(self, name: str, found: Found, repository: str | None) -> None:
        self.name = name
        self.found = found
        self.repository = repository or f"{PLACEHOLDER}/{name}"
        self.is_placeholder = repository is None
        self.credentials: list[tuple[str, str]] = []
        self.taken = {OWN_COMPONENT, "manifest"}
        self.checks: list[dict[str, str]] = []

    def lines(self) -> Iterator[str]:
        yield "# yaml-language-server: $schema=plan.schema.json"
        yield "# (drd plan schema > plan.schema.json, beside this file, for completion in editors)"
        yield f"plan: {inline(self.name)}"
        yield 'owner: ""                      # who answers for this service'
        yield 'description: ""                # what it is, for the person on call'
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
        for database, dsn in self.found.databases:
            name = self._free(database, "database")
            yield f"  {inline(name)}:"
            yield "    kind: postgres"
            if dsn is None:
                credential = as_name(f"{name[:36]}-dsn")
                self.credentials.append((credential, "the connection string of the database"))
                yield f"    dsn: {{credential: {inline(credential)}}}"
            else:
                yield (
                    "    # The user that drd runs as must be allowed to connect; this "
                    "contains no password."
                )
                yield f"    dsn: {inline(dsn)}"
            self._check(name, "row counts as at backup", "rows")
        for path in self.found.sqlite:
            name = self._free(path.rpartition("/")[2].partition(".")[0], "sqlite")
            yield f"  {inline(name)}:"
            yield "    kind: sqlite"
            yield f"    path: {inline(path)}"
            self._check(name, "row counts as at backup", "rows")
        if self.found.files:
            yield from self._files()

    def _files(self) -> Iterator[str]:
        name = self._free("configuration", "files")
        yield f"  {inline(name)}:"
        yield "    kind: files"
        yield f"    paths: {inline(list(self.found.files))}"
        inside = [s for s in self.found.sqlite if any(_is_below(s, f) for f in self.found.files)]
        if inside:
            yield (
                "    # A copy of a live database's files is inconsistent; a database has "
                "its own component."
            )
            excluded = [path + end for path in inside for end in ("", "-wal", "-shm", "-journal")]
            yield f"    exclude: {inline(excluded)}"
        else:
            yield '    exclude: ["*.tmp"]'
        self._check(name, "files as at backup", "files")

    def _repositories(self) -> Iterator[str]:
        password = as_name(f"{self.name[:33]}-restic")
        self.credentials.append((password, "the encryption password of the repository"))
        yield "repositories:"
        yield "  primary:"
        if self.is_placeholder:
            yield (
                "    # CHANGE THIS to your bucket, at another provider or at least in another "
                "region."
            )
        yield f"    url: {inline(self.repository)}"
        yield "    # Without this password the backups are worth nothing: keep a copy elsewhere."
        yield f"    password: {{credential: {inline(password)}}}"
        if self.repository.startswith("s3:"):
            key, secret = as_name(f"{self.name[:33]}-s3-id"), as_name(f"{self.name[:33]}-s3-key")
            self.credentials.append((key, "the access key id of the bucket"))
            self.credentials.append((secret, "the secret access key of the bucket"))
            yield "    s3:"
            yield f"      access_key: {{credential: {inline(key)}}}"
            yield f"      secret_key: {{credential: {inline(secret)}}}"

    def _checks(self) -> Iterator[str]:
        yield "checks:"
        yield from (f"  - {inline(check)}" for check in self.checks)
        component = next((c["component"] for c in self.checks if c["kind"] == "rows"), None)
        if component is None:
            return
        yield "# Better still: a query whose answer you know."
        yield "#  - name: newest order is recent"
        yield "#    kind: sql"
        yield f"#    component: {inline(component)}"
        yield "#    query: select max(created_at) from orders"
        yield "#    expect: within rpo"

    def _check(self, component: str, words: str, kind: str) -> None:
        name = f"{component}: {words}"
        self.checks.append({"name": name, "kind": kind, "component": component})

    def _free(self, wish: str, fallback: str) -> str:
        """A component's name that nothing has yet."""
        base = as_name(wish) or fallback
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base[:36]}-{number}"
        self.taken.add(name)
        return name


def _is_below(path: str, directory: str) -> bool:
    return path.startswith(directory.rstrip("/") + "/")
