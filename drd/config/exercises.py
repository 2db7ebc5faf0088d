"""Read the exercises of drd and of the installation: their text, schema and logic."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exercise_build import build_exercise, check_exercise
from drd.config.exercise_schema import ExerciseFile
from drd.config.exposed_files import state_owners
from drd.config.json_schema import JsonSchema, published
from drd.config.own_files import Own, OwnFile, Sort, broken_findings, load_own, validated
from drd.config.playbooks import playbooks_of
from drd.config.problems import did_you_mean
from drd.config.regimes import regimes_of
from drd.model.exercises.exercise import Exercise
from drd.model.finding import Finding
from drd.plan_files import plan_files, plan_name

SHIPPED = Path(drd.__file__).parent / "exercises"
_SORT = Sort(
    "exercise",
    "exercises",
    "exercise",
    SHIPPED,
    "drd exercise list",
    "; `drd exercise new` writes a first one",
)
Exercises: TypeAlias = Own[Exercise]


def exercises_of(settings: DaemonSettings, files: Sequence[Path] = ()) -> Exercises:
    """Return the exercises of drd, those of the installation, and those of the given files."""
    return load_exercises(settings.exercises_dir, files, state_owners(settings.state_dir))


def load_exercises(
    directory: Path | None, files: Sequence[Path] = (), trusted: Collection[int] | None = None
) -> Exercises:
    """Read the shipped exercises, those of `directory`, and the given files. With `trusted`, a
    file of the installation is refused if users with other ids than these can change it."""
    return load_own(_SORT, _exercise, directory, files, trusted)


def exercise_schema() -> JsonSchema:
    """Return the JSON Schema of an exercise, for editors."""
    return published(ExerciseFile, "drd exercise")


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about exercises of the installation: broken files,
    and names that do not exist."""
    if settings.exercises_dir is None:
        return []
    read_ones = exercises_of(settings)
    broken = broken_findings("exercise-file", read_ones.problems)
    return [*broken, *unknown_names(read_ones, settings)]


def unknown_names(found: Exercises, settings: DaemonSettings) -> Iterator[Finding]:
    """Yield a finding for each playbook, plan and regime that an exercise of the installation
    names but that does not exist."""
    own = [exercise for exercise in found.known.values() if exercise.own]
    if not own:
        return
    there: Mapping[str, Collection[str]] = {
        "playbook": playbooks_of(settings).known,
        "plan": {plan_name(file.path) for file in plan_files(settings.plans_dir)},
        "regime": regimes_of(settings).known,
    }
    for exercise in own:
        for sort, name in exercise.named():
            if name not in there[sort]:
                text = f"exercise {exercise.name} names the {sort} {name}, which does not exist"
                near = did_you_mean(name, sorted(there[sort]))
                hint = f"{near} Correct the file {exercise.file}.".strip()
                yield Finding("exercise-name", "warning", exercise.name, text, hint)


def _exercise(read: OwnFile) -> Exercise | None:
    file = validated(ExerciseFile, read.report)
    if file is None:
        return None
    check_exercise(file, read.report)
    if read.report.errors:
        return None
    return build_exercise(file, read.file, own=read.own)
