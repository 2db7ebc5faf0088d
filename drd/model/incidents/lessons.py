"""What went well in an incident and what went badly, as far as its record shows. Pure.

Each is a sentence with facts. Only people can say why it was so, and what is to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from drd.model.incidents.messages import MAY_REPEAT, Fate
from drd.model.incidents.review import Contained, Promise, Recovery, Review, is_much_longer
from drd.model.losses import Loss
from drd.model.obligations.clocks import CLOSED, ClockKind, ClockState
from drd.model.obligations.unplaced import split
from drd.model.playbook_conditions import Measure, stands
from drd.model.run import DrillResult, Evidence
from drd.model.text import counted, some
from drd.model.units import format_duration, format_time


def went_well(review: Review) -> Iterator[str]:
    """Return what went well: reports, updates and tasks in time, objectives that were met, and
    temporary measures that ended in time."""
    for state in _decided(review):
        if state.kind is ClockKind.FILED:
            yield f"the report {state.regime.id} was submitted in time{_at(review, state)}"
    kept = [one for one in review.promises if one.is_kept]
    if kept:
        audiences = some(dict.fromkeys(one.audience for one in kept), 6)
        yield f"{counted(len(kept), 'update')} came in time: {audiences}"
    for one in review.recoveries:
        yield from _met(review, one)
        drill = _drill(review, one)
        if drill is not None and drill.result is DrillResult.PASSED and _succeeded(one):
            yield f"the recovery of {one.plan} succeeded, as the last drill had predicted"
    done = [t for t in review.incident.tasks if t.done_at and t.due and t.done_at <= t.due]
    if done:
        yield f"{counted(len(done), 'task')} with a due time {_was(len(done))} done in time"
    ended = [m for c in review.contained for m in c.measures if _ended_in_time(m)]
    if ended:
        yield f"{counted(len(ended), 'temporary measure')} {_was(len(ended))} rolled back in time"


def went_badly(review: Review) -> Iterator[str]:
    """Return what was late, what failed, and what differed from the last drill."""
    yield from _reports(review)
    for promise in review.promises:
        if not promise.is_kept:
            yield _late(review, promise)
    yield from _messages(review)
    for plan in review.unfinished:
        yield f"a recovery of {plan} began, and has not ended"
    for one in review.recoveries:
        yield from _missed(review, one)
        yield from _unlike_the_drill(review, one)
    for run in review.contained:
        yield from _stood_too_long(review, run)
    yield from _left(review)


def _ended_in_time(measure: Measure) -> bool:
    return measure.ended_at is not None and measure.ended_at <= measure.until


def _stood_too_long(review: Review, run: Contained) -> Iterator[str]:
    for measure in run.measures:
        record, ended = measure.record, measure.ended_at
        words = (
            f"step {record.name} of playbook {run.playbook} (run {run.run}), a temporary measure, "
            f"should have ended at {_time(review, measure.until)}"
        )
        if ended is None and measure.until < review.now:
            yield f"{words}, and {stands(record)}"
        elif ended is not None and ended > measure.until:
            late = format_duration((ended - measure.until).total_seconds())
            yield f"{words}, and was rolled back {late} late"


def _left(review: Review) -> Iterator[str]:
    """Return the tasks and action items that were done late, or are overdue."""
    for task in review.incident.tasks:
        if task.due is None:
            continue
        if task.done_at is None and task.due < review.now:
            yield f"task {task.number} was due {_time(review, task.due)}, and is not done"
        elif task.done_at is not None and task.done_at > task.due:
            late = format_duration((task.done_at - task.due).total_seconds())
            yield f"task {task.number} was done {late} late"

    for item in review.incident.open_actions:
        if item.is_overdue(review.now):
            yield f"action item {item.entry} was due {_time(review, item.due)}, and is not done"


def _decided(review: Review) -> list[ClockState]:
    return split(review.clocks)[0]


def _reports(review: Review) -> Iterator[str]:
    if review.clocks_unknown:
        yield f"drd does not know which reports were due: {review.clocks_unknown}"
    undecided = 0
    for state in _decided(review):
        name = state.regime.id
        if state.kind is ClockKind.FILED_LATE:
            why = state.late_reason or "nobody has recorded why"
            yield f"the report {name} was submitted late{_at(review, state)}: {why}"
        elif state.late and state.kind not in CLOSED:
            due = (
                f", it was due {_time(review, state.ends_at)}" if state.ends_at is not None else ""
            )
            yield f"the report {name} is late{due}"
        elif state.kind in (ClockKind.UNDECIDED, ClockKind.SCOPE_NOT_DECLARED):
            undecided += 1
    if undecided:
        yield f"nobody has decided whether {counted(undecided, 'report')} {_was(undecided)} needed"


def _at(review: Review, state: ClockState) -> str:
    parts = []
    if state.submitted_at is not None:
        parts.append(_time(review, state.submitted_at))
    if state.due_at is not None:
        parts.append(f"due {_time(review, state.due_at)}")
    return f" ({', '.join(parts)})" if parts else ""


def _late(review: Review, promise: Promise) -> str:
    due = _time(review, promise.due)
    if promise.told_at is None:
        return f"the update to {promise.audience} that was due {due} was not sent"
    late = format_duration((promise.told_at - promise.due).total_seconds())
    return f"the update to {promise.audience} that was due {due} came {late} late"


def _messages(review: Review) -> Iterator[str]:
    for message in review.messages:
        counts = Counter(d.fate for d in message.deliveries if d.fate in MAY_REPEAT)
        waits = sum(d.fate is Fate.TO_TELL for d in message.deliveries)
        told = [f"{count} {fate}" for fate, count in counts.items()]
        told += [f"{waits} {Fate.TO_TELL}"] if waits else []
        if told and not message.withdrawn:
            yield (
                f"message {message.number} to {message.audience} did not reach everybody: "
                f"{', '.join(told)}"
            )


def _succeeded(one: Recovery) -> bool:
    return one.state == "succeeded" or (not one.state and one.result == DrillResult.PASSED)


def _met(review: Review, one: Recovery) -> Iterator[str]:
    goals = review.goals.get(one.plan)
    if goals is None or one.partial or one.back or not _succeeded(one):
        return
    if one.took_s is not None and one.took_s <= goals.rto_s:
        took, rto = format_duration(one.took_s), format_duration(goals.rto_s)
        yield f"the recovery of {one.plan} took {took}, within the RTO of {rto}"
    loss = review.loss_of(one)
    if loss is not None and not one.on_purpose and not loss.missed:
        yield f"the recovery of {one.plan} lost {_lost(loss)}, within {_rpo(loss)}"


def _missed(review: Review, one: Recovery) -> Iterator[str]:
    if one.state and one.state != "succeeded":
        error = f": {one.error}" if one.error else ""
        yield f"the recovery {one.run} of {one.plan} ended as {one.state}{error}"
    elif one.result and one.result != DrillResult.PASSED:
        yield f"the checks of the recovery {one.run} of {one.plan} ended as {one.result}"
    if one.back:
        yield f"the recovery {one.run} of {one.plan} was {one.back}"
    goals = review.goals.get(one.plan)
    if goals is None or one.partial:
        return
    if one.took_s is not None and one.took_s > goals.rto_s:
        took, rto = format_duration(one.took_s), format_duration(goals.rto_s)
        yield f"the recovery of {one.plan} took {took}, longer than the RTO of {rto}"
    loss = review.loss_of(one)
    if loss is not None and not one.on_purpose and loss.missed:
        yield f"the recovery of {one.plan} lost {_lost(loss)}, more than {_rpo(loss)}"


def _lost(loss: Loss) -> str:
    of = f" of {loss.component}" if loss.component else ""
    return f"{format_duration(loss.lost_s)} of data{of}"


def _rpo(loss: Loss) -> str:
    return f"{'its' if loss.component else 'the'} RPO of {format_duration(loss.rpo_s)}"


def _drill(review: Review, one: Recovery) -> Evidence | None:
    prediction = review.predictions.get(one.run)
    return prediction.drill if prediction is not None else None


def _unlike_the_drill(review: Review, one: Recovery) -> Iterator[str]:
    prediction = review.predictions.get(one.run)
    if prediction is None:
        return
    drill = prediction.drill
    if drill is None:
        yield f"no drill of {one.plan} had been recorded before its recovery"
    elif drill.result is not DrillResult.PASSED:
        why = f": {drill.reason}" if drill.reason else ""
        yield f"the last drill of {one.plan} before its recovery was {drill.result}{why}"
    elif not one.partial and is_much_longer(one.took_s, drill.rta_s):
        took, before = format_duration(one.took_s), format_duration(drill.rta_s)
        yield f"the recovery of {one.plan} took {took}, but its last drill took {before}"
    for difference in prediction.differences:
        yield f"recovery {one.run} of {one.plan}: {difference}"


def _time(review: Review, at: datetime) -> str:
    return format_time(at, zone=review.zone)


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
