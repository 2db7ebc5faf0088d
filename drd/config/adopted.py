"""Check plans whose copies another tool makes (`made_by`)."""

from __future__ import annotations

from drd.config.parse import Parsed
from drd.config.problems import Report
from drd.config.schema import ComponentKeys, RepositorySettings
from drd.config.yaml import Path
from drd.model.location import is_named_place
from drd.model.text import called
from drd.ports.kinds import Holds, KindSpec
from drd.registry import KINDS

COMMAND = "command"
"""The value of `made_by` for a tool that the plan describes by its commands."""

PGBACKREST = "pgbackrest"
"""The value of `made_by` for a tool that copies whole servers."""

NO_PASSWORD = (COMMAND, PGBACKREST)
"""The tools that have other secrets than one password of the repository."""

_NOT_DRDS = {
    "backup": "backup",
    "consistency": "consistency",
    "copy": "copies",
    "prune": "prune",
}
"""Sections about work that drd leaves to the other tool, and the fields that contain them."""


def check_adopted(parsed: Parsed, report: Report) -> None:
    """Report keys that do not apply to copies of another tool, and keys that are missing."""
    repositories = parsed.file.repositories
    for name, repository in repositories.items():
        _tool_keys(repository, ("repositories", name), report)
    adopted = {n: r.made_by for n, r in repositories.items() if r.made_by is not None}
    for name, repository in repositories.items():
        if repository.only is not None and repository.made_by is None:
            hint = "remove `only`, or add `made_by`."
            message = "applies only to copies that another tool makes"
            report.error(("repositories", name, "only"), message, hint, of_key=True)
        if repository.read_up_to is not None and repository.made_by is None:
            hint = "remove `read_up_to`, or add `made_by`."
            message = "applies only to copies that another tool makes"
            report.error(("repositories", name, "read_up_to"), message, hint, of_key=True)
    if not adopted:
        if not any("made_by" in path for path in report.broken):
            _without(parsed, report)
        return
    tool = str(next(iter(adopted.values())))
    _alone(parsed, report)
    _sections(parsed, tool, report)
    if tool == COMMAND and len(parsed.file.components) > 1:
        message = (
            f"has {len(parsed.file.components)} components, but with `made_by: command` a plan can "
            "have only one"
        )
        report.error(("components",), message, "write one plan for each component.", of_key=True)
    _components(parsed, tool, report)


def _tool_keys(repository: RepositorySettings, path: Path, report: Report) -> None:
    """Check what only a repository of a certain tool has, and needs."""
    sections = {COMMAND: repository.command, PGBACKREST: repository.pgbackrest}
    needs = {
        COMMAND: (
            "drd must know how to list and restore the copies",
            "{list: [...], restore: [...]}",
        ),
        PGBACKREST: (
            "drd must know how to reach the repository of pgBackRest",
            "{config: {credential: pgbackrest.conf}}",
        ),
    }
    named = repository.url.partition(":")[0] if is_named_place(repository.url) else ""
    for tool, section in sections.items():
        of_tool = repository.made_by == tool
        if of_tool and section is None:
            why, example = needs[tool]
            hint = f"add `{tool}: {example}`, see docs/adopted.md."
            report.error(path, f"needs `{tool}`: {why}", hint)
        elif not of_tool and section is not None:
            hint = f"remove `{tool}`, or add `made_by: {tool}`."
            report.error((*path, tool), f"applies only to `made_by: {tool}`", hint, of_key=True)
        is_misspelt = of_tool and repository.url.startswith(f"{tool}:")  # told with the URL
        if of_tool != (named == tool) and not is_misspelt:
            hint = f"write url: {tool}:NAME, and made_by: {tool}."
            message = f"is possible only in a repository with `made_by: {tool}`"
            report.error((*path, "url"), message, hint)
        if of_tool and repository.only is not None:
            message = f"does not apply to `made_by: {tool}`"
            report.error((*path, "only"), message, _INSTEAD_OF_ONLY[tool], of_key=True)
        if of_tool and tool == PGBACKREST and repository.read_up_to is not None:
            message = f"does not apply to `made_by: {tool}`"
            hint = "remove `read_up_to`: the backups of pgBackRest are no packed dumps."
            report.error((*path, "read_up_to"), message, hint, of_key=True)
        if of_tool and tool == PGBACKREST and repository.password is not None:
            message = "does not apply: pgBackRest reads its encryption password from a variable"
            hint = (
                "remove `password`, and write the password into this variable: pgbackrest: {env: "
                "{PGBACKREST_REPO1_CIPHER_PASS: …}}."
            )
            report.error((*path, "password"), message, hint, of_key=True)


_INSTEAD_OF_ONLY = {
    COMMAND: "remove `only`, and change `list` under `command` so that it prints only "
    "copies of this service.",
    PGBACKREST: "remove `only`: a stanza has the backups of one server.",
}


def _without(parsed: Parsed, report: Report) -> None:
    for name, component in parsed.file.components.items():
        for key in KINDS[component.kind].for_backups:
            if getattr(component, key) is None:
                message = f"required key `{key}` is missing"
                hint = (
                    f"add `{key}`. If another tool makes the copies, add `made_by` to the "
                    "repository instead."
                )
                report.error(("components", name), message, hint, of_key=True)
        if component.copied_as is not None:
            message = "applies only to copies that another tool makes"
            hint = "remove `copied_as`, or add `made_by` to the repository."
            report.error(("components", name, "copied_as"), message, hint, of_key=True)


def _alone(parsed: Parsed, report: Report) -> None:
    if len(parsed.file.repositories) == 1:
        return
    for name, repository in parsed.file.repositories.items():
        if repository.made_by is None:
            report.error(
                ("repositories", name),
                "cannot be combined with a repository with `made_by`: drd makes no copies of this "
                "plan",
                "remove this repository, or write two plans: one with `made_by`, one without.",
                of_key=True,
            )


def _sections(parsed: Parsed, tool: str, report: Report) -> None:
    fields = type(parsed.file).model_fields
    for section, name in _NOT_DRDS.items():
        if getattr(parsed.file, name) == fields[name].get_default(call_default_factory=True):
            continue
        message = (
            f"does not apply: {called(tool)} makes the copies of this plan, and drd only reads them"
        )
        report.error((section,), message, f"remove `{section}`.", of_key=True)


def _components(parsed: Parsed, tool: str, report: Report) -> None:
    for name, component in parsed.file.components.items():
        for hook in ("before", "after"):
            if getattr(component, hook) is not None:
                message = f"does not apply: {called(tool)} makes the copies of this plan"
                hint = f"remove `{hook}`."
                report.error(("components", name, hook), message, hint, of_key=True)
        spec = KINDS[component.kind]
        path: Path = ("components", name)
        able = [s.name for s in KINDS if (s.adopts_server if tool == PGBACKREST else s.adopts)]
        if component.kind not in able:
            message = (
                f"drd cannot restore a copy of kind {component.kind} that {called(tool)} has made"
            )
            message += f": {spec.adopts_not}" if spec.adopts_not else ""
            report.error((*path, "kind"), message, f"kinds that can: {', '.join(able)}.")
        elif tool in _WHOLE:
            _in_whole_copy(spec, component, tool, path, report)
        elif component.copied_as is None and not (spec.plain_copies and spec.paths(component)):
            message = f"needs `copied_as`: where in each copy {called(tool)} has stored its dump"
            hint = "add copied_as: /PATH/OF/THE/DUMP, with the path of the dump in the copies."
            report.error(path, message, hint, of_key=True)
        elif component.copied_as is not None and spec.holds is Holds.PATHS:
            message = (
                f"does not apply to {component.kind}, which are in each copy at their own paths"
            )
            report.error((*path, "copied_as"), message, "remove `copied_as`.", of_key=True)


_WHOLE = {
    COMMAND: "which restores the whole copy",
    PGBACKREST: "where `dsn` names the database in the backup of the server",
}
"""The tools whose copies do not have paths, and what this means."""


def _in_whole_copy(
    spec: KindSpec, component: ComponentKeys, tool: str, path: Path, report: Report
) -> None:
    if component.copied_as is not None:
        message = f"does not apply to `made_by: {tool}`, {_WHOLE[tool]}"
        report.error((*path, "copied_as"), message, "remove `copied_as`.", of_key=True)
    elif tool == PGBACKREST and not spec.served_as(component):
        message = "does not name its database on the server that pgBackRest backs up"
        hint = "write its `dsn` as text, without a password: postgresql:///DATABASE."
        report.error(path, message, hint, of_key=True)
