"""Send the requests of a recovery, and read again, until the server has the saved documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from drd import process
from drd.errors import DrdError, TargetError
from drd.kinds.http.changes import RESTORE_POINT, Change, Changes, changes
from drd.kinds.http.client import Api, Unaccepted
from drd.kinds.http.reading import Document, read_all
from drd.kinds.http.saved import Saved
from drd.kinds.http.settings import DocumentSettings
from drd.model.text import counted, some

_ROUNDS = 5
"""How often refused requests are sent again: other documents may have to be sent first."""


@dataclass
class PutBack:
    """The result. `left` are the documents that still differ, each with the reason."""

    sent: int = 0
    documents: int = 0
    left: Mapping[str, str] = field(default_factory=dict)


class _Round:
    """One pass over the requests: which of them the server took, and what it said of the others."""

    def __init__(self) -> None:
        self.done: dict[tuple[str, str], Change] = {}
        self.refused: dict[str, Unaccepted] = {}


def put_back(
    api: Api,
    saved: Mapping[str, Saved],
    documents: Sequence[DocumentSettings],
    *,
    present: Mapping[str, Document] | None = None,
    covered: Collection[str] | None = None,
    saved_in: str = RESTORE_POINT,
    on_begin: Callable[[], None] = lambda: None,
) -> PutBack:
    """Bring the server to the saved state. Every round begins with the documents that the server
    has now, so this can be called again after a kill. Documents are removed only if their entries
    are `covered`; None means all. `on_begin` is called before the first request that changes
    something. Raises TargetError, which names the first document that the server did not accept."""
    done = PutBack(documents=len(saved))
    accepted: dict[tuple[str, str], Change] = {}
    now = present
    for number in range(_ROUNDS):
        now = now if now is not None else _present(api, documents)
        wanted = changes(saved, now, documents, covered, saved_in)
        if not wanted.requests:
            done.left = wanted.unplaced
            return done
        _require_effect(wanted, accepted)
        if number == 0:
            on_begin()
        this = _sent(api, wanted)
        done.sent += len(this.done)
        if not this.done and this.refused:
            raise _refusal(wanted, this.refused)
        accepted |= this.done
        now = None
    raise TargetError(
        f"drd sent the requests {_ROUNDS} times, but the server still differs from {saved_in} in "
        f"{some([c.name for c in wanted.requests])}",
        hint="check the requests of `put_back` against the documentation of the server.",
    )


def _present(api: Api, documents: Sequence[DocumentSettings]) -> dict[str, Document]:
    """Read what the server has now. Raises TargetError."""
    try:
        return read_all(api, documents, present=True)
    except DrdError as error:
        raise TargetError(error.message, hint=error.hint, permanent=error.permanent) from error


def _sent(api: Api, wanted: Changes) -> _Round:
    this = _Round()
    for change in wanted.requests:
        process.check_cancelled()
        try:
            api.send(change.method, change.path, change.body)
        except Unaccepted as error:
            if change.does == "delete" and error.status in (404, 410):
                this.done[change.does, change.name] = change  # it went with something else
                continue
            this.refused.setdefault(change.name, error)
        except DrdError as error:
            raise TargetError(
                f"{change.line}: {error.message}", hint=error.hint, permanent=error.permanent
            ) from error
        else:
            this.done[change.does, change.name] = change
    return this


def _require_effect(wanted: Changes, accepted: Mapping[tuple[str, str], Change]) -> None:
    """Raise for a request that the server took, and that did not have its effect: sent again, it
    could make the same thing twice."""
    for change in wanted.requests:
        before = accepted.get((change.does, change.name))
        made = accepted.get(("create", change.name))
        if before is None and (made is None or change.does == "delete"):
            continue
        what = "is not there" if change.does == "create" else "still differs"
        if change.does == "delete":
            what = "is still there"
        raise TargetError(
            f"the server accepted {(before or made or change).line}, but {change.name} {what}",
            hint="check the request. If the server itself sets or changes these fields, "
            "name them in `leave_out`. drd diff shows the fields that differ.",
        )


def _refusal(wanted: Changes, refused: Mapping[str, Unaccepted]) -> TargetError:
    name, error = next(iter(refused.items()))
    more = f" (and {counted(len(refused) - 1, 'more request')})" if len(refused) > 1 else ""
    line = next(c.line for c in wanted.requests if c.name == name)
    return TargetError(f"the server refuses {line}{more}: {error.message}", hint=error.hint)
