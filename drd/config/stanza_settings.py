"""The keys of a plan about a stanza of pgBackRest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from drd.fields import Contradiction, Duration, Secret, Settings

_OPTION = re.compile(r"[a-z][a-z0-9-]{1,60}")
_VARIABLE = re.compile(r"PGBACKREST_[A-Z0-9_]{1,60}")
_SECRET = re.compile(r"cipher-pass$|-key$|key-secret$|-token$|passphrase$|customer-key$")
_RUNS = re.compile(r"^cmd|-cmd$|^cmd-|^archive-header|^exec-id$")
_OWN = frozenset({
    "stanza", "config", "config-path", "config-include-path", "repo", "lock-path", "log-path",
    "spool-path", "log-level-console", "log-level-file", "log-level-stderr", "log-timestamp", "set",
    "target", "type", "pg1-path", "output",
})  # fmt: skip


StanzaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", examples=["shop"])]


class StanzaSettings(Settings):
    """What pgBackRest needs to read its repository: `config`, or `options`, or both."""

    unsaid: ClassVar = {"check": (False,)}

    stanza: StanzaName | None = Field(
        None, description="Name of the stanza. Default: the name in the URL."
    )
    config: Secret | None = Field(
        None,
        description="The configuration of pgBackRest, as a secret: a copy of "
        "/etc/pgbackrest.conf that nobody else can write, because it decides "
        "which programs run. drd passes this copy to pgBackRest in memory.",
    )
    options: dict[str, str | int | bool] = Field(
        default_factory=dict,
        description="Options of pgBackRest that are not secret, by their names: `repo1-path: "
        "/srv/pgbackrest`. They take precedence over `config`.",
    )
    env: dict[str, Secret] = Field(
        default_factory=dict,
        description="Secrets of pgBackRest, by the environment variables that pgBackRest "
        "reads, like `PGBACKREST_REPO1_CIPHER_PASS: {credential: cipher}`.",
    )
    repo: int = Field(
        1, strict=True, ge=1, le=256, description="Which repository of the configuration drd reads."
    )
    timeout: Duration = Field(86400.0, description="Time limit of one restore or verification.")
    check: bool = Field(
        False,
        description="If true, `drd doctor`, and so each readiness check of the daemon, also runs "
        "`pgbackrest check`: it makes the server begin a new WAL segment, and sees whether this "
        "segment arrives in the archive. It needs `config` with pg1-path, and the server on this "
        "host or within reach of pgBackRest. If false, drd changes nothing on the server.",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        if self.config is None and not self.options:
            hint = "add `config: {credential: pgbackrest.conf}`."
            yield Contradiction((), "needs `config` or `options`", hint)
        elif self.config is None and self.check:
            hint = "add `config: {credential: pgbackrest.conf}`, with pg1-path, or remove `check`."
            yield Contradiction(("check",), "needs `config`, which says where the server is", hint)
        for name in self.options:
            yield from _wrong_option(name)
        for name in self.env:
            if not _VARIABLE.fullmatch(name):
                hint = "write the whole name of the variable, like PGBACKREST_REPO1_CIPHER_PASS."
                message = "is not a variable of pgBackRest"
                yield Contradiction(("env", name), message, hint, True)


def _wrong_option(name: str) -> Iterator[Contradiction]:
    place = ("options", name)
    if not _OPTION.fullmatch(name):
        hint = "write the name of an option without the first hyphens, like repo1-path."
        yield Contradiction(place, "is not the name of an option", hint, True)
    elif name in _OWN:
        hint = "remove this option; `stanza`, `config` and `repo` are keys of `pgbackrest`."
        yield Contradiction(place, "is an option that drd sets itself", hint, True)
    elif _SECRET.search(name):
        variable = f"PGBACKREST_{name.upper().replace('-', '_')}"
        hint = f"write env: {{{variable}: {{credential: NAME}}}}."
        yield Contradiction(
            place, "contains a secret, which does not belong into a plan", hint, True
        )
    elif _RUNS.search(name):
        yield Contradiction(
            place,
            "decides which program pgBackRest runs, so drd does not accept this option here",
            "write this option into the file that `config` names.",
            True,
        )


def variable_of(option: str) -> str:
    """Return the variable by which pgBackRest reads an option."""
    return f"PGBACKREST_{option.upper().replace('-', '_')}"


def option_text(value: str | int | bool) -> str:
    """Return the value of an option as pgBackRest reads it."""
    return ("y" if value else "n") if isinstance(value, bool) else str(value)
