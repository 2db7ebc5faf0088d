"""Do the daemon's work beside starting runs: assess, alert, publish metrics, clean up.

It runs in its own thread, because some of it takes long. The loop checks that the thread makes
progress: a daemon whose thread hangs sends no alerts, so the watchdog ends it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from drd import log
from drd.bootstrap import App
from drd.bootstrap.state import state_directory, state_places
from drd.catalogue.changed import KeptFacts
from drd.catalogue.diagnosis import explain
from drd.config.daemon import DaemonSettings
from drd.daemon.catalogue_place import CataloguePlace
from drd.daemon.clocks import Jump
from drd.daemon.credentials import CredentialWatch, GoneSecrets
from drd.daemon.duties import DutyWatch
from drd.daemon.exposed_files import ExposedFiles
from drd.daemon.figures import DaemonReport, Figures
from drd.daemon.host_record import HostRecord
from drd.daemon.letters import LetterThread
from drd.daemon.measures import MeasureWatch
from drd.daemon.packages import package_troubles
from drd.daemon.plan_texts import PlanTexts
from drd.daemon.playbooks import PlaybookWatch
from drd.daemon.run_heartbeats import RunHeartbeats
from drd.daemon.run_messages import RunMessages
from drd.errors import CatalogueError, ConfigError, DrdError, UnknownPlan
from drd.flows.alerts.unrecorded import UnrecordedAlerts
from drd.flows.alerts.watch import AlertWatch, WatchResult, WatchSources
from drd.flows.state.foreign_files import standing
from drd.flows.status.refused_plans import Refusal
from drd.kinds.registry import room_of
from drd.model.alerts import AlertChange, Condition
from drd.model.facts import PlanFacts
from drd.model.run import Run
from drd.model.schedule import Schedule
from drd.model.text import counted
from drd.model.titles import title_of
from drd.model.verdicts import PlanState
from drd.plan_files import plan_files
from drd.process import shielded

_log = log.get()

ASSESS_S = 30.0
"""Seconds between two assessments of all plans, unless one takes longer than a twentieth of that. A
plan whose run has ended is assessed at once."""
SHARE = 20.0
DELIVER_S = 2.0
REMOVE_OLD_S = 86400.0
PIECE_S = 5.0
"""Seconds between two pieces of the daily removal of old rows."""
HANGS_AFTER_S = 300.0
"""Seconds without progress after which the thread counts as hanging."""
KEPT = timedelta(days=400)
"""How long finished runs and resolved alerts stay in the catalogue: more than a year, for
comparisons."""
LAST_MESSAGES_S = 5.0
"""How long a stop waits for messages that are being sent."""


class Monitor:
    """Begins with `start`, ends with `stop`. The loop calls the other methods, which only leave
    something for the thread and never wait for it.

    The loop leaves events and queues, which are safe in several threads; the facts about the host,
    which have a lock; and references that the thread reads once. Everything else is used only by
    the thread."""

    def __init__(
        self,
        app: App,
        schedule: Callable[[str], Schedule | None],
        texts: PlanTexts,
        place: CataloguePlace,
    ) -> None:
        self._app = app
        self._place = place
        self._schedule = schedule
        self._exposed = ExposedFiles(app)
        self._facts = KeptFacts(app.settings.state_url, app.settings.state_password)
        self._watch = AlertWatch(self._sources(texts))
        self._sender = app.channels.outbox_sender()
        self._letters = LetterThread(app)
        self._heartbeats = RunHeartbeats(app)
        self._figures = Figures(app, self.tick_age_s)
        self._host = HostRecord()
        self._credentials, self._gone_secrets = CredentialWatch(), GoneSecrets()
        self._duties = DutyWatch(app)
        self._measures = MeasureWatch()
        self._playbooks = PlaybookWatch()
        self.logs: Callable[[datetime], tuple[Condition, ...]] = lambda _: ()
        self._note_extensions()
        self._refused: Mapping[str, Refusal] | None = None
        self._settings_changed = threading.Event()
        self._ended_runs: deque[Run] = deque()
        self._started_runs: deque[Run] = deque()
        self._run_messages = RunMessages(app)
        self._report = DaemonReport({}, 0, 0.0, "starting")
        self._last_result: WatchResult | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._assess_now = threading.Event()
        self._assess_now.set()
        self._has_messages = False
        self._changed: set[str] = set()
        self._next: dict[str, float] = {}
        self._progress_at = time.monotonic()
        self._ticked_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="drd-monitor", daemon=True)

    def _sources(self, texts: PlanTexts) -> WatchSources:
        """Return what the alerts are made from."""
        app, settings = self._app, self._app.settings
        places = {"work_dir": settings.work_dir, "cache_dir": settings.cache_dir}
        if settings.state_dir is not None:
            places["state"] = settings.state_dir
        return WatchSources(
            catalogue=app.catalogue,
            read_facts=self._read_facts,
            plan_files=lambda: plan_files(app.settings.plans_dir),
            schedule=self._schedule,
            places=places,
            channels=settings.channels,
            rules=settings.alert_rules,
            opening=settings.opening_rules,
            tier_of=self._tier_of,
            exposed=self._exposed,
            room=room_of,
            differing=lambda: texts.differing(app.catalogue.queue.accepted_texts()),
            unrecorded=UnrecordedAlerts(state_directory(settings)),
        )

    # --- for the loop ---------------------------------------------------------------------------

    def record_downtime(self, last: datetime | None, now: datetime) -> None:
        """`last` is the time of the last sign of life of a daemon; None if no daemon ran here
        before."""
        if last is not None:
            self._host.was_down(last, now)

    def start(self) -> None:
        self._figures.listen(self._app.settings.metrics_http)
        self._thread.start()

    def stop(self) -> None:
        """Send the last messages, within a short time."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(LAST_MESSAGES_S + 2.0)
        self._figures.stop()
        if not self._thread.is_alive():
            self._facts.close()

    def makes_progress(self) -> bool:
        """Return whether the thread makes progress."""
        return self._thread.is_alive() and time.monotonic() - self._progress_at < HANGS_AFTER_S

    def records_found(self, **found: str | None) -> None:
        """Note what is wrong with the records (`HostFacts.records_…`)."""
        self._host.change(**found)

    def tick_age_s(self) -> float:
        ticked_at = self._progress_at if self._ticked_at is None else self._ticked_at
        return time.monotonic() - ticked_at

    def ticked(self, report: DaemonReport) -> None:
        self._report = report
        self._ticked_at = time.monotonic()

    def jumped(self, jump: Jump, now: datetime) -> None:
        self._host.jumped(jump, now)
        self.assess_soon()

    def loaded(self, refused: Mapping[str, Refusal]) -> None:
        """Note that the plans were read; `refused` has the refused plans with the reason. Before
        the first call, plans are not assessed."""
        self._refused = dict(refused)
        self._exposed.recheck_soon()
        self.assess_soon()

    def reconfigure(self, settings: DaemonSettings) -> None:
        """Apply the new drd.yaml. Raises DrdError when that fails; then nothing has changed."""
        self._figures.listen(settings.metrics_http)
        self._app.settings = settings
        self._host.change(configuration_error=None, needs_restart=False)
        self._note_extensions()
        self._settings_changed.set()
        self.assess_soon()

    def _note_extensions(self) -> None:
        self._host.change(extensions=package_troubles(self._app.settings.channels))

    def not_reconfigured(self, error: DrdError) -> None:
        restart = isinstance(error, ConfigError) and error.needs_restart
        self._host.change(configuration_error=error.line, needs_restart=restart)
        self.assess_soon()

    def on_run_started(self, run: Run) -> None:
        self._started_runs.append(run)
        self._wake.set()

    def on_run_ended(self, run: Run) -> None:
        self._ended_runs.append(run)
        self._wake.set()

    def catalogue_failed(self, error: CatalogueError) -> None:
        self._host.change(catalogue_error=error.line, catalogue_trouble=error.trouble)
        self.assess_soon()

    def catalogue_works(self) -> None:
        self._host.change(catalogue_error=None, catalogue_trouble="")
        self.assess_soon()

    def assess_soon(self) -> None:
        self._assess_now.set()
        self._wake.set()

    def summary(self, plans: int) -> str:
        """Return a sentence such as `3 plans, 2 ok, 1 breached`, by the last assessment of the
        `plans` in force."""
        result = self._last_result
        text = counted(plans, "plan")
        if result is None or not result.plans:
            return text
        if len(result.plans) > plans:
            text = f"{plans} of {len(result.plans)} loaded plans"
        states = Counter(p.state for p in result.plans)
        if set(states) == {PlanState.OK}:
            return f"{text}, all ok"
        counts = (f"{n} {state}" for state, n in states.most_common())
        return ", ".join([text, *counts])

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._progress_at = time.monotonic()
            stopping = self._stopping.is_set()
            try:
                self._work(last=stopping)
            except CatalogueError as error:
                _log.debug("monitor.catalogue", error=error.message)
            except Exception as error:  # noqa: BLE001 (a thread has nobody above it)
                self._on_failure(error)
            if stopping:
                return
            self._wake.wait(DELIVER_S)
            self._wake.clear()

    def _on_failure(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        try:
            explain(error, self._app.settings.state_url, self._app.settings.state_password)
        except CatalogueError as explanation:
            text = explanation.message
        _log.error("monitor.failed", error=text)

    def _work(self, *, last: bool) -> None:
        if self._settings_changed.is_set():
            self._settings_changed.clear()
            self._use_settings()
        self._note_runs()
        if self._refused is not None and self._is_time("runs by hand", DELIVER_S):
            self._changed |= self._run_messages.note_by_hand()  # an alert may tell the same
        if self._assess_now.is_set() or self._is_time("assess", ASSESS_S):
            self._assess_now.clear()
            began = time.thread_time()
            self._assess()
            took_s = time.thread_time() - began
            self._next["assess"] = self._awake_s() + max(ASSESS_S, SHARE * took_s)
        elif self._changed and self._refused is not None:
            self._assess_changed()
        self._has_messages |= self._run_messages.send()
        if not last:
            well = self._host.facts.catalogue_error is None
            self._heartbeats.alive(self._report.sentence, well=well)
        if self._has_messages or last or self._is_time("deliver", DELIVER_S):
            self._has_messages = False
            self._sender.deliver_due()
            self._letters.deliver_due()
        if self._is_time("remove old", REMOVE_OLD_S):
            self._remove_old()
        if last:
            with shielded():
                self._sender.wait(LAST_MESSAGES_S)
                self._letters.wait(LAST_MESSAGES_S)
                self._heartbeats.close(1.0)

    def _tier_of(self, plan: str) -> int | None:
        """Return the tier of a plan; of one that cannot be read the most important."""
        try:
            return self._app.plans.in_force(plan).inventory.tier
        except (UnknownPlan, ConfigError):
            return 1

    def _use_settings(self) -> None:
        settings = self._app.settings
        self._watch.use(settings.channels, settings.alert_rules, settings.opening_rules)
        self._sender.use(settings.channels)
        self._app.catalogue.incidents.use(settings.cadence)
        self._heartbeats.use(settings.channels)
        self._duties.reload()
        self._sender.remove_old()

    def _is_time(self, what: str, every_s: float) -> bool:
        now = self._awake_s()
        if now < self._next.get(what, 0.0):
            return False
        self._next[what] = now + every_s
        return True

    def _assess(self) -> None:
        now = self._app.clock.now()
        host = self._host.change(
            contested=self._contested(now),
            state_wrong=standing(state_places(self._app.settings)),
            credentials=self._credentials.later(),
            gone_secrets=self._gone_secrets.of(self._exposed.secret_files()),
            reports=(
                *self._duties.conditions(now),
                *self._measures.conditions(self._app.catalogue, now),
                *self._playbooks.conditions(self._app, now),
                *self.logs(now),
            ),
        )
        self._changed.clear()
        refused = self._refused
        if refused is None:
            result = self._watch.evaluate_host(host, now)
        else:
            result = self._watch.evaluate(host, now, refused)
        self._send_alerts(result)
        self._figures.publish(result, self._report, now, self._duties.next_reports)

    def _contested(self, now: datetime) -> str | None:
        """Return why this state may be a copy. A file that was replaced under the service is none:
        the watch tells that."""
        with suppress(CatalogueError):
            self._place.require()
            custody = self._app.catalogue.custody.check(now)
            return custody.contested if custody is not None else None
        return self._host.facts.contested

    def _read_facts(self, plan: str | None) -> Sequence[PlanFacts]:
        """Read them from the file that the service has open, not from another one in its place."""
        self._place.require()
        return self._facts.read(plan)

    def _assess_changed(self) -> None:
        """Assess only the plans whose runs have ended."""
        now = self._app.clock.now()
        names, self._changed = self._changed, set()
        host = self._host.facts
        if host.gone_secrets:  # a run has ended well because one is back
            host = self._host.change(
                gone_secrets=self._gone_secrets.of(self._exposed.secret_files())
            )
        result = self._watch.evaluate_plans(names, host, now)
        self._send_alerts(result)
        self._figures.publish(result, self._report, now, self._duties.next_reports)

    def _send_alerts(self, result: WatchResult) -> None:
        if result.again:
            self._assess_now.set()
        self._last_result = result
        self._run_messages.fired(result.transitions)
        for transition in (t for t in result.transitions if t.change is not AlertChange.KEPT):
            self._has_messages = True
            alert = transition.after
            is_news = transition.change.event == "firing" and alert.severity != "info"
            level = "warning" if is_news else "info"
            getattr(_log, level)(
                f"alert.{transition.change}",
                plan=alert.plan or None,
                alert=alert.id,
                kind=alert.kind,
                severity=alert.severity,
                what=title_of(alert.kind, alert.severity, alert.subject, transition.brief),
            )
        if result.unrecorded:
            self._sender.deliver_without_outbox(result.unrecorded)

    def _note_runs(self) -> None:
        while self._started_runs:
            self._heartbeats.started(self._started_runs.popleft())
        while self._ended_runs:
            run = self._ended_runs.popleft()
            self._heartbeats.finished(run)
            self._changed.add(run.plan)
            self._run_messages.ended(run)

    def _remove_old(self) -> None:
        """Remove some old rows; more of them soon, until nothing old is left for the day."""
        removed = self._app.catalogue.queue.remove_old(self._now() - KEPT)
        if removed:
            _log.debug("catalogue.tidied", runs=removed)
            self._next["remove old"] = self._awake_s() + PIECE_S
            return
        self._app.catalogue.alerts.remove_old(self._now() - KEPT)
        self._sender.remove_old()

    def _awake_s(self) -> float:
        return self._app.clock.monotonic()

    def _now(self) -> datetime:
        return self._app.clock.now()
