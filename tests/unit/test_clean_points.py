"""Which restore point a recovery after an attack should use, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drd.cli.incident_clean_points import loss_words
from drd.errors import NoRestorePoint
from drd.flows.incidents.opening import open_incident
from drd.flows.restore.clean_points import clean_points, described, require_clean
from drd.flows.restore.recovery_request import RecoveryRequest
from drd.flows.restore.resecuring import inserted, with_approval
from drd.model.clean_points import data_until
from drd.model.incidents import entries as kinds
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.first_sign import FirstSign, first_sign, remarks
from drd.model.incidents.fold import fold
from drd.model.incidents.investigation import investigation
from drd.model.incidents.rotations import known_to_attacker, rotations
from drd.model.incidents.timeline import timeline
from drd.model.inventory import Credential
from drd.model.records import Entry
from drd.model.run import (
    PARTIAL_DRILL,
    DrillResult,
)
from drd.model.runbook import Circumstances, Step, When
from drd.model.single_item import Part
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    FileEntry,
    Fingerprint,
    RestorePoint,
    TableState,
    TreeFingerprint,
)
from drd.model.units import to_rfc3339
from drd.model.unusual import changes
from tests.flow_support import NOON, World
from tests.records_support import ANNA, Chain

HOUR = timedelta(hours=1)
OPENED = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


class Response(Chain):
    """The entries of incident 1, one a minute."""

    def __init__(self, **opening: Any) -> None:
        super().__init__()
        self.say(kinds.OPEN, title="orders leak", plans=["shop"], severity="", **opening)

    def say(self, kind: str, **body: Any) -> Entry:
        at = OPENED + timedelta(minutes=len(self.entries))
        return self.add(draft(kind, 1, Author("anna", at, ANNA), body))

    def sign(self) -> FirstSign:
        found = first_sign(fold(1, self.entries), investigation(self.entries))
        assert found is not None
        return found

    def remarks(self) -> list[str]:
        return remarks(fold(1, self.entries), self.sign())


def before(hours: float) -> str:
    return to_rfc3339(OPENED - timedelta(hours=hours))


def test_first_sign_is_the_earliest_moment_or_indicator_and_says_which() -> None:
    made = Response()
    assert made.sign() == FirstSign(OPENED, "opened")
    made.say(kinds.ANCHOR, instant="suspected", at=before(1))
    assert made.sign().words() == "2026-11-28 11:00:00 UTC (moment suspected)"
    made.say(kinds.ANCHOR, instant="aware", at=before(2))
    assert made.sign().what == "aware"
    seen = made.say(kinds.INDICATOR, type="ip", value="203.0.113.7", seen=before(3))
    wrong = made.say(kinds.INDICATOR, type="ip", value="203.0.113.8", seen=before(9))
    made.say(kinds.INDICATOR, entry=wrong.seq, reason="ours")
    assert made.sign() == FirstSign(OPENED - 3 * HOUR, "indicator", seen.seq)
    assert "nobody has recorded the moment `occurred`" in made.remarks()[0]
    made.say(kinds.ANCHOR, instant="occurred", at=before(2))
    assert made.sign().what == "indicator"
    assert (
        f"the indicator of entry {seen.seq} was seen before the moment `occurred`"
        in made.remarks()[0]
    )
    made.say(kinds.ANCHOR, instant="occurred", at=before(5), reason="the log shows it")
    assert (made.sign().at, made.remarks()) == (OPENED - 5 * HOUR, [])
    made.say(kinds.ANCHOR, instant="contained", at=before(8))
    assert made.sign().what == "occurred"


def test_the_opening_counts_although_a_later_sign_is_recorded() -> None:
    made = Response()
    made.say(kinds.ANCHOR, instant="occurred", at=before(-1))
    made.say(kinds.INDICATOR, type="ip", value="203.0.113.7", seen=before(-2))
    assert made.sign() == FirstSign(OPENED, "opened")


# --- the choice ---


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, copies=False)
    yield made
    made.close()


def choice(world: World, sign: datetime) -> tuple[str | None, str]:
    found = clean_points(world.catalogue, "shop", sign, world.clock.now())
    return (found.choice.point.id if found.choice is not None else None), found.why


def test_the_newest_sound_point_from_before_the_sign_is_chosen(world: World) -> None:
    world.clock.at = NOON + 5 * HOUR
    world.stored("aaaaaaaa", NOON)
    world.stored("bbbbbbbb", NOON + HOUR)
    world.stored("cccccccc", NOON + 2 * HOUR, complete=False)
    world.stored("dddddddd", NOON + 3 * HOUR)
    sign = NOON + 2.5 * HOUR
    chosen, why = choice(world, sign)
    assert chosen == "bbbbbbbb"
    assert "no drill has tested this point" in why
    assert "cccccccc (incomplete)" in why
    world.after(minutes=1)
    world.drilled(point="bbbbbbbb", result=DrillResult.PASSED)
    assert choice(world, sign)[1].endswith("; a drill of this point passed")
    world.after(minutes=1)
    world.drilled(point="bbbbbbbb", result=DrillResult.INCONCLUSIVE)
    world.after(minutes=1)
    world.drilled(point="bbbbbbbb", result=DrillResult.FAILED, scenario=PARTIAL_DRILL)
    assert choice(world, sign)[0] == "bbbbbbbb"
    world.after(minutes=1)
    world.drilled(point="bbbbbbbb", result=DrillResult.FAILED)
    chosen, why = choice(world, sign)
    assert chosen == "aaaaaaaa"
    assert "bbbbbbbb (a drill failed; to see why: drd run show" in why


def test_data_of_the_very_moment_of_the_sign_is_not_clean(world: World) -> None:
    world.stored("aaaaaaaa", NOON)
    assert choice(world, NOON)[0] is None
    assert choice(world, NOON + timedelta(seconds=1))[0] == "aaaaaaaa"


def test_a_backup_that_went_on_after_the_sign_is_not_clean(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON)
    late = replace(point.components[1], data_time=NOON + HOUR)
    world.catalogue.points.record(replace(point, components=(point.components[0], late)))
    found = clean_points(world.catalogue, "shop", NOON + HOUR, NOON + 2 * HOUR)
    assert found.choice is None
    assert found.why == "the only restore point of shop has data from after the first sign"


def test_files_can_be_as_new_as_the_end_of_their_backup(world: World) -> None:
    point = world.stored("aaaaaaaa", NOON)
    minute = tuple(replace(row, duration_s=60.0) for row in point.components)
    files = replace(point, components=minute)
    world.catalogue.points.record(files)
    assert choice(world, NOON + timedelta(seconds=30))[0] is None
    assert choice(world, NOON + timedelta(seconds=61))[0] == "aaaaaaaa"
    frozen = replace(files, components=tuple(replace(row, kind="sqlite") for row in minute))
    assert data_until(frozen, lambda kind: kind == "sqlite") == NOON
    unknown = replace(point, available_at=NOON + HOUR)  # how long it took
    assert data_until(unknown, lambda _: False) == NOON + HOUR


def test_without_a_clean_point_the_reason_and_a_remedy_are_given(world: World) -> None:
    none = clean_points(world.catalogue, "shop", NOON, NOON)
    assert none.why == "drd does not know any restore point of shop"
    world.stored("aaaaaaaa", NOON, complete=False)
    found = clean_points(world.catalogue, "shop", NOON + HOUR, NOON + HOUR)
    with pytest.raises(NoRestorePoint, match="incident 3 has no clean restore point") as refused:
        require_clean(found, 3)
    assert (
        "before the first sign, but this point is not sound: aaaaaaaa (incomplete)"
        in refused.value.message
    )
    assert "drd recover shop --point aaaaaaaa" in refused.value.hint


def test_loss_and_changes_are_told_for_the_points_nearest_to_the_sign(world: World) -> None:
    world.clock.at = NOON + 60 * HOUR
    for number in range(30):
        world.stored(f"{number:08x}", NOON + number * HOUR)
    found = clean_points(world.catalogue, "shop", NOON + 25.5 * HOUR, world.clock.now())
    told = described(world.catalogue, found, world.clock.now())
    ids = [one.of.point.id for one in told]
    assert ids == [f"{number:08x}" for number in range(29, 15, -1)]
    everything = described(world.catalogue, found, world.clock.now(), everything=True)
    assert len(everything) == 30
    assert everything[-1].compared is None
    assert told[4].of.point.id == "00000019"
    assert told[4].loss_s == 35 * 3600
    assert told[4].compared == "00000018"
    assert told[4].uncounted == ("conf", "data")  # these rows have no fingerprint
    assert told[4].changes.unknown == (
        "conf: drd does not have two fingerprints to compare",
        "data: drd does not have two fingerprints to compare",
    )


def test_the_loss_says_in_words_what_drd_cannot_count() -> None:
    def words(rows: int, *, is_counted: bool) -> str:
        loss = {"component": "db", "rows": rows, "counted": is_counted}
        return loss_words({"loss_s": 60.0, "loss_rows": [loss], "rows_unknown": []})

    assert words(3, is_counted=True) == "1m, at least 3 rows of db"
    assert words(0, is_counted=True) == "1m, unknown number of changed rows of db"
    assert words(0, is_counted=False) == "1m", "the estimate expects no new rows"


# --- what changed unusually ---


def point(seen: Fingerprint | None, *, size: int = 100, name: str = "db") -> RestorePoint:
    row = ComponentSnapshot(name, "x", "captured", NOON, "s", size, fingerprint=seen)
    return RestorePoint("p1", "shop", NOON, NOON, True, "", (row,))


def database(**rows: int) -> DatabaseFingerprint:
    return DatabaseFingerprint("counts", {name: TableState(count) for name, count in rows.items()})


def tree(files: int, digest: str = "a", first: int = 0) -> TreeFingerprint:
    entry = FileEntry("file", 0o644, 0, 0, 1, digest)
    return TreeFingerprint({f"/srv/{n:03}": entry for n in range(first, first + files)})


def unusual(old: RestorePoint, new: RestorePoint) -> tuple[str, ...]:
    return changes(old, new).unusual


def test_tables_that_are_gone_emptied_or_much_smaller_are_unusual() -> None:
    old = database(orders=1000, log=100, people=500, few=4, grew=20, gone=3)
    new = database(orders=400, log=120, people=0, few=2, grew=90)
    assert unusual(point(old), point(new)) == (
        "db: 1 table or view is gone: gone",
        "db: table grew grew from 20 to 90 rows",
        "db: table orders shrank from 1,000 to 400 rows",
        "db: table people was emptied: 500 rows before",
    )
    assert unusual(point(old), point(old)) == ()


def test_files_that_are_gone_or_nearly_all_changed_are_unusual() -> None:
    assert unusual(point(tree(40)), point(tree(40, "b"))) == ("db: 40 of 40 files changed",)
    assert unusual(point(tree(40)), point(tree(39, first=1))) == (
        "db: 1 of 40 files is gone: /srv/000",
    )
    assert unusual(point(tree(20)), point(tree(50))) == ("db: 30 new files, 20 files before",)


def test_sizes_and_lost_components_are_unusual_and_names_are_escaped() -> None:
    old, new = point(None, size=8 << 20), point(None, size=1 << 20)
    found = changes(old, new)
    assert found.unusual == ("db: shrank from 8.0 MiB to 1.0 MiB",)
    assert found.unknown == ("db: drd does not have two fingerprints to compare",)
    assert unusual(point(database(t=1)), point(database(t=1), name="other")) == (
        "db: this component is not in the restore point any more",
    )
    [told] = unusual(point(database(**{"a\x1b[31m": 5})), point(database()))
    assert "\x1b" not in told


# --- what has to be secured again ---


def test_a_rotation_counts_from_the_first_sign_and_can_be_withdrawn() -> None:
    made, stripe, mail = Response(), Credential("stripe"), Credential("mail")
    made.say(kinds.ROTATED, credential="stripe", plans=["shop"], at=before(3))
    late = made.say(kinds.ROTATED, credential="mail", plans=["shop"], at=before(1))

    def left(plan: str = "shop") -> tuple[Credential, ...]:
        return known_to_attacker((stripe, mail), plan, rotations(made.entries), OPENED - 2 * HOUR)

    assert left() == (stripe,)
    assert left("billing") == (stripe, mail)
    made.say(kinds.ROTATED, entry=late.seq, reason="the old one works")
    assert left() == (stripe, mail)
    assert [line.text for line in timeline(fold(1, made.entries), made.entries)][1:] == [
        "credential stripe of shop was rotated",
        "credential mail of shop was rotated",
        f"entry {late.seq} withdrawn, the credential was not rotated: the old one works",
    ]


APPROVAL = Step("re-secure", "approve")
AROUND = Circumstances("database-loss", "standby")


def order(*steps: Step) -> list[str]:
    return [step.name for step in inserted(steps, APPROVAL, AROUND)]


def test_the_approval_stands_before_the_step_that_lets_others_in() -> None:
    data, look = Step("data", "restore", ("db",)), Step("look", "check", ("rows",))
    serve, dns = Step("serve", "start"), Step("dns", "command", rehearse="skip")
    traffic = Step("move-traffic", "command", needs=("look",))
    tell = Step("tell", "notify", rehearse="skip")
    assert order(data, look) == ["data", "look", "re-secure"]
    assert order(data, look, serve, tell) == ["data", "look", "serve", "tell", "re-secure"]
    assert order(data, look, serve, dns) == ["data", "look", "serve", "re-secure", "dns"]
    assert order(data, dns, traffic) == ["data", "dns", "re-secure", "move-traffic"]
    assert inserted((data, traffic), APPROVAL, AROUND)[-1].needs == ("look", "re-secure")
    elsewhere = replace(dns, when=When(targets=("other",)))
    assert order(data, elsewhere) == ["data", "dns", "re-secure"]
    first, second = replace(serve, group="g"), replace(dns, group="g")
    assert order(data, first, second) == ["data", "re-secure", "serve", "dns"]
    assert order(dns, data) == ["dns", "data", "re-secure"]
    archive = Step("archive", "restore", ("files",))
    opens = [data, Step("open-traffic", "command"), archive]
    assert order(*opens) == ["data", "re-secure", "open-traffic", "archive"]
    assert order(data, dns, archive) == ["data", "dns", "archive", "re-secure"]


def test_the_approval_also_stands_in_a_recovery_of_one_component(tmp_path: Path) -> None:
    world = World(tmp_path, copies=False, more="credentials: [{name: stripe}]\n")
    try:
        world.stored("aaaaaaaa", NOON)
        author = Author("anna", NOON + HOUR, ANNA)
        opened = open_incident(
            world.catalogue, author, "x", plans=["shop"], severity="", restricted=False
        )
        asked = {"point": "aaaaaaaa", "components": ("conf",)}
        planned = world.recovery(**asked, clean_for=opened.number)
        last = planned.plan.runbook[-1]
        assert (last.name, planned.left_out(last)) == ("re-secure", None)
        assert "stripe (no playbook)" in str(last.settings)
        for into, wanted in ((None, True), ("beside", False)):
            part = Part(paths=("/etc/app.conf",), into=into)
            request = RecoveryRequest("standby", part=part, clean_for=opened.number)
            found = with_approval(
                world.services,
                world.plan,
                request,
                ["conf"],
                point=planned.point,
                around=AROUND,
                run=None,
            )
            assert ("re-secure" in {step.name for step in found.runbook}) is wanted
        assert "re-secure" not in {step.name for step in world.recovery(**asked).plan.runbook}
    finally:
        world.close()
