"""Root's own record of a recovery or playbook that it executes on another user's state.

That user can write the catalogue. So for a resume, root uses only a file that root alone can write:
the request, the restore point, each step with its results, and the end. The file is written before
the catalogue: after a kill in between, the row still has its old content, which the file has too; a
run that has ended here has ended, even if its row is open.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from drd.errors import NotAsNoted, SandboxUnavailable
from drd.flows.root import former_records
from drd.flows.root.former_records import Noted
from drd.flows.root.noted_rows import agree, compared, differing, head_of, plain, point_of
from drd.model import run_details
from drd.model.playbook_names import playbook_of
from drd.model.recovery_command import recovery_command
from drd.model.run import Run, RunState, sound_id
from drd.model.run_details import RecoveryDetail, RunDetail
from drd.model.snapshot import RestorePoint
from drd.model.step_record import StepRecord
from drd.model.text import escaped
from drd.model.units import from_rfc3339, to_rfc3339
from drd.process import rights
from drd.process.private import ROOTS_OWN, make_private, read_own, root_place, why_not_private
from drd.process.rights import Purpose

Warn = Callable[[str], object]

_SCHEMA = 3
"""Records of schema 1 did not contain the end of a run: with such a record, a finished run could be
taken for an interrupted one. Records of schema 2 did not contain the subjects of steps, and their
errors contained the remedies; a record that was upgraded still has such steps."""
_FORMER = 2
_LARGEST = 16 << 20
_KEPT = 200
"""The largest number of ledgers of one state. Runs older than the newest of these are
not resumed."""
_PASSABLE = 0o711


def _silent(_: str) -> None:
    pass


@dataclass
class LedgerEntry:
    """A step as it is `now`. While it is `open`, its row may still be as it was `before`; None
    means that there was no row.
    """

    now: Noted
    before: Noted | None = None
    open: bool = False

    def allows(self, record: StepRecord | None) -> bool:
        return agree(record, self.now) or (self.open and agree(record, self.before))


@dataclass(frozen=True, slots=True)
class End:
    """The end of a run, as `RunStore.finish` writes it."""

    state: str
    at: str
    error: str | None = None
    detail: Noted = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        state: RunState,
        at: datetime,
        error: str | None,
        detail: RunDetail | None = None,
    ) -> End:
        return cls(str(state), to_rfc3339(at), error, plain((detail or RunDetail()).to_json()))

    @property
    def when(self) -> datetime:
        return from_rfc3339(self.at)


@dataclass
class Ledger:
    """The record of one run. `seal` describes the point's manifest, once it is known; `said` has
    root's decisions about the whole run; `end` is how it ended, None while root may resume it
    without being asked. If the record cannot be written, `kept` is False, it exists only in this
    process, and `warn` is called.
    """

    path: Path
    run: str
    head: Noted
    point: Noted
    seal: Noted | None = None
    steps: dict[str, LedgerEntry] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    end: End | None = None
    warn: Warn = _silent
    kept: bool = True

    def save(self) -> None:
        """Write the record as a whole or not at all, even if the power fails. Raises
        SandboxUnavailable if others could change it.
        """
        if not self.kept:
            return
        data = {
            "schema": _SCHEMA,
            "run": self.run,
            "head": self.head,
            "point": self.point,
            "seal": self.seal,
            "steps": {n: [e.now, e.before, e.open] for n, e in self.steps.items()},
            "said": self.said,
            "end": asdict(self.end) if self.end is not None else None,
        }
        with rights.root(Purpose.NOTES):
            try:
                make_ledgers(self.path.parent)
                _write(self.path, json.dumps(data).encode("ascii"))
            except OSError as error:
                self._go_without(error)

    def _go_without(self, error: OSError) -> None:
        """Continue without a record: a recovery must work even if root cannot write one."""
        self.kept = False
        why = f"cannot write {self.path}, root's record of run {self.run}: {error.strerror}"
        try:
            if os.path.lexists(self.path):
                self.path.unlink()
        except OSError:
            self.warn(
                f"{why}. The file has an older state of the run: remove it as soon as somebody can "
                "write to its directory"
            )
        else:
            self.warn(f"{why}; root cannot resume that run later")

    def remove(self) -> None:
        with rights.root(Purpose.NOTES), suppress(OSError):
            self.path.unlink()

    def finish(self, end: End) -> End:
        """Record the end of the run. An end that was recorded before stays and is returned."""
        if self.end is None:
            self.end = end
            self.save()
        return self.end

    def reopen(self) -> None:
        if self.end is not None:
            self.end = None
            self.save()

    @contextmanager
    def changing(self, name: str, to: Noted) -> Iterator[None]:
        """Record that the body, which writes the row of a step, may change it to `to`."""
        known = self.steps.get(name)
        self.steps[name] = LedgerEntry(to, known.now if known is not None else None, open=True)
        self.save()
        yield
        self.steps[name] = LedgerEntry(to)
        with suppress(
            SandboxUnavailable
        ):  # it stays open in the file, and the row is one of the two
            self.save()

    # what the catalogue says now

    def believed(self, run: Run) -> Run:
        """Return the run with the request that root recorded, even if its row contains another
        request."""
        outcome = run_details.read(self.head["kind"], run.detail.to_json()).outcome()
        return replace(run, plan=self.head["plan"], detail=self.request.merged(outcome))

    @property
    def request(self) -> RunDetail:
        """The request of the run, as root recorded it."""
        return run_details.read(self.head["kind"], self.head["detail"])

    def require_run(self, run: Run) -> Run:
        """Return the run like `believed`. Raises NotAsNoted if the row differs."""
        row = head_of(run)
        for key, noted in self.head.items():
            if key != "detail" and row[key] != noted:
                raise self._differs(f"its field `{key}`", row[key], noted)
        there, noted = row["detail"], self.head["detail"]
        for key in sorted({*there, *noted}):
            if there.get(key) != noted.get(key):
                what = f"the requested option `{escaped(key)}`"
                raise self._differs(what, there.get(key), noted.get(key))
        return self._as_ended(self.believed(run))

    def _as_ended(self, run: Run) -> Run:
        """Return the run with the recorded end. A row may have another end, since somebody may have
        ended the run after root; but the two must agree on whether it succeeded.
        """
        noted, good = self.end.state if self.end is not None else None, RunState.SUCCEEDED
        if run.state.final and (run.state is good) is not (noted == good):
            raise self._differs("its state", str(run.state), noted or "not over")
        if self.end is None:
            return run
        return replace(run, state=RunState(self.end.state), finished_at=self.end.when)

    def require_steps(self, records: Mapping[str, StepRecord]) -> None:
        """Require that the rows of the steps equal the record. Raises NotAsNoted."""
        for name in sorted({*records, *self.steps}):
            record, entry = records.get(name), self.steps.get(name)
            if entry is None or not entry.allows(record):
                row, noted = compared(record, entry.now if entry is not None else None)
                raise self._differs(f"its step {escaped(name)}", row, noted)

            if entry.open and not agree(record, entry.now):  # killed before the row was written
                self._as_before(name, entry)

    def _as_before(self, name: str, entry: LedgerEntry) -> None:
        if entry.before is None:
            del self.steps[name]
        else:
            self.steps[name] = LedgerEntry(entry.before)

    def require_step(self, record: StepRecord) -> None:
        """Raise NotAsNoted if the row differs from what should have been written."""
        row, noted = compared(record, self.steps[record.name].now)
        if row != noted:
            raise self._differs(f"its step {record.name}", row, noted)

    def require_point(self, point: RestorePoint) -> None:
        """Require that the point equals the recorded one. Raises NotAsNoted."""
        row = point_of(point)
        if row != self.point:
            raise self._differs(f"restore point {self.point['id']}", row, self.point)

    def _differs(self, what: str, row: Any, noted: Any) -> NotAsNoted:
        there, here = differing(row, noted)
        return NotAsNoted(
            f"root does not continue run {self.run} of {self.head['plan']}, because the catalogue "
            f"and root's own record of this run differ: {what} is {there} in the catalogue, but "
            f"{here} in root's own record",
            hint="if the user who owns drd's state resumed the run, continue as that user (sudo "
            "-u USER drd …). If not, somebody changed the catalogue without drd: find out who, "
            f"and start a new recovery: {self.command}",
        )

    @property
    def command(self) -> str:
        """Return the command that starts the same run again, as far as options can express the
        request."""
        request, plan = self.request, str(self.head["plan"])
        if isinstance(request, RecoveryDetail):
            return recovery_command(plan, request)
        return f"drd playbook run {playbook_of(plan) or plan}"


def begin(
    work_dir: Path, run: Run, point: RestorePoint | None, seal: Noted | None, warn: Warn = _silent
) -> Ledger:
    """Begin a record. `point` is None for a playbook, which does not restore a point. Raises
    SandboxUnavailable."""
    path = _path(work_dir, run.id)
    restores = point_of(point) if point is not None else {"id": ""}
    made = Ledger(path, run.id, head_of(run), restores, seal, warn=warn)
    made.save()
    with rights.root(Purpose.NOTES), suppress(OSError):
        older = sorted(made.path.parent.glob("*.json"), key=lambda p: p.stat().st_mtime)
        for file in older[:-_KEPT]:
            file.unlink()
    _end_others(work_dir, made, run)
    return made


def _end_others(work_dir: Path, begun: Ledger, run: Run) -> None:
    """Record that earlier runs of the plan have ended, so that no command resumes them by
    itself.
    """
    why = f"run {run.id}, another recovery, was started instead"
    end = End.of(RunState.INTERRUPTED, run.started_at or datetime.now(UTC), why)
    with rights.root(Purpose.NOTES):
        files = sorted(begun.path.parent.glob("*.json"))
    for file in files:
        other = load(work_dir, file.stem) if file != begun.path else None
        if other is not None and other.head["plan"] == run.plan:
            other.finish(end)


def load(work_dir: Path, run: str, warn: Warn = _silent) -> Ledger | None:
    """Read root's record of this run; None if there is none."""
    path = _path(work_dir, run)
    with rights.root(Purpose.NOTES):
        data = read_own(path, _LARGEST)
    parsed = json.loads(data) if data is not None else {}
    if parsed.get("schema") == _FORMER:
        parsed = {**former_records.upgraded(parsed), "schema": _SCHEMA}
    if parsed.get("schema") != _SCHEMA or parsed["run"] != run:
        return None
    steps = {n: LedgerEntry(*entry) for n, entry in parsed["steps"].items()}
    end = End(**parsed["end"]) if parsed["end"] is not None else None
    head, point, seal, said = (parsed[k] for k in ("head", "point", "seal", "said"))
    return Ledger(path, run, head, point, seal, steps, said, end, warn)


def ledgers(work_dir: Path) -> Path:
    """Return the directory of root's records of the state with this `work_dir`."""
    return root_place(work_dir, ROOTS_OWN) / "ledger"


def _path(work_dir: Path, run: str) -> Path:
    return ledgers(work_dir) / f"{sound_id(run)}.json"


def make_ledgers(directory: Path) -> None:
    """Make this directory if it is missing. Raises SandboxUnavailable if others could change its
    files, OSError if it cannot be made.
    """
    for place, mode in ((ROOTS_OWN, _PASSABLE), (directory.parent, _PASSABLE), (directory, 0o700)):
        make_private(place, mode)
    if why := why_not_private(directory):
        raise SandboxUnavailable(
            f"other users can change the files in {directory}: {why}",
            hint=f"chown root: {ROOTS_OWN}; chmod 0711 {ROOTS_OWN}",
        )


def _write(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        new.rename(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
