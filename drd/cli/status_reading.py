"""Read the status: from the summary that drd keeps for everyone who may see it.

The state's owner and root also check the catalogue for newer facts, and read what changed; so they
get the exact status, at the speed of the summary. Others get the summary.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from drd import record_writer
from drd.catalogue.reading import lost_catalogue, sqlite_file
from drd.catalogue.summary import read_status
from drd.config.location import ConfiguredPlaces
from drd.errors import CatalogueError, DamagedSummary, DrdError, NoCatalogue
from drd.flows.status.overview import (
    SUMMARY,
    StatusDocument,
    SummaryContent,
    collect,
    collect_known,
)
from drd.model.facts import PlanFacts, StatusFacts
from drd.named import NamedTuple
from drd.plan_files import plan_files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from drd.flows.status.summary_file import SummaryFile

_WORTH_BYTES = 32 << 10

_USELESS = (
    OSError, DamagedSummary, ArithmeticError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip
"""A summary has facts of any type if its owner wrote it by another program: whoever became the
service's user must not take the status from root."""


class StatusQuery(NamedTuple):
    """What to show: one plan or all. With more plans than `brief_above`, only a row for each plan
    without news; None: everything."""

    plan: str | None
    brief_above: int | None
    installed: bool


def read_document(
    places: ConfiguredPlaces, wanted: StatusQuery, now: datetime | None
) -> StatusDocument:
    """Return the status at `now`; None: at the time when it was read. Raises DrdError."""
    if not may_open_state(places):
        return _of_others(places, wanted, now)
    if not places.state_url.startswith("sqlite:"):
        return _by_catalogue(places, wanted, now)
    useless = False
    try:
        if _is_worth_it(places):
            document = _by_summary(places, wanted, now)
            if document is not None:
                return document
            useless = True
    except _USELESS:
        useless = True  # it exists for speed: the catalogue has the truth
    document = _by_catalogue(places, wanted, now)
    if useless and document.plans and wanted.plan is None:
        _publish(places)
    return document


def _publish(places: ConfiguredPlaces) -> None:
    """Write a missing summary, or replace that of another catalogue: for others, and
    for next time."""
    there = os.path.isdir(places.public_dir)  # noqa: PTH112 (4 ms)
    if not os.access(places.public_dir if there else os.path.dirname(places.public_dir), os.W_OK):  # noqa: PTH120
        return
    from contextlib import suppress

    from drd.catalogue.changed import identity, read_changed
    from drd.flows.status.publishing import publish

    with suppress(OSError, DrdError):  # it is for the others
        url = places.state_url
        publish(
            places.public_dir,
            "" if there else "drd",  # drd.yaml chose the group of the existing one
            sqlite_file(url),
            lambda since: read_changed(url, since),
            lambda: identity(url),
        )


def may_open_state(places: ConfiguredPlaces) -> bool:
    """True for root and the owner of the state. Without a state, for everyone."""
    if os.geteuid() == 0:
        return True
    url = places.state_url
    own = os.path.dirname(sqlite_file(url)) if url.startswith("sqlite:") else places.public_dir  # noqa: PTH120 (4 ms)
    try:
        return os.stat(own).st_uid == os.geteuid()  # noqa: PTH116
    except OSError:
        return True


@contextmanager
def as_owner(places: ConfiguredPlaces) -> Iterator[None]:
    """Let root read another user's state with that user's rights, since that user may replace files
    there. Does the same as `acting_for_owner`, which takes longer to load, and calls that if these
    rights are not enough."""
    url = places.state_url
    file = sqlite_file(url)
    is_file = url.startswith("sqlite:")
    try:
        owner = os.stat(os.path.dirname(file) if is_file else places.public_dir)  # noqa: PTH116, PTH120
    except OSError:
        owner = None
    if os.geteuid() == 0 and owner is not None:
        record_writer.reads_of(owner.st_uid)
    if os.geteuid() != 0 or owner is None or owner.st_uid == 0 or not is_file:
        yield
        return
    groups = os.getgroups()
    try:
        os.setgroups([])
        os.setegid(owner.st_gid or owner.st_uid)
        os.seteuid(owner.st_uid)
        # Modules that are loaded later must be readable, too.
        legible = all(os.access(f, os.R_OK, effective_ids=True) for f in (file, __file__))
        if legible:
            yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    if not legible:
        from pathlib import Path

        from drd.process.state_owner import acting_for_owner

        state = Path(file).parent
        with acting_for_owner(state, state):
            yield


def _of_others(
    places: ConfiguredPlaces, wanted: StatusQuery, now: datetime | None
) -> StatusDocument:
    from drd.flows.status.summary_file import read_summary, unreadable

    try:
        file = read_summary(places.public_dir)
        return _collected(file, _summary_content(file, wanted.plan), places, wanted, now)
    except _USELESS as error:
        # A state of an older drd, or one whose owner has opened it to others.
        try:
            return _by_catalogue(places, wanted, now)
        except CatalogueError:
            raise unreadable(places.public_dir, error) from error


def _is_worth_it(places: ConfiguredPlaces) -> bool:
    """Below this size of the summary, reading the catalogue is as fast."""
    return os.stat(f"{places.public_dir}/{SUMMARY}").st_size > _WORTH_BYTES  # noqa: PTH116


def _by_summary(
    places: ConfiguredPlaces, wanted: StatusQuery, now: datetime | None
) -> StatusDocument | None:
    """Return the summary with later changes from the catalogue; None if there are too many."""
    from drd.catalogue.changed import identity, read_changed
    from drd.flows.status.summary_file import read_summary

    file = read_summary(places.public_dir)
    header = file.header
    with as_owner(places):
        if header.state != identity(places.state_url):
            return None
        changed = read_changed(places.state_url, header.seq)
    if changed.everything:
        return None
    known = _summary_content(file, wanted.plan)
    if changed.seq != header.seq or changed.facts.plans:
        known = _overlaid(known, changed.facts, changed.gone)
    return _collected(file, known._replace(written_at=None), places, wanted, now)


def _summary_content(file: SummaryFile, plan: str | None) -> SummaryContent:
    facts = file.header.rest._replace(plans=file.without_brief(plan))
    return SummaryContent(facts, file.briefs(plan), file.facts, file.header.at)


def _overlaid(known: SummaryContent, newer: StatusFacts, gone: Collection[str]) -> SummaryContent:
    names = {*gone, *(f.plan for f in newer.plans)}
    old = known.facts
    others = {**{k: v for k, v in old.others.items() if k not in names}, **newer.others}
    kept = [f for f in old.plans if f.plan not in names]
    return known._replace(
        facts=newer._replace(plans=[*kept, *newer.plans], others=others),
        briefs=[b for b in known.briefs if b.plan not in names],
    )


def _collected(
    file: SummaryFile,
    known: SummaryContent,
    places: ConfiguredPlaces,
    wanted: StatusQuery,
    now: datetime | None,
) -> StatusDocument:
    now = now or datetime.now(UTC)  # after reading: the daemon may write the summary meanwhile
    plan, installed = wanted.plan, wanted.installed
    if plan is None:
        files = plan_files(places.plans_dir)
        return collect_known(known, files, now, brief_above=wanted.brief_above, installed=installed)
    one = _one(known, plan)
    if one and os.path.exists(one[0].file):  # noqa: PTH110 (4 ms)
        facts = known.facts._replace(plans=one)
        document = collect(lambda: facts, (), now, plan=plan, installed=installed)
    else:
        known = _summary_content(file, None) if not one else known
        everything = [*known.facts.plans, *known.more([b.plan for b in known.briefs])]
        facts = known.facts._replace(plans=everything)
        files = plan_files(places.plans_dir)
        document = collect(lambda: facts, files, now, plan=plan, installed=installed)
    return document._replace(written_at=known.written_at)


def _one(known: SummaryContent, plan: str) -> list[PlanFacts]:
    facts_of_plan = [f for f in known.facts.plans if f.plan == plan]
    if not facts_of_plan and any(b.plan == plan for b in known.briefs):
        facts_of_plan = [f for f in known.more([plan]) if f.plan == plan]
    return facts_of_plan


def _require_unused(catalogue: str) -> None:
    """Raise CatalogueError if this catalogue is gone and was there: locks of runs or of the daemon
    lie beside it. Otherwise drd would show the plans of a host that never made a backup."""
    locks = os.path.join(os.path.dirname(catalogue), "locks")  # noqa: PTH118, PTH120 (4 ms)
    used = os.path.isdir(locks) and set(os.listdir(locks)) - {"summary.lock"}  # noqa: PTH112, PTH208
    if used and not os.path.lexists(catalogue):
        raise lost_catalogue(catalogue)


def _by_catalogue(
    places: ConfiguredPlaces, wanted: StatusQuery, now: datetime | None
) -> StatusDocument:
    plan, installed = wanted.plan, wanted.installed

    def facts(only: str | None = None) -> StatusFacts:
        try:
            with as_owner(places):
                return read_status(places.state_url, only, places.state_password)
        except NoCatalogue:
            if places.state_url.startswith("sqlite:"):
                _require_unused(sqlite_file(places.state_url))
            return StatusFacts([])  # nothing was loaded yet; plan files on disk are still named

    facts_read = facts(plan)
    now = now or datetime.now(UTC)
    if plan is not None and any(os.path.exists(f.file) for f in facts_read.plans):  # noqa: PTH110 (4 ms)
        # It was loaded and is still in its place: other files do not matter.
        return collect(lambda: facts_read, (), now, plan=plan, installed=installed)
    known = facts_read if plan is None else facts()
    files = plan_files(places.plans_dir)
    return collect(lambda: known, files, now, plan=plan, installed=installed)
