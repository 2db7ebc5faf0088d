"""People whom an act in an incident names."""

from __future__ import annotations

from drd.bootstrap import App
from drd.flows.incidents.writing import Desk
from drd.model.nearest import closest
from drd.model.person_names import as_written, is_among
from drd.model.text import escaped


def named_person(app: App, desk: Desk, name: str) -> str:
    """Return the name of a person as drd.yaml writes it. People whom drd.yaml does not name may
    help, too, so drd accepts every name, and says that it does not know this one: it may be
    mistyped."""
    people = app.settings.roles
    person = as_written(name, people)
    if person and people and not is_among(person, people):
        near = closest(person, people)
        meant = f" (did you mean {near}?)" if near else ""
        desk.notes.append(
            f'there is no person "{escaped(person)}" under `people` in drd.yaml{escaped(meant)}. '
            "The entry has the name as it was given"
        )
    return person
