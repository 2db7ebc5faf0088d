"""Describe how to move the backups of plans into a repository with a new master key. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drd.model.plan import Plan, RepositorySpec


def new_repository(keepers: Sequence[tuple[Plan, RepositorySpec]]) -> list[str]:
    """Return the commands for every plan that stores in one repository. The repository may be
    deleted only when all of them have moved.
    """
    lines: list[str] = []
    for plan, spec in keepers:
        if len(keepers) > 1:
            lines.append(f"plan {plan.name}, of {plan.file}:")
        steps = (f"{n}. {step}" for n, step in enumerate(_steps(plan, spec), 1))
        lines += "\n".join(steps).split("\n")
    ((_, spec), *_) = keepers
    names = [plan.name for plan, _ in keepers]
    when = "then"
    if len(names) > 1:
        when = f"only when all of these plans have moved ({', '.join(names)})"
    return [
        *lines,
        f"{when}, and if no other host stores there, delete this repository with all its versions:",
        f"     {spec.url}",
    ]


def _steps(plan: Plan, spec: RepositorySpec) -> Iterator[str]:
    name = f"{spec.name}-new"
    source = plan.primary.name if spec.copy_of is None else spec.copy_of
    yield (
        f"in {plan.file}, add under `repositories:`, with its own URL and password:\n     {name}: "
        f"{{url: NEW-URL, password: {{credential: {plan.name}-{name}}}, copy_of: {source}}}"
    )
    yield "systemctl reload drd    (if the password is a new credential: systemctl restart drd)"
    yield f"drd copy {plan.name} --repository {name}"
    yield f"drd verify {plan.name} --repository {name} && drd drill {plan.name} --repository {name}"
    if spec.copy_of is not None:
        yield f"remove {spec.name} from {plan.file}, then: systemctl reload drd"
    else:
        yield (
            f"in {plan.file}: remove `copy_of` of {name}, and remove {spec.name} (in its other "
            f"copies write\n     `copy_of: {name}`), then: systemctl reload drd && drd backup "
            f"{plan.name}"
        )
    yield f"drd kit export {plan.name} --to FILE"
