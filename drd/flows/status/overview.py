"""Judge the catalogue's facts and the plans directory now, for `drd status`.

This module opens nothing else, and uses only the standard library and the model, since `drd status`
starts cold in monitoring once a minute, and must answer when everything else is down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from drd.errors import UnknownPlan
from drd.flows.status.packages import changed_package, missing_packages
from drd.model.clock import age
from drd.model.compliance import assess
from drd.model.drd_facts import DaemonFacts, IncidentFacts, OwnerFacts
from drd.model.facts import AlertFacts, NotLoaded, PlanFacts, StatusFacts
from drd.model.status_line import Brief, microseconds
from drd.model.status_notes import Told
from drd.model.text import either, some
from drd.model.units import format_duration
from drd.model.verdicts import Assessment, PlanState, Verdict, worst, worst_state
from drd.named import NamedTuple
from drd.plan_files import FoundPlanFile, digest_of, is_adopted, plan_name, stat_file
from drd.presence import is_hidden

SILENT_S = 150.0
"""A daemon sends a heartbeat every half minute; after five missed ones it is silent."""

FRESH_S = 120.0
"""An older summary is reported as old: a daemon that lives writes it twice a minute."""

SUMMARY = "status"
"""The name of the file in the public directory."""


class DaemonState(NamedTuple):
    """The state of the daemon: `running`, `stopped` in order, `silent` (it died, or hangs) or
    `never started`, though it is installed. `at` is its last sign of life, `read` the stamp of the
    drd.yaml that it has loaded. `mute`: it runs, but could record nothing since then.
    """

    state: str
    at: datetime | None = None
    version: str | None = None
    read: tuple[int, int] | None = None
    mute: bool = False


class ConfigurationTrouble(NamedTuple):
    """Why drd.yaml is not in force as it is on disk, in words, and the command that leads out.
    `broken`: a service cannot start with it.
    """

    text: str
    command: str
    broken: bool


class StatusDocument(NamedTuple):
    """All plans by name, and the worst of their verdicts; unknown without any plan.

    `alerts` are those about drd itself; `daemon` is None if nobody expects one. `trouble` is why
    nothing new can be recorded, None if no reason is visible. `briefs` are plans whose texts are
    known already, if only those were requested. `written_at` is when drd wrote the summary that was
    read, None for the catalogue itself. `missing_packages` are those that drd.yaml names,
    `configuration` is what is wrong with that file. `incidents` are those that are not closed.
    `records_damage` is what the last check of the records found; empty for nothing.
    `owner` says whose state it is, `copied` why it may be a copy, None if nothing suggests that.
    """

    at: datetime
    verdict: Verdict
    plans: tuple[Assessment, ...]
    alerts: tuple[AlertFacts, ...] = ()
    daemon: DaemonState | None = None
    trouble: str | None = None
    briefs: tuple[Brief | Told, ...] = ()
    written_at: datetime | None = None
    missing_packages: tuple[str, ...] = ()
    configuration: ConfigurationTrouble | None = None
    incidents: tuple[IncidentFacts, ...] = ()
    records_damage: str = ""
    owner: OwnerFacts | None = None
    copied: str | None = None

    @property
    def state(self) -> PlanState:
        """The worst state of all plans, unknown if there are none. At least not ready while drd can
        record nothing, and so cannot make backups."""
        ours = PlanState.OK if self.trouble is None else PlanState.NOT_READY
        return worst_state({self.state_of_plans, ours})

    @property
    def state_of_plans(self) -> PlanState:
        """The worst state of a plan; unknown without any plan."""
        return worst_state({*(p.state for p in self.plans), *(b.state for b in self.briefs)})


def trouble_at_rest(state_url: str, daemon: DaemonState | None = None) -> str | None:
    """Return why nobody can write to the catalogue, by what the file system shows; None if it shows
    no reason. A reader would notice it only because nothing changes any more. A place that is
    read-only for this process only (ProtectSystem=) is no problem: the `daemon` can write there.
    """
    if not state_url.startswith("sqlite:///"):
        return None
    directory = os.path.dirname(state_url.removeprefix("sqlite:///").partition("?")[0])  # noqa: PTH120
    try:
        space = os.statvfs(directory or ".")
    except OSError:
        return None
    if space.f_flag & os.ST_RDONLY and (daemon is None or daemon.state != "running"):
        return f"{directory} is read-only now: drd cannot record anything new"
    if space.f_bfree == 0 or (space.f_files and space.f_ffree == 0):
        return f"{directory} is full: drd cannot record anything new"
    return None


def collect(
    read: Callable[[], StatusFacts],
    files: Iterable[FoundPlanFile],
    now: datetime,
    *,
    plan: str | None = None,
    installed: bool = False,
) -> StatusDocument:
    """Judge every plan that was loaded or has a file, or only `plan`.

    `installed` says that a daemon is expected. A file with the same size and time as when it was
    loaded is not opened; a file that was never loaded is not opened either, only its name is used.
    Raises UnknownPlan, with the nearest name, if `plan` is neither.
    """
    facts = read()
    judged_subjects = subjects(facts, files)
    if plan is not None and plan not in judged_subjects:
        raise _unknown(plan, judged_subjects)
    chosen = sorted(judged_subjects) if plan is None else [plan]
    plans = tuple(assess(judged_subjects[name], now) for name in chosen)
    daemon = daemon_state(facts.daemon, now, installed=installed)
    verdict = worst(p.verdict for p in plans)
    return StatusDocument(
        now,
        verdict,
        plans,
        facts.alerts,
        daemon,
        incidents=tuple(facts.incidents),
        records_damage=facts.records_damage,
        owner=facts.owner,
    )


class SummaryContent(NamedTuple):
    """The content of a summary. `facts` has the plans that are to be judged, and the facts about
    drd; `briefs` are the other plans, whose facts `more` reads. `written_at` is as in a document.
    """

    facts: StatusFacts
    briefs: Sequence[Brief | Told]
    more: Callable[[Collection[str]], Sequence[PlanFacts]]
    written_at: datetime | None


def collect_known(
    known: SummaryContent,
    files: Iterable[FoundPlanFile],
    now: datetime,
    *,
    brief_above: int | None,
    installed: bool = False,
) -> StatusDocument:
    """Collect like `collect`, from a summary. With more plans than `brief_above`, plans are not
    judged whose texts are known, and whose file was not changed since it was loaded; with None,
    every plan is judged.
    """
    on_disk = {f.path: f for f in files}
    count = len(known.briefs) + len(known.facts.plans)
    brief = brief_above is not None and count > brief_above
    stay = _still_true(known.briefs, on_disk, now) if brief else {}
    if stay:
        theirs = {f.file for f in known.facts.plans}
        strangers = [path for path in on_disk if path not in theirs]
        for name in {plan_name(path) for path in strangers} & stay.keys():
            del stay[name]
    again = [b.plan for b in known.briefs if b.plan not in stay]
    plans = [*known.facts.plans, *(known.more(again) if again else ())]
    judged = subjects(known.facts._replace(plans=plans), on_disk.values())
    assessed = tuple(assess(judged[name], now) for name in sorted(judged))
    verdicts = {p.verdict for p in assessed} | {b.verdict for b in stay.values()}
    return StatusDocument(
        now,
        worst(verdicts),
        assessed,
        known.facts.alerts,
        daemon_state(known.facts.daemon, now, installed=installed),
        briefs=tuple(stay.values()),
        written_at=known.written_at,
        incidents=tuple(known.facts.incidents),
        records_damage=known.facts.records_damage,
        owner=known.facts.owner,
    )


def _still_true(
    briefs: Iterable[Brief | Told], on_disk: dict[str, FoundPlanFile], now: datetime
) -> dict[str, Brief | Told]:
    """Return, by plan, those that are valid now and whose file did not change; their files are not
    checked again.
    """
    at = microseconds(now)
    stay: dict[str, Brief | Told] = {}
    for brief in briefs:
        if brief.since <= at < brief.until:
            file = on_disk.get(brief.file) or stat_file(brief.file)
            same = file is not None and file[1:] == (brief.file_mtime_ns, brief.file_size)
            if same and not (brief.packages and changed_package(brief.packages)):
                stay[brief.plan] = brief
                on_disk.pop(brief.file, None)
    return stay


def known_when(document: StatusDocument) -> str:
    """Describe the age of the summary that the document was read from; empty if it is fresh, as a
    running daemon's is, and if the catalogue itself was read.
    """
    if document.written_at is None:
        return ""
    since_s = age(document.written_at, document.at)
    if since_s is None:
        return "the time of this status is in the future: the clock was set back"
    return f"this status is {format_duration(since_s)} old" if since_s > FRESH_S else ""


def daemon_state(
    facts: DaemonFacts | None, now: datetime, *, installed: bool
) -> DaemonState | None:
    """Judge by the last heartbeat whether a daemon works."""
    if facts is None:
        return DaemonState("never started") if installed else None
    if facts.stopped:
        return DaemonState("stopped", facts.at, facts.version, facts.read)
    silent = (now - facts.at).total_seconds() > SILENT_S
    return DaemonState("silent" if silent else "running", facts.at, facts.version, facts.read)


def subjects(
    facts: StatusFacts, files: Iterable[FoundPlanFile], *, served: bool | None = None
) -> dict[str, PlanFacts | NotLoaded]:
    """Return what to judge, by name: every plan that was loaded, with the state of its file, and
    every file that never was. `served` says that a daemon runs; None: by its last sign of life.
    """
    loaded = {f.plan: f for f in facts.plans}
    on_disk = {f.path: f for f in files}
    by_name: dict[str, PlanFacts | NotLoaded] = {}
    if served is None:
        served = facts.daemon is not None and not facts.daemon.stopped
    for name, known in loaded.items():
        file = os.path.abspath(known.file) if known.file else ""  # noqa: PTH100
        facts_of_file = on_disk.pop(file, None) or stat_file(file)
        why = facts.refused.get(name)
        restart = why is not None and why.needs_restart
        by_name[name] = _compare(
            known._replace(needs_restart=restart), file, facts_of_file, served=served
        )
    for stranger in on_disk.values():
        name = plan_name(stranger.path)
        so_far = by_name.get(name)
        if isinstance(so_far, PlanFacts) and so_far.file and not so_far.file_gone:
            by_name[name] = so_far._replace(twin=stranger.path, served=served)
        elif name in loaded:
            by_name[name] = _compare(loaded[name], stranger.path, stranger, served=served)
        else:
            by_name[name] = _never_loaded(name, stranger, facts)
    return by_name


def refused(name: str, file: str, error: str, *, needs_restart: bool = False) -> NotLoaded:
    """Return a plan that could not be accepted, and why."""
    command = f"drd plan check {file}"
    command += " && systemctl restart drd" if needs_restart else ""
    return NotLoaded(name, file, f"not loaded: {error}", command)


def _never_loaded(name: str, file: FoundPlanFile, facts: StatusFacts) -> NotLoaded:
    first = "drill" if is_adopted(file.path) else "backup"
    subject = NotLoaded(
        name,
        file.path,
        f"drd has not loaded {file.path} yet: the first {first} loads it",
        f"drd {first} {name}",
    )
    why = facts.refused.get(name)
    if why is not None:
        subject = refused(name, file.path, why.error, needs_restart=why.needs_restart)
        if (why.file_mtime_ns, why.file_size) != (file.mtime_ns, file.size):
            subject = subject._replace(why=f"{subject.why} (the file has changed since then)")
    return subject._replace(alerts=facts.others.get(name, ()))


def _compare(
    facts: PlanFacts, path: str, found: FoundPlanFile | None, *, served: bool
) -> PlanFacts:
    """Return the facts with what the file on disk and the packages say about whether they are still
    the plan's. A file that equals the loaded one again cancels an earlier `load_error`, unless that
    may be about a package.
    """
    if not path:
        return facts
    if found is None:
        if is_hidden(path):
            return facts
        return facts._replace(
            load_error=f"the plan's file {path} is gone: restore this file",
            file_gone=True,
            served=served,
        )
    if (found.mtime_ns, found.size) == (facts.file_mtime_ns, facts.file_size) or (
        facts.file_digest and facts.file_digest == digest_of(path)
    ):
        if facts.packages:
            changed = changed_package(facts.packages)
            missing = bool(missing_packages(facts.packages))
            return facts._replace(
                load_error=changed or facts.load_error,
                package_changed=bool(changed),
                package_missing=missing,
            )
        return facts if facts.load_error is None else facts._replace(load_error=None)
    if (now := plan_name(path)) != facts.plan:
        renamed = (
            f"{path} now contains plan {now} instead, so plan {facts.plan} does not "
            "have a file any more"
        )
        return facts._replace(load_error=renamed, file_gone=True, renamed=True)
    at = facts.load_error_at
    edited = facts.load_error is None or (at is not None and found.mtime_ns > at.timestamp() * 1e9)
    error = facts.load_error or f"{path} has changed since drd loaded it"
    return facts._replace(load_error=error, edited=edited, served=served)


def _unknown(plan: str, known: Iterable[str]) -> UnknownPlan:
    from difflib import get_close_matches

    names = sorted(known)
    near = get_close_matches(plan, names, n=3)
    if near:
        hint = f"did you mean {either(near)}?"
    elif names:
        hint = f"choose one of these plans: {some(names, 10)}"
    else:
        hint = "drd has not loaded a plan yet; write a plan with `drd plan new`."
    return UnknownPlan(f"there is no plan {plan!r}", hint=hint)
