"""The command that starts a recovery again."""

from __future__ import annotations

import shlex

from drd.model.plan import IN_PLACE
from drd.model.run_details import RecoveryDetail
from drd.model.single_item import Part
from drd.model.text import escaped
from drd.model.units import to_rfc3339

IF_LOST = (
    "if this data was lost, drd recover PLAN --in-place --component COMPONENT --dry-run "
    "shows how to restore it."
)
"""A remedy for a source that is missing: the code that shows it inserts the names."""


def recovery_command(plan: str, said: RecoveryDetail) -> str:
    """Return the command that starts a recovery with the same request, as far as options can
    express it."""
    part, target = said.part or Part(), str(said.target)
    words = ["drd", "recover", plan]
    words += ["--in-place"] if target == IN_PLACE or said.in_place else []
    words += ["--target", target] if target != IN_PLACE else []
    valued = {
        "--incident": [str(said.clean_for) if said.clean_for else None],
        "--point": [said.point if not said.clean_for else None],
        "--lost-at": [to_rfc3339(said.lost_at) if said.lost_at else None],
        "--repository": [said.repository],
        "--scenario": [said.scenario],
        "--component": said.components,
        "--database": [part.database],
        "--table": part.tables,
        "--path": part.paths,
        "--into": [part.into],
    }
    for option, values in valued.items():
        for value in values:
            words += [option, str(value)] if value else []
    words += ["--clean"] if said.clean_for else []
    flags = ("overwrite", "no_owner", "as_owner", "no_undo", "accept_paths")
    words += [f"--{flag.replace('_', '-')}" for flag in flags if getattr(said, flag)]
    return escaped(shlex.join(words))
