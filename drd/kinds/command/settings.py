"""The keys of a plan about a component that commands of your own dump and restore."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import Field

from drd.fields import AbsolutePath, Contradiction, Duration, Placed, Secret, Settings
from drd.model.values import references

Words = Annotated[list[str], Field(min_length=1)]

PATH, ADDRESS, PORT, DUMP, QUERY = "path", "address", "port", "dump", "query"

_VALUES = {
    "dump": {PATH, ADDRESS},
    "restore": {PATH, DUMP},
    "count": {PATH, ADDRESS},
    "query": {PATH, ADDRESS, QUERY},
}
"""The values that the words of each command may contain, as `${path}`."""

_OF_SERVER = {PATH, ADDRESS, PORT}


class Serve(Settings):
    """The server of a drill, which answers for the restored data."""

    command: Words = Field(
        description="A program, as a list of words, that stays in the foreground and serves the "
        "data in `${path}`, its working directory, on port `${port}` of loopback. drd does "
        "not use a shell. drd ends the program after the drill."
    )
    address: str = Field(
        "127.0.0.1:${port}",
        min_length=1,
        description="The address of this server. drd inserts it for `${address}` in the commands.",
    )
    ready: Words | None = Field(
        None,
        description="A command that exits with 0 when the server is ready. Default: drd waits "
        "until a program listens on the port.",
    )
    within: Duration = Field(60.0, description="How long the server may take to become ready.")
    first: bool = Field(
        False,
        description="If true, the server starts before `restore`, on an empty directory, and "
        "`restore` loads the dump through `${address}`. This is for a service whose data "
        "only its running server can restore. Its targets then need an `address`.",
    )


class CommandSettings(Settings):
    """Anything that a command dumps to its output, and another command restores."""

    kind: Literal["command"]
    dump: Words | None = Field(
        None,
        description="The command that prints the dump; drd runs it without a shell. drd stores the "
        "output as one file, if the command ends with exit 0. Required, unless another "
        "tool makes the copies (`made_by`).",
    )
    restore: Words = Field(
        description="The command that restores the dump into the directory `${path}`, which is "
        "empty and is its working directory; drd runs it without a shell. The command "
        "reads the dump from its standard input, or from the file `${dump}`. drd gives the "
        "directory its final name afterwards."
    )
    path: AbsolutePath | None = Field(
        None,
        description="The directory of the service's data. drd inserts it for `${path}` in "
        "commands that read the source. A recovery in place restores to this directory.",
    )
    address: str | None = Field(
        None,
        min_length=1,
        description="The address of the running service, for example `ldapi:///`. drd inserts "
        "it for `${address}` in commands that read the source. Must not contain secrets.",
    )
    serve: Serve | None = Field(
        None,
        description="The server that a drill starts on the restored data. Required if `count`, "
        "`query` or steps of the runbook need a running server: they reach this server at "
        "`${address}`.",
    )
    count: Words | None = Field(
        None,
        description="A command that counts what is in `${path}` or at `${address}`: lines "
        "`NAME`, tab, `NUMBER`, or one number. drd runs the command at each backup and after "
        "each restore; a check of kind `rows` compares both counts.",
    )
    query: Words | None = Field(
        None,
        description="A command that answers a query about `${path}` or `${address}` with one "
        "line. drd inserts the query for `${query}`; if no word contains `${query}`, the "
        "command reads the query from its standard input. Checks of kind `sql` use this "
        "command.",
    )
    ends_with: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The text at the end of a complete dump, for a tool that ends with exit 0 "
        "even if the dump is incomplete. drd ignores white space after this text.",
    )
    env: dict[str, str] = Field(
        default_factory=dict,
        description="Environment variables of all these commands; must not contain secrets.",
    )
    secrets: dict[str, Secret] = Field(
        default_factory=dict,
        description="Environment variables with secrets; each value is a reference to a secret. "
        "Only commands that work with the source get these variables; commands in a drill do "
        "not.",
    )
    secret_files: dict[str, Secret] = Field(
        default_factory=dict,
        description="Like `secrets`, for a program that reads a secret from a file: the "
        "variable contains the path of a file in memory, which contains the secret.",
    )
    timeout: Duration = Field(
        3600.0,
        description="Time limit for `dump`, and for `restore`; drd ends a command that takes "
        "longer, with all processes that it has started.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        yield from self._missing_values()
        yield from self._wrong_variables()

    def _missing_values(self) -> Iterator[Contradiction]:
        for key, words in self._commands():
            for at, word in enumerate(words):
                yield from _unknown_values((key,), at, word, self._values(key))
        for key, at_source in (("dump", self.dump or []), ("count", self.count or [])):
            used = references(" ".join(at_source))
            if self.path is None and PATH in used:
                hint = "add `path`: the directory of the data of the service."
                yield Contradiction((key,), "uses ${path}, but `path` is missing", hint)
            if self.address is None and ADDRESS in used:
                hint = "add `address`: the address of the running service."
                yield Contradiction((key,), "uses ${address}, but `address` is missing", hint)
        for key, asking in (("count", self.count or []), ("query", self.query or [])):
            if self.serve is None and ADDRESS in references(" ".join(asking)):
                hint = "add `serve`: the command that starts a server on restored data."
                yield Contradiction((key,), "uses ${address}, but `serve` is missing", hint)
        if self.serve is not None:
            yield from self._of_server(self.serve)

    @property
    def dumping(self) -> list[str]:
        """The words of `dump`. A plan whose copies drd makes has them."""
        assert self.dump is not None
        return self.dump

    @property
    def loads(self) -> bool:
        """Whether the restore command loads the dump into a running service."""
        return self.serve is not None and self.serve.first

    @property
    def dumps_target(self) -> bool:
        """Whether the dump command can dump another service than the source."""
        return self.loads and ADDRESS in references(" ".join(self.dump or ()))

    def _values(self, key: str) -> set[str]:
        """Return the values that the words of a command may contain."""
        if not self.loads or key == "dump":
            return _VALUES[key]
        return (_VALUES[key] | {ADDRESS}) - {PATH}

    def _wrong_variables(self) -> Iterator[Contradiction]:
        for name in sorted({*self.secrets, *self.secret_files} & {*self.env}):
            hint = "remove this variable from `env`, or use two different names."
            yield Contradiction(
                ("env", name), "is also under `secrets` or `secret_files`", hint, of_key=True
            )
        for name in sorted({*self.secrets} & {*self.secret_files}):
            hint = "write this variable under `secrets` or under `secret_files`, not under both."
            wrong = "is also under `secrets`"
            yield Contradiction(("secret_files", name), wrong, hint, of_key=True)
        for key in ("env", "secrets", "secret_files"):
            yield from (_bad_name(key, n) for n in getattr(self, key) if not _is_variable(n))

    def _of_server(self, serve: Serve) -> Iterator[Contradiction]:
        for key, words in (("command", serve.command), ("ready", serve.ready or [])):
            for at, word in enumerate(words):
                yield from _unknown_values(("serve", key), at, word, _OF_SERVER)
        yield from _unknown_values(("serve", "address"), 1, serve.address, {PATH, PORT})

    def all_commands(self) -> Iterator[Placed]:
        yield from (((key,), words) for key, words in self._commands())
        if self.serve is not None:
            yield ("serve", "command"), self.serve.command
            if self.serve.ready is not None:
                yield ("serve", "ready"), self.serve.ready

    def _commands(self) -> Iterator[tuple[str, list[str]]]:
        for key in _VALUES:
            words: list[str] | None = getattr(self, key)
            if words is not None:
                yield key, words


class CommandTarget(Settings):
    """Where a component of kind command is restored to."""

    path: AbsolutePath | None = Field(
        None,
        description="The directory to restore to. drd makes it; the directory above it has to "
        "exist.",
    )
    address: str | None = Field(
        None,
        min_length=1,
        description="The address of the service at the target. drd inserts it for `${address}` "
        "in `count` and `query`, after a step of the runbook has started the service. If "
        "`serve` has `first: true`: the running service into which `restore` loads the dump.",
    )
    secrets: dict[str, Secret] = Field(
        default_factory=dict,
        description="Environment variables with secrets for the commands that use `address`.",
    )
    secret_files: dict[str, Secret] = Field(
        default_factory=dict,
        description="Like `secrets`, for a program that reads a secret from a file: the "
        "variable contains the path of a file in memory, which contains the secret.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.path is None and self.address is None:
            hint = "give `path`; or `address`, if `serve` of the component has `first: true`."
            yield Contradiction((), "has neither `path` nor `address`", hint)


def _unknown_values(
    key: tuple[str, ...], at: int, word: str, known: Collection[str]
) -> Iterator[Contradiction]:
    for name in references(word):
        if at == 0:
            hint = "write the name of a program, or its whole path."
            yield Contradiction(
                (*key, at), "the first word must be a program, not a ${value}", hint
            )
        elif name not in known:
            usable = " and ".join(f"${{{v}}}" for v in sorted(known))
            hint = f"usable here: {usable}. For the text ${{…}} itself, write $${{…}}."
            yield Contradiction(key, f"unknown value ${{{name}}}", hint)


def _is_variable(name: str) -> bool:
    return name.isascii() and name.isidentifier()


def _bad_name(key: str, name: str) -> Contradiction:
    hint = "use letters, digits and underscores."
    return Contradiction(
        (key, name), "is not a valid name of an environment variable", hint, of_key=True
    )
