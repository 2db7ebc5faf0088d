"""The documents of logs: to which times a component can be recovered exactly, also from copies."""

from __future__ import annotations

from collections.abc import Iterable

from drd.api.values import Document
from drd.bootstrap import App
from drd.flows.log.noted import noted_copies, noted_state
from drd.model.log import LogState
from drd.model.units import to_rfc3339


def logs(app: App, plan: str, components: Iterable[str]) -> list[Document]:
    """Return what drd last knew of the logs that it receives, and of their copies: to which times
    it can recover each component exactly (`from` and `to`), and what is wrong."""
    documents, queue = [], app.catalogue.queue
    for component in sorted(components):
        noted = noted_state(queue, plan, component)
        if noted is None:
            continue
        at, state = noted
        documents.append(
            {
                "component": component,
                "at": to_rfc3339(at),
                "repository": state.repository or None,
                **_reach(state),
                "event": state.event or None,
                "event_at": to_rfc3339(state.event_at) if state.event_at else None,
                "copies": [
                    {"repository": repository, "at": to_rfc3339(noted_at), **_reach(copied)}
                    for repository, noted_at, copied in noted_copies(queue, plan, component)
                ],
            }
        )
    return documents


def _reach(state: LogState) -> Document:
    return {
        "state": state.code or state.doing,
        "complete_at": to_rfc3339(state.complete_at) if state.complete_at else None,
        "end": state.end or None,
        "reachable": [
            {"from": to_rfc3339(begin), "to": to_rfc3339(end)} for begin, end in state.reachable
        ],
        "trouble": state.trouble or None,
        "remedy": state.remedy or None,
    }
