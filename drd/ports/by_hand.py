"""The commands that restore a component without drd, for a person with a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from drd.model.plan import Component, SecretRef

SAME_ROWS = """\
    [[ $found == "$expected" ]] || # %q: control characters of a manifest do not reach the terminal
        { printf '%q: %s rows, expected %q\\n' "$table" "$found" "$expected"; false; }
    printf '%q: %s rows\\n' "$table" "$found"
"""
"""Commands in a loop over tables: compare the number of rows in `$table`, `$found`, with the number
`$expected`, print the result, and fail if they differ."""


def same_rows(name: str, ask: str, *, logged: bool) -> str:
    """Return the end of such a loop for a component of this name, with the command `ask` that
    prints the number. After a log was replayed (then the file `NAME.replayed` is not empty), the
    rows are shown and not compared: they need not be those of the backup. `logged`: the component
    has a log."""
    if not logged:
        return f"    found=$({ask} </dev/null)\n{SAME_ROWS}done\n"
    return f"""\
    if [[ -s {name}.replayed ]]; then
        found=$({ask} </dev/null) || found='unknown number of'
        printf '%q: %s rows, %q at the backup\\n' "$table" "$found" "$expected"
        continue
    fi
    found=$({ask} </dev/null)
{SAME_ROWS}done
[[ ! -s {name}.replayed ]] ||
    echo "{name}: rows not compared: the log was replayed beyond the backup"
"""


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence and the bash commands that it is about; either may be missing. With `adapt`, the
    person has to adapt the commands before running them. `compares` marks the commands that compare
    what was restored with the manifest. With `judged`, a command prints an answer, which must match
    these words: `number`, an operator and a number; `text`, `==` or `!=` and a text; or `share`,
    the percents and a number. Without such words, a person has to judge the answer.

    The last three are for a script that is started again after it failed. `always` marks commands
    that later commands need in each run, such as a login. `makes` are the words of the command that
    removes what these commands make, where nothing was before: a script writes them down before
    it runs the commands, with the present values of `${NAME@Q}`, and prints them if it fails. With
    `there`, a condition of bash, a part of the component is restored and compared at the end of
    this passage: later runs leave out the passages up to here as long as the condition holds."""

    text: str
    commands: str = ""
    adapt: bool = False
    compares: bool = False
    judged: tuple[str, ...] | None = None
    always: bool = False
    makes: str = ""
    there: str = ""


def empty_data_directory(name: str, parts: Sequence[str]) -> Passage:
    """Return the commands that end with a message if `$DATA` is not empty, or if a directory
    `NAME.PART`, in which the commands work, is left of an earlier run."""
    return Passage(
        "The data directory must be empty, or must not exist, and no files of an earlier run may "
        "be left:",
        f"""\
[[ ! -e $DATA || -z $(ls -A -- "$DATA") ]] || {{ echo "$DATA is not empty"; false; }}
for LEFTOVER in {" ".join(f"{name}.{part}" for part in parts)}; do
    [[ ! -e $LEFTOVER ]] || {{ echo "$PWD/$LEFTOVER is left of an earlier run. Remove it:"
        echo "  rm -rf -- ${{PWD@Q}}/$LEFTOVER"; false; }}
done
""",
    )


def work_directories(name: str, parts: Sequence[str]) -> str:
    """Return the directories `NAME.PART`, as words of a command in `Passage.makes`."""
    return " ".join(f"${{PWD@Q}}/{name}.{part}" for part in parts)


@dataclass(frozen=True, slots=True)
class ByHand:
    """How a person restores one component. The commands run in one bash, after the commands that
    open the repository: `snapshot COMPONENT` prints the id of its snapshot, `fact COMPONENT NAME`
    one of its facts, `manifest.json` is the manifest, `$KIT` the directory of the kit.

    `files` are the other files that the commands read from the kit, by their path in it; they
    contain secrets. `ask` are the words before a query that print its answer, `change` the words
    before statements, which stop at the first failure; `feed` reads statements from its standard
    input. `values` has the values of `${COMPONENT.…}`, each as a part of a word; `environment` has
    the assignments that tell a command where the component is. `key_text` is the inspector's. If
    the component has several databases, `database` is the variable that leads `ask`, `change` and
    `feed`, or a command, to another one than usual. `first` are commands that run before
    the passages of all components and change nothing: they end with a message where a passage would
    fail after other components were restored. `stops` are commands that stop the server that the
    passages have started, if it still runs: by `stop_one SIGNAL PROCESS`.
    """

    passages: tuple[Passage, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    ask: str = ""
    change: str = ""
    feed: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    environment: str = ""
    key_text: str = "text"
    database: str = ""
    first: str = ""
    stops: str = ""


class ByHandOf(Protocol):
    """The function in `by_hand.py` of the package of a kind that gives these commands."""

    def __call__(
        self,
        component: Component,
        target: object | None,
        *,
        place: str,
        resolve: Callable[[SecretRef], str],
    ) -> ByHand:
        """`target` are the settings of a target for this component; None means the place from which
        it was backed up. `place` is a directory of the kit for `files`."""
