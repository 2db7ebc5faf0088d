"""The daemon: a loop that starts what is due, watches runs, and reports its state.

The loop does nothing that can hang: work that uses the network or takes long is in processes (runs)
or in the monitor's thread. The loop feeds the watchdog, and only while that thread makes
progress."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import drd
from drd import log
from drd.api.server import ApiServer
from drd.bootstrap import App
from drd.config.daemon import DaemonSettings
from drd.config.run_settings import to_text
from drd.daemon.anchoring import Anchoring
from drd.daemon.catalogue_place import CataloguePlace
from drd.daemon.clocks import Clocks, Jump
from drd.daemon.dispatcher import Dispatcher, limits_of
from drd.daemon.figures import DaemonReport
from drd.daemon.intake import IntakeListener
from drd.daemon.monitor import Monitor
from drd.daemon.plans import PlanBook
from drd.daemon.playbooks import load_playbooks
from drd.daemon.probes import Probes
from drd.daemon.receivers import Receivers
from drd.daemon.reload import reread
from drd.daemon.sd_notify import ServiceManager
from drd.daemon.sign_of_life import SignOfLife
from drd.daemon.signals import SignalHandlers, SignalRequests
from drd.daemon.supervisor import Supervisor
from drd.daemon.workers import Workers
from drd.errors import CatalogueError, DrdError
from drd.flows.alerts.patience import Patience
from drd.flows.schedules import Agenda
from drd.model.run import Run, RunState
from drd.model.text import counted, some
from drd.modes import make_public_directory
from drd.scheduler import Clockwork

_log = log.get()

REFUSED = "drd.yaml refused"
TICK_S = 30.0
"""The longest time between two ticks."""
POLL_S = 1.0
"""The longest time between two checks of children, clocks and requests."""
LOADING_S = 90.0
"""How long reading the next piece of the plans may take."""
BUSY_S = 5.0
"""How long, in seconds, a write of the daemon waits for another process's write. It can try again;
a loop that waited longer than WatchdogSec would be killed."""
STOP_GRACE_S = 40.0
"""How long runs may take to end when the service stops; below TimeoutStopSec of the unit."""


class Daemon:
    """One daemon of one state directory. `run` returns when the daemon is asked to stop.

    `choose_log` sets up logging by the settings, again after a reload. `workers` execute runs:
    processes by default."""

    def __init__(
        self,
        app: App,
        config: str | None,
        manager: ServiceManager,
        choose_log: Callable[[DaemonSettings], None],
        *,
        workers: Workers | None = None,
    ) -> None:
        self._app = app
        self._choose_log = choose_log
        self._manager = manager
        self._requested = SignalRequests()
        self._tick_now = False
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._clocks = Clocks()
        self._clockwork = Clockwork(lambda _: self._ask_tick())
        self._agenda = Agenda(app.catalogue.queue)
        self._workers = workers or Workers(config, to_text(app.settings))
        self._plan_book = PlanBook(app, self._agenda)
        self._workers.texts = app.handed = self._plan_book.texts
        self._workers.mark = app.catalogue.runs.mark
        self._place = CataloguePlace(app.catalogue.custody.here)
        self._monitor = Monitor(app, self._agenda.schedule, self._plan_book.texts, self._place)
        self._probes = Probes(app, self._agenda.schedule, self._monitor.assess_soon)
        self._anchoring = Anchoring(
            app,
            config,
            lambda why: self._monitor.records_found(records_forked=why),
            lambda what: self._monitor.records_found(records_damage=what),
        )
        self._dispatcher = Dispatcher(
            app.catalogue,
            self._agenda,
            self._workers,
            limits_of(app.settings),
            self._monitor.on_run_started,
        )
        self._supervisor = Supervisor(
            app.catalogue,
            self._workers,
            self._on_run_ended,
            lambda _: self._monitor.assess_soon(),
        )
        self._receivers = Receivers(
            app, config, self._workers, self._agenda.names, self._agenda.schedule
        )
        self._monitor.logs = self._receivers.conditions
        self._api: ApiServer | None = None
        self._intake = IntakeListener(app)
        self._trouble: CatalogueError | None = None
        self._told: str | None = None
        self._patience = Patience()
        self._sign_of_life = SignOfLife(app)
        self._last_sentence, self._refused = "starting", ""
        self._downtime_recorded = self._loaded = False

    # --- life ---------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until SIGTERM or SIGINT. Raises AlreadyRunning when another daemon has this state."""
        with self._app.catalogue.lock("daemon", wait_s=0.0), SignalHandlers(self._on_signal):
            self._start_up()
            try:
                while not self._requested.stop:
                    self._run_once()
            finally:
                self._shut_down()
        return 0

    def _start_up(self) -> None:
        self._clockwork.every("tick", TICK_S)
        self._clockwork.start()
        self._run_guarded(self._load_plans)
        # After the plans, which would otherwise count as never loaded; also when they could not be
        # loaded, because a person must be told.
        self._monitor.start()
        self._probes.start()
        self._anchoring.start()
        self._receivers.start()
        self._listen()
        trouble = self._trouble
        self._manager.ready(f"catalogue: {trouble}" if trouble is not None else "started")
        self._ask_tick()

    def _listen(self) -> None:
        """Serve the API if possible: runs do not wait for it."""
        settings, owner = self._app.settings, os.geteuid()
        try:
            make_public_directory(settings.public_dir, settings.read_group, owner=owner)
            self._api = ApiServer.start(self._app, self._wake)
        except (OSError, DrdError) as error:
            remedy = error.hint if isinstance(error, DrdError) else "check public_dir in drd.yaml"
            _log.error("api.unserved", error=str(error), remedy=remedy)
        self._intake.listen()

    def _load_plans(self) -> None:
        """Load the plans for the first time. Raises CatalogueError; then call it again."""
        now = self._app.clock.now()
        if not self._downtime_recorded:
            self._monitor.record_downtime(self._sign_of_life.last(), now)
            self._downtime_recorded = True
        self._agenda.refresh(now)
        if made := self._app.catalogue.records.restore_guards():
            _log.warning("records.guards_restored", triggers=", ".join(made))
        self._app.catalogue.incidents.rebuild()
        loaded = self._plan_book.load(running=False, so_far=self._loading)
        self._monitor.loaded(loaded.refused)
        refused = [f"plan {name}" for name in loaded.refused]
        refused += [f"playbook {name}" for name in load_playbooks(self._app)]
        self._refused = some(refused)
        self._loaded = True
        _log.info("daemon.started", version=drd.__version__, plans=str(loaded))

    def _shut_down(self) -> None:
        """Let runs end, and hand over those that do not."""
        self._manager.stopping(f"stopping: {self._requested.stop}")
        _log.info("daemon.stopping", why=self._requested.stop, runs=len(self._workers.alive))
        self._supervisor.stopping = True
        self._clockwork.stop()
        self._receivers.stop()
        self._workers.stop_all(STOP_GRACE_S)
        limit = time.monotonic() + STOP_GRACE_S + 5.0
        while self._workers.alive and time.monotonic() < limit:
            self._wait(0.2)
            self._manager.watchdog()
            with suppress(CatalogueError):
                self._supervisor.reap(self._app.clock.now())
        self._probes.stop()
        self._anchoring.stop()
        if self._api is not None:
            self._api.close()
        self._intake.close()
        self._monitor.stop()
        with suppress(CatalogueError):
            self._sign_of_life.note(state="stopped")
        _log.info("daemon.stopped")
        os.close(self._wake_read)
        os.close(self._wake_write)

    # --- the loop -----------------------------------------------------------------------------

    def _run_once(self) -> None:
        """Wait for an event, then handle it."""
        self._wait(POLL_S)
        if self._monitor.makes_progress():
            self._manager.watchdog()
        self._handle_events(self._clocks.check())

    def _handle_events(self, jump: Jump | None) -> None:
        """Do what is due now; `jump` is what happened to the clocks since the last time."""
        # Read after the check for jumps: the next check sees a clock that is set in between, while
        # a time from before a jump would be used until the next tick.
        now = self._app.clock.now()
        if jump is not None:
            _log.warning("clock.jumped", what=str(jump))
            self._monitor.jumped(jump, now)
            self._clockwork.restart()
            self._agenda.recompute(now)
            self._ask_tick()
        if self._requested.reload:
            self._requested.reload = False
            self._reload()
        self._run_guarded(lambda: self._do_due_work(now))

    def _do_due_work(self, now: datetime) -> None:
        """Handle ended processes and requests, and tick when due."""
        self._place.require()
        if not self._loaded:
            self._load_plans()
        ended = self._supervisor.reap(now)
        open_runs = self._app.catalogue.queue.open_runs()
        self._supervisor.end_asked(open_runs, now)
        changed = self._agenda.refresh(now)
        if self._take_tick() or ended or changed or self._dispatcher.is_asked(open_runs):
            began = time.monotonic()
            did, sentence = self.tick(open_runs, now)
            took_s = round(time.monotonic() - began, 4)
            _log.debug("tick", what=sentence, did=did, took_s=took_s)
            self._last_sentence = sentence
        # Reading may work while writing fails: the trouble is over when a write succeeded.
        if self._trouble is not None or self._sign_of_life.is_due():
            self._sign_of_life.note(said=self._last_sentence)

    def tick(self, open_runs: Sequence[Run], now: datetime) -> tuple[bool, str]:
        """Start everything that is due and may start. Return whether drd did anything, and what, as
        a sentence. `open_runs` are the runs that are not over."""
        began = time.monotonic()
        self._supervisor.end_leftover_workers(open_runs)
        settled = self._supervisor.settle_abandoned(open_runs, now)
        started = self._dispatcher.start_due(open_runs, now)
        started += self._dispatcher.start_pending(open_runs, now)
        upcoming = self._agenda.next_at()
        if upcoming is not None:
            self._clockwork.at("tick", upcoming)
        sentence = self._sentence(started, settled)
        running = Counter(str(w.run.kind) for w in self._workers.alive)
        took_s = time.monotonic() - began
        self._monitor.ticked(DaemonReport(running, len(self._dispatcher.waiting), took_s, sentence))
        self._manager.status(sentence)
        return bool(started or settled), sentence

    def _sentence(self, started: list[str], settled: list[str]) -> str:
        parts = []
        if started:
            parts.append(f"started {some(started)}")
        if settled:
            parts.append(f"cleaning up after {some(settled)}, whose process had died")
        if not parts:
            waiting = len(self._dispatcher.waiting)
            late = f", {counted(waiting, 'run waits', 'runs wait')} for a slot"
            late = late if waiting else ""
            parts.append(f"no action: {self._monitor.summary(self._agenda.plans)}{late}")
        sentence = ", ".join(parts)
        if not self._refused:
            return sentence
        return f"REFUSED when drd last read the plans: {self._refused} (see drd status); {sentence}"

    def _run_guarded(self, work: Callable[[], None]) -> None:
        """Run `work`; if the catalogue cannot be used now, report that and try again later."""
        try:
            work()
        except CatalogueError as error:
            self._note_trouble(error)
            self._tick_now = False
            time.sleep(POLL_S)
            return
        self._patience.ends()
        if self._trouble is not None:
            if self._told is not None:
                _log.info("catalogue.works_again")
                self._monitor.catalogue_works()
            self._trouble = self._told = None
            self._ask_tick()

    def _note_trouble(self, error: CatalogueError) -> None:
        """Tell people, once for each trouble; of a lock of another process, if it lasts."""
        self._trouble = error
        self._manager.status(f"catalogue: {error.message}")
        if self._patience.bears(error.trouble, self._app.clock.now()):
            _log.info("catalogue.busy", error=error.message)
        elif error.trouble != self._told:
            _log.error("catalogue.trouble", error=error.message, hint=error.hint)
            self._monitor.catalogue_failed(error)
            self._told = error.trouble

    def _reload(self) -> None:
        self._manager.reloading("reading drd.yaml and plans")
        notes = self._reconfigure()
        refused = ["drd.yaml"] if REFUSED in notes else []
        try:
            loaded = self._plan_book.load(running=True, so_far=self._loading)
            refused += [f"plan {name}" for name in loaded.refused]
            refused += [f"playbook {name}" for name in load_playbooks(self._app)]
            _log.info("daemon.reloaded", plans=str(loaded), refused=list(loaded.refused))
            self._monitor.loaded(loaded.refused)
            notes.insert(0, str(loaded))
        except DrdError as error:
            _log.error("daemon.not_reloaded", error=error.message)
            notes.insert(0, f"not reloaded: {error.message}")
        self._refused = some(refused)
        self._probes.check_at_once()
        self._manager.ready(", ".join(notes))
        self._ask_tick()

    def _reconfigure(self) -> list[str]:
        """Apply the current drd.yaml; returns a note about it. A broken file changes nothing."""
        configuration = self._sign_of_life.stamp()
        try:
            reread_settings = reread(self._app)
            self._monitor.reconfigure(reread_settings.settings)
        except DrdError as error:
            _log.error("configuration.refused", error=error.message, hint=error.hint)
            self._monitor.not_reconfigured(error)
            return [REFUSED]
        self._sign_of_life.applies(configuration)
        for warning in reread_settings.settings.warnings if reread_settings.changed else ():
            _log.warning("configuration.warning", what=str(warning))
        self._dispatcher.limits = limits_of(reread_settings.settings)
        self._workers.settings = to_text(reread_settings.settings)
        self._choose_log(reread_settings.settings)
        if self._api is not None:
            self._api.reconfigured()
        self._intake.listen(again=True)
        if reread_settings.changed:
            _log.info("configuration.changed", keys=list(reread_settings.changed))
            self._agenda.note_change(self._app.clock.now(), "drd.yaml changed")
        if not reread_settings.waiting:
            return []
        _log.warning(
            "configuration.needs_restart",
            keys=list(reread_settings.waiting),
            remedy="drd keeps the previous settings until you restart it: systemctl restart drd",
        )
        return [f"needs a restart for {' and '.join(reread_settings.waiting)}"]

    def _loading(self, done: int, of: int) -> bool:
        """Thousands of plans take longer than a service may be silent, or take to stop."""
        self._manager.extend_timeout(LOADING_S)
        self._manager.watchdog()
        self._manager.status(f"reading plans: {done} of {of}")
        return not self._requested.stop

    # --- what others tell us --------------------------------------------------------------------

    def _on_run_ended(self, run: Run) -> None:
        went_wrong = run.state in (RunState.FAILED, RunState.INCOMPLETE)
        (_log.warning if went_wrong else _log.info)(
            "run.over",
            run=run.id,
            plan=run.plan,
            kind=str(run.kind),
            state=str(run.state),
            duration_s=run.duration_s,
            error=run.cause.line if run.cause is not None else None,
        )
        self._monitor.on_run_ended(run)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._requested.reload = True
        else:
            self._requested.stop = signal.Signals(number).name
        self._wake()

    def _ask_tick(self) -> None:
        """Let the loop tick at once. Other threads call this."""
        self._tick_now = True
        self._wake()

    def _take_tick(self) -> bool:
        asked, self._tick_now = self._tick_now, False
        return asked

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"x")

    def _wait(self, seconds: float) -> None:
        """Wait until an event, the end of a worker, or the timeout."""
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        for worker in self._workers.alive:
            poll.register(worker.pidfd, select.POLLIN)
        poll.poll(0 if self._tick_now or self._requested.stop else seconds * 1000)
        with suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
