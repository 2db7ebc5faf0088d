"""The ledgers of root, and which of them this process holds."""

from __future__ import annotations

import threading
from pathlib import Path

from drd.flows.root import ledger
from drd.flows.root.carriers import Carriers
from drd.flows.root.former_records import Noted
from drd.flows.root.ledger import End, Ledger, Warn
from drd.model.run import Run
from drd.model.seals import seal_from_json, seal_of
from drd.model.snapshot import Manifest, RestorePoint


class Notes:
    """The ledgers, and which of them this process holds: the ledgers of runs that it starts or
    resumes."""

    def __init__(self, work_dir: Path, warn: Warn) -> None:
        self.lock = threading.RLock()
        self._work_dir = work_dir
        self._warn = warn
        self._held: dict[str, Ledger] = {}
        self.carriers = Carriers(work_dir, warn)

    def ledger(self, run: str) -> Ledger | None:
        with self.lock:
            return self._held.get(run) or ledger.load(self._work_dir, run, self._warn)

    def held(self, run: str) -> Ledger | None:
        """Return the ledger that the rows of this run must match; None when it need not match
        any."""
        with self.lock:
            return self._held.get(run)

    def hold(self, run: str) -> Ledger | None:
        """Require from now on that rows of this run equal the record."""
        with self.lock:
            if (ledger := self.ledger(run)) is not None:
                self._held[run] = ledger
            return ledger

    def release(self, run: str) -> None:
        with self.lock:
            self._held.pop(run, None)

    def begin(self, run: Run, point: RestorePoint | None, seal: Noted | None) -> None:
        """Begin the ledger of a run, and hold it."""
        with self.lock:
            self._held[run.id] = ledger.begin(self._work_dir, run, point, seal, self._warn)

    def end(self, run: str, end: End) -> End | None:
        """Record the end of the run for root; return the recorded end, None without a record."""
        with self.lock:
            held = self._held.get(run)
            ledger_read = ledger.load(self._work_dir, run, self._warn) or held
            if ledger_read is None:
                return None
            noted = ledger_read.finish(end)
            if held is not None:
                held.end, held.kept = noted, ledger_read.kept
            return noted

    def of_point(self, point: RestorePoint) -> list[Ledger]:
        """Return the held ledgers of runs that restore this point."""
        held = self._held.values()
        return [h for h in held if (h.head["plan"], h.point["id"]) == (point.plan, point.id)]

    def broken_by(self, manifest: Manifest) -> str | None:
        with self.lock:
            seals = [h.seal for h in self.of_point(manifest.point) if h.seal is not None]
        broken = (seal_from_json(seal, "the seal").broken_by(manifest) for seal in seals)
        return next(filter(None, broken), None)

    def pin(self, manifest: Manifest) -> None:
        with self.lock:
            for held in self.of_point(manifest.point):
                if held.seal is None or not held.seal["digest"]:
                    held.seal = seal_of(manifest.point, manifest.digest).to_json()
                    held.save()
