"""What a recovery that stopped in the middle has done so far, and the commands that continue or end
it."""

from __future__ import annotations

from collections.abc import Mapping

from drd.model.down import in_words, start_commands
from drd.model.facts import REOPENED, UnfinishedFacts
from drd.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Unfinished(NamedTuple):
    """The components, sorted by what has happened to them, and what the run stopped and did not
    start again. For the components `perhaps`, drd does not know whether they were replaced: the
    process died meanwhile, or could not look at their places afterwards. `over`: the run restores
    over production; `undoable`: there are kept copies of what it replaced; `unseen`: there may be
    kept copies that the process could not note. `step` is the step at which it stopped, if it can
    be finished without this step.
    """

    run: str
    plan: str
    replaced: tuple[str, ...]
    partly: tuple[str, ...]
    perhaps: tuple[str, ...]
    untouched: tuple[str, ...]
    stopped: tuple[str, ...]
    over: bool
    undoable: bool
    unseen: bool = False
    step: str = ""

    @classmethod
    def of(cls, plan: str, facts: UnfinishedFacts, *, over: bool) -> Unfinished:
        """Sort the components by what is known about the run."""
        partly = [n for n in (*facts.partly, *facts.left) if n in facts.kept]
        unsure = {*(facts.partly if facts.died else ()), *facts.unseen}
        begun = (*facts.partly, *facts.left)
        perhaps = [n for n in begun if n in unsure and n not in partly]
        changed = (*facts.replaced, *partly, *perhaps)
        not_noted = facts.died or bool(facts.unseen)
        unseen = not_noted and over and facts.keeps and not facts.kept and bool(changed)
        at_step = facts.failed if facts.state != REOPENED else None  # else a person decided already
        return cls(
            facts.run,
            plan,
            replaced=facts.replaced,
            partly=tuple(partly),
            perhaps=tuple(perhaps),
            untouched=tuple(n for n in (*facts.partly, *facts.left) if n not in changed),
            stopped=facts.down,
            over=over,
            undoable=bool(facts.kept) or unseen,
            unseen=unseen,
            step=at_step.name if at_step is not None and at_step.skippable else "",
        )

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Unfinished:
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in data.items()
        }
        return cls(**fields)

    def words(self) -> str:
        """Return what was already replaced, what was not, and what is stopped."""
        done = "replaced" if self.over else "restored"
        if not self.replaced and not self.partly and not self.perhaps:
            said = [f"nothing was {done}"]
        else:
            said = [f"already {done}: {', '.join(self.replaced)}"] if self.replaced else []
            said += [f"partly {done}: {', '.join(self.partly)}"] if self.partly else []
            said += [f"perhaps {done}: {', '.join(self.perhaps)}"] if self.perhaps else []
            said += [f"not {done}: {', '.join(self.untouched)}"] if self.untouched else []
        said += [f"stopped and not started again: {in_words(self.stopped)}"] * bool(self.stopped)
        return "; ".join(said)

    def ways(self) -> tuple[tuple[str, str], ...]:
        """Return the commands that are possible now, each after what it does."""
        return (*self.ways_on(), *self.ways_back())

    def ways_on(self) -> tuple[tuple[str, str], ...]:
        """Return the commands that finish the recovery."""
        resume = f"drd resume {self.run}"
        finish = ("to finish the recovery", resume)
        if not self.step:
            return (finish,)
        skip = f"drd skip {self.run} {self.step} --why TEXT"
        return (finish, (f"to finish it without step {self.step}", f"{skip} && {resume}"))

    def ways_back(self) -> tuple[tuple[str, str], ...]:
        """Return the commands that leave the recovery as it is, or take it back."""
        if self.undoable:
            back = "to put the old data back" + ", if drd kept any" * self.unseen
            return ((back, f"drd undo {self.run}"),)
        if self.over or self.stopped:
            return (("to keep the present state", f"drd done {self.run}"),)
        return ()

    def ways_out(self) -> str:
        """Return the commands that finish the recovery, or leave it, as sentences."""
        sentences = [f"{what}: `{command}`" for what, command in self.ways()]
        starting = [f"`{command}`" for command in start_commands(self.stopped)]
        sentences[1:] = [s[:1].upper() + s[1:] for s in sentences[1:]]
        return ", then ".join([". ".join(sentences), *starting])

    def mixture(self) -> str | None:
        """Return what production is now, if it holds data of two times; None otherwise."""
        changed = self.replaced or self.partly or self.perhaps
        if not self.over or not changed or not (self.untouched or self.partly or self.perhaps):
            return None
        return f"recovery {self.run} was not finished: {self.words()}"
