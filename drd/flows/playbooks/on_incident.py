"""The run of a playbook on the timeline of an incident: its beginning, and its tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from drd import log
from drd.errors import DrdError
from drd.flows.incidents.merged import continuing
from drd.flows.incidents.writing import require_open
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident
from drd.model.playbook import Playbook, PlaybookTask
from drd.model.playbook_names import PREFIX
from drd.model.progression import Progression
from drd.model.records import Draft
from drd.model.run import Run
from drd.ports import Catalogue, Clock

_OVER = ("succeeded", "skipped")


@dataclass
class OnIncident:
    """Writes the entries of one run. The end of the run enters with the run itself."""

    catalogue: Catalogue
    clock: Clock
    number: int
    author: Author
    run: str = ""
    tasks: tuple[PlaybookTask, ...] = ()
    done: set[str] = field(default_factory=set)

    def require_open(self) -> None:
        """Raise UsageError unless people work on the incident."""
        require_open(self.catalogue.incidents.get(self.number))

    def begin(self, run: Run, playbook: Playbook, plan: str) -> None:
        """Record that the playbook begins, with its tasks; once, also after a kill."""
        self.run, self.tasks = run.id, playbook.tasks

        def drafts(incident: Incident) -> list[Draft]:
            if f"{PREFIX}{playbook.name}/{run.id}" in incident.playbooks:
                return []
            require_open(incident)
            body = {"playbook": playbook.name, "run": run.id, "of_plan": plan}
            return [
                draft(kinds.PLAYBOOK, self.number, self.author, body),
                *(self._task(incident, playbook, task) for task in playbook.tasks),
            ]

        self.catalogue.incidents.add(self.number, drafts)

    def _task(self, incident: Incident, playbook: Playbook, task: PlaybookTask) -> Draft:
        due = task.due.at(incident.instants) if task.due is not None else None
        body = {
            "text": f"{playbook.name}: {task.text}",
            "to": task.role,
            "due": due,
            "due_after": str(task.due) if task.due is not None else None,
            "origin": self._origin(task),
        }
        return draft(kinds.TASK, self.number, self.author, body)

    def _origin(self, task: PlaybookTask) -> str:
        return f"{self.run}/{task.name}"

    def watching(self, tell: Callable[[Progression], None]) -> Callable[[Progression], None]:
        """Return a function that passes the progress on to `tell`, and ends each task whose steps
        are over."""

        def told(now: Progression) -> None:
            tell(now)
            over = {step.name for step in now.steps if step.stage in _OVER}
            for task in self.tasks:
                if task.name not in self.done and over.issuperset(task.steps):
                    self._finish(task)

        return told

    def _finish(self, task: PlaybookTask) -> None:
        """Record that a task is done, also where the incident continues after a merge. If the
        timeline cannot be written, the run continues."""
        self.done.add(task.name)
        origin = self._origin(task)

        def drafts(incident: Incident) -> list[Draft]:
            own = [t for t in incident.open_tasks if t.origin == origin]
            by = replace(self.author, at=self.clock.now())
            return [draft(kinds.TASK, incident.number, by, {"done": t.number}) for t in own]

        try:
            for incident in continuing(self.catalogue, self.number):
                self.catalogue.incidents.add(incident.number, drafts)
        except DrdError as error:
            log.get(run=self.run).warning("incident.task", error=error.message)
