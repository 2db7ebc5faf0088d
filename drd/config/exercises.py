"""Read exercises, those of drd and those of an installation: text, schema, logic."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

import drd
from drd.config.daemon import DaemonSettings
from drd.config.exercise_build import build_exercise, check_exercise
from drd.config.exercise_schema import ExerciseFile
from drd.config.exposed_files import state_owners
from drd.config.json_schema import JsonSchema, SchemaView, published
from drd.config.own_files import Sort, read_own
from drd.config.playbooks import playbooks_of
from drd.config.problems import Report, did_you_mean
from drd.config.regimes import regimes_of
from drd.config.translation import translate
from drd.errors import ConfigError, Problem, UsageError
from drd.model.exercises.exercise import Exercise
from drd.model.finding import Finding
from drd.model.nearest import closest
from drd.plan_files import plan_files, plan_name

SHIPPED = Path(drd.__file__).parent / "exercises"
_SORT = Sort(
    "exercise", "exercises", "exercise", SHIPPED, "; `drd exercise new` writes a first one"
)


@dataclass(frozen=True, slots=True)
class Exercises:
    """The exercises by name, in the order of the names, and what is wrong with files. `broken` has
    the errors of a name whose own file cannot be used: the shipped one does not take its place."""

    known: Mapping[str, Exercise]
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, tuple[Problem, ...]] = ()  # type: ignore[assignment]

    def get(self, name: str) -> Exercise:
        """Return the exercise of this name. Raises UsageError, ConfigError for a broken file."""
        if name in self.known:
            return self.known[name]
        if name in self.broken:
            raise ConfigError(list(self.broken[name]))
        near = closest(name, list(self.known))
        hint = f"did you mean {near}?" if near else "to see all exercises: drd exercise list"
        raise UsageError(f"there is no exercise {name!r}", hint=hint)


def exercises_of(settings: DaemonSettings, files: Sequence[Path] = ()) -> Exercises:
    """Return the exercises of drd and of an installation, and those of these files."""
    return load_exercises(settings.exercises_dir, files, state_owners(settings.state_dir))


def load_exercises(
    directory: Path | None, files: Sequence[Path] = (), trusted: Collection[int] | None = None
) -> Exercises:
    """Read the shipped exercises, those of `directory`, and these files. With `trusted`, own files
    that users other than these can change are refused."""
    found = read_own(_SORT, directory, files, trusted)
    built: dict[str, Exercise] = {}
    for file in found.all():
        exercise = _exercise(file.report, own=file.own)
        if exercise is None:
            found.breaks(file.name, file.report.errors)
        else:
            built[file.name] = exercise
    known = {k: built[k] for k in found.chosen() if k in built and k not in found.broken}
    return Exercises(known, tuple(dict.fromkeys(found.problems)), found.broken)


def exercise_schema() -> JsonSchema:
    """Return the JSON Schema of an exercise, for editors."""
    return published(ExerciseFile, "drd exercise")


def findings(settings: DaemonSettings) -> list[Finding]:
    """Return the findings of `drd doctor` about one's own exercises: broken files, and names that
    do not exist."""
    if settings.exercises_dir is None:
        return []
    read_ones = exercises_of(settings)
    broken = [
        Finding("exercise-file", "error", Path(p.file).name, str(p), p.hint)
        for p in read_ones.problems
    ]
    return [*broken, *unknown_names(read_ones, settings)]


def unknown_names(found: Exercises, settings: DaemonSettings) -> Iterator[Finding]:
    """Return a finding for each playbook, plan and duty to report that an own exercise names, and
    that does not exist."""
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


def _exercise(report: Report, *, own: bool) -> Exercise | None:
    try:
        file = ExerciseFile.model_validate(report.data)
    except ValidationError as error:
        translate(error, report, SchemaView(ExerciseFile), data=report.data)
        return None
    check_exercise(file, report)
    if report.errors:
        return None
    return build_exercise(file, report.document.file, own=own)
