"""Run the hooks of components: before and after a capture, also after an interrupted capture."""

from __future__ import annotations

from drd import process
from drd.errors import DrdError, DumpFailed
from drd.model.plan import Component, Hook


def run_before(component: Component) -> None:
    """Run the `before` hook. Raises DumpFailed."""
    _run(component.before, component, "before")


def run_after(component: Component) -> None:
    """Run the `after` hook. Raises DumpFailed."""
    with process.shielded():
        _run(component.after, component, "after")


def run_after_anyway(component: Component) -> list[str]:
    """Run the `after` hook of an interrupted capture; returns its error as a sentence. It may run
    again if its process is killed."""
    try:
        run_after(component)
    except (DrdError, OSError) as error:
        return [f"{component.name}: {error}"]
    return []


def _run(hook: Hook | None, component: Component, which: str) -> None:
    if hook is None:
        return
    command = process.Command(
        hook.command,
        env={"DRD_COMPONENT": component.name},
        deadline_s=hook.timeout_s,
        drop_capabilities=True,
        name=f"{which} hook of {component.name}",
        more_time=f"if this hook needs more time, raise its `timeout` in the plan (`{which}`).",
    )
    done = process.run(command)
    if done.exit_code != 0:
        raise DumpFailed(
            f"{command.title} {done.failure}",
            hint=f"run the hook by hand to see what is wrong: {' '.join(hook.command)}",
        )
