"""What every kind of component promises: out of a source, into a sandbox or a target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.errors import DrdError, NotSupported, SourceError, TargetNotEmpty, UsageError
from drd.model.manifest import component
from drd.model.part import Part
from drd.model.snapshot import (
    ComponentSnapshot,
    DatabaseFingerprint,
    Fingerprint,
)
from drd.ports import Destination, Holds, RestoreOptions, Workplace, no_progress
from tests.contracts.kind_rigs import RIGS, KindRig
from tests.restic_support import Restic, captured, place


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, short_tmp: Path) -> KindRig:
    directory = short_tmp / "rig"
    directory.mkdir()
    return RIGS[request.param](request, directory)


@pytest.fixture(scope="module")
def restic(tmp_path_factory: pytest.TempPathFactory) -> Restic:
    return Restic(tmp_path_factory.mktemp("restic"))


@pytest.fixture
def work(short_tmp: Path) -> Workplace:
    return place(short_tmp / "w")


def back_up(rig: KindRig, restic: Restic, work: Workplace) -> ComponentSnapshot:
    source = rig.kind.source(rig.component, work)
    source.probe()
    with source.open() as capture:
        return captured(rig.component.name, rig.kind.spec.name, capture, restic)


def restore_components(
    destination: Destination,
    snapshot: ComponentSnapshot,
    restic: Restic,
    *,
    overwrite: bool = False,
) -> None:
    assert not any(f.failed for f in destination.preflight(snapshot, overwrite=overwrite))
    destination.prepare()
    restic.restore(str(snapshot.snapshot), destination.landing())
    destination.restore(snapshot, restic.private[str(snapshot.snapshot)], on_progress=no_progress)


def target_of(rig: KindRig, work: Workplace) -> Destination:
    return rig.kind.target(rig.component, rig.target(), work)


@contextmanager
def sandbox_of(rig: KindRig, snapshot: ComponentSnapshot, work: Workplace) -> Iterator[Destination]:
    destination = rig.kind.sandbox(rig.component, snapshot, work)
    try:
        yield destination
    finally:
        destination.close()


def contents(fingerprint: Fingerprint | None) -> object:
    """What must be the same after a round trip."""
    assert fingerprint is not None
    assert not fingerprint.not_reached
    if isinstance(fingerprint, DatabaseFingerprint):
        return fingerprint.tables
    return fingerprint.entries


def test_a_healthy_source_has_no_bad_finding(rig: KindRig, work: Workplace) -> None:
    findings = rig.kind.source(rig.component, work).doctor()
    assert findings
    assert [f for f in findings if f.failed] == []
    assert not any(f.failed for f in rig.kind.sandbox_findings(rig.component, work))


def test_a_source_that_is_not_there_is_said_with_a_remedy(rig: KindRig, work: Workplace) -> None:
    source = rig.kind.source(rig.unreadable(), work)
    with pytest.raises(SourceError) as caught:
        source.probe()
    assert caught.value.hint
    (finding,) = [f for f in source.doctor() if f.failed]
    assert finding.remedy


def test_the_data_time_is_the_instant_of_the_state(rig: KindRig, work: Workplace) -> None:
    before = datetime.now(UTC)
    with rig.kind.source(rig.component, work).open() as capture:
        assert before <= capture.data_time <= datetime.now(UTC)


def test_a_capture_leaves_nothing_behind(rig: KindRig, work: Workplace) -> None:
    with rig.kind.source(rig.component, work).open():
        pass
    assert list(work.directory.iterdir()) == []


def test_a_capture_that_breaks_off_leaves_nothing_behind(rig: KindRig, work: Workplace) -> None:
    def breaks_off() -> None:
        with rig.kind.source(rig.component, work).open() as capture:
            capture.fingerprint()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    assert list(work.directory.iterdir()) == []


def test_what_a_snapshot_says_survives_json(rig: KindRig, restic: Restic, work: Workplace) -> None:
    snapshot = back_up(rig, restic, work)
    assert component(json.loads(json.dumps(snapshot.to_json())), "here") == snapshot


def test_queries_are_answered_from_the_captured_state(rig: KindRig, work: Workplace) -> None:
    known = rig.query()
    if known is None:
        pytest.skip("this kind answers no queries")
    query, answer = known
    with rig.kind.source(rig.component, work).open() as capture:
        assert capture.observe({"n": query, "bad": "selekt 1"}) == {"n": answer}


def test_a_sandbox_holds_what_the_source_held_although_that_is_gone(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    rig.lose_source()
    with sandbox_of(rig, snapshot, work) as sandbox:
        restore_components(sandbox, snapshot, restic)
        inspector = sandbox.inspector()
        assert snapshot.fingerprint is not None
        now = inspector.fingerprint(snapshot.fingerprint, 60)
        assert contents(now) == contents(snapshot.fingerprint)
        assert str(work.directory) in inspector.location or inspector.environment
        known = rig.query()
        if known is None:
            with pytest.raises(NotSupported):
                inspector.scalar("select 1")
        else:
            assert inspector.scalar(known[0]) == known[1]
    assert list(work.directory.iterdir()) == []


def test_a_query_that_fails_is_told_in_the_databases_words(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    if rig.query() is None:
        pytest.skip("this kind answers no queries")
    snapshot = back_up(rig, restic, work)
    with sandbox_of(rig, snapshot, work) as sandbox:
        restore_components(sandbox, snapshot, restic)
        for query in ("select * from nowhere", "select 1, 2", "select 1 union select 2"):
            with pytest.raises(SourceError):
                sandbox.inspector().scalar(query)


def test_a_target_comes_back_by_the_same_code(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    target = target_of(rig, work)
    restore_components(target, snapshot, restic)
    target.close()
    assert snapshot.fingerprint is not None
    now = target.inspector().fingerprint(snapshot.fingerprint, 60)
    assert contents(now) == contents(snapshot.fingerprint)
    assert rig.left_beside_target() == []


def test_a_target_that_holds_something_is_refused_untouched(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    rig.fill_target()
    with pytest.raises(TargetNotEmpty) as caught:
        target_of(rig, work).preflight(snapshot, overwrite=False)
    assert "--overwrite" in caught.value.hint
    assert rig.left_beside_target() == []


def test_a_target_filled_after_the_preflight_is_not_overwritten(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    target = target_of(rig, work)
    target.preflight(snapshot, overwrite=False)
    restic.restore(str(snapshot.snapshot), target.landing())
    rig.fill_target()
    with pytest.raises(TargetNotEmpty):
        target.restore(snapshot, restic.private[str(snapshot.snapshot)], on_progress=no_progress)


def test_what_is_replaced_is_kept_comes_back_and_goes(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    rig.fill_target()
    target = rig.kind.target(rig.component, rig.target(), work, RestoreOptions(keep=True))
    restore_components(target, snapshot, restic, overwrite=True)
    target.close()
    kept = rig.kind.kept(rig.component, rig.target(), snapshot, work.run)
    (aside,) = kept.held()
    assert aside.former
    assert rig.left_beside_target()
    kept.swap(back=True)
    assert [a.former for a in kept.held()] == [False]
    # Another run finds what was there before.
    other = replace(work, run="other", directory=work.directory / "other")
    other.directory.mkdir(mode=0o711)
    with pytest.raises(TargetNotEmpty):
        target_of(rig, other).preflight(snapshot, overwrite=False)
    kept.swap(back=False)
    kept.discard()
    assert kept.held() == []
    kept.close()
    assert rig.left_beside_target() == []
    again = target_of(rig, work)
    assert contents(again.inspector().fingerprint(_of(snapshot), 60)) == contents(_of(snapshot))
    again.close()


def _of(snapshot: ComponentSnapshot) -> Fingerprint:
    assert snapshot.fingerprint is not None
    return snapshot.fingerprint


def test_overwrite_replaces_a_target_whole(rig: KindRig, restic: Restic, work: Workplace) -> None:
    snapshot = back_up(rig, restic, work)
    rig.fill_target()
    target = target_of(rig, work)
    restore_components(target, snapshot, restic, overwrite=True)
    assert snapshot.fingerprint is not None
    now = target.inspector().fingerprint(snapshot.fingerprint, 60)
    assert contents(now) == contents(snapshot.fingerprint)
    assert rig.left_beside_target() == []


def test_a_finished_restore_can_be_run_again(rig: KindRig, restic: Restic, work: Workplace) -> None:
    snapshot = back_up(rig, restic, work)
    restore_components(target_of(rig, work), snapshot, restic)
    again = target_of(rig, work)
    restore_components(again, snapshot, restic)
    assert snapshot.fingerprint is not None
    now = again.inspector().fingerprint(snapshot.fingerprint, 60)
    assert contents(now) == contents(snapshot.fingerprint)
    assert rig.left_beside_target() == []


def test_a_restore_killed_after_the_fetch_goes_on_in_a_new_process(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    killed = target_of(rig, work)
    killed.preflight(snapshot, overwrite=False)
    restic.restore(str(snapshot.snapshot), killed.landing())
    restore_components(target_of(rig, work), snapshot, restic)
    assert rig.left_beside_target() == []


def test_a_sweep_removes_what_a_killed_recovery_left(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    killed = target_of(rig, work)
    killed.preflight(snapshot, overwrite=False)
    restic.restore(str(snapshot.snapshot), killed.landing())
    assert rig.kind.sweep(work.directory)
    assert rig.left_beside_target() == []
    assert not any(f.failed for f in target_of(rig, work).preflight(snapshot, overwrite=False))


def test_a_sweep_finds_nothing_where_nothing_was(rig: KindRig, work: Workplace) -> None:
    assert rig.kind.sweep(work.directory) == []


def test_what_came_back_damaged_is_never_published(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    target = target_of(rig, work)
    target.preflight(snapshot, overwrite=False)
    landing = target.landing()
    restic.restore(str(snapshot.snapshot), landing)
    rig.damage_landing(landing)
    with pytest.raises(DrdError):
        target.restore(snapshot, restic.private[str(snapshot.snapshot)], on_progress=no_progress)
    # Nothing stands at the target: it still counts as empty.
    rig.kind.sweep(work.directory)
    assert not any(f.failed for f in target_of(rig, work).preflight(snapshot, overwrite=False))


# --- single things ------------------------------------------------------------------------------


def test_the_whole_comes_back_beside_what_is_there(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    rig.fill_target()
    part = Part(into=rig.beside())
    destination = rig.kind.target(rig.component, rig.target(), work, RestoreOptions(part=part))
    assert rig.kind.narrow(snapshot, part) == (part, snapshot)
    try:
        restore_components(destination, snapshot, restic)
        assert snapshot.fingerprint is not None
        back = destination.inspector().fingerprint(snapshot.fingerprint, 60.0)
        assert contents(back) == contents(snapshot.fingerprint)
    finally:
        destination.close()
    with pytest.raises(TargetNotEmpty):
        target_of(rig, work).preflight(snapshot, overwrite=False)
    assert [n for n in rig.left_beside_target() if "drd" in n] == []


def test_what_is_live_can_be_compared_with_a_point(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    assert snapshot.fingerprint is not None
    live = rig.kind.live(rig.component, Part(into="x"), snapshot.fingerprint, 60.0)
    assert contents(live) == contents(snapshot.fingerprint)


def test_what_the_point_does_not_hold_cannot_be_asked_for(
    rig: KindRig, restic: Restic, work: Workplace
) -> None:
    snapshot = back_up(rig, restic, work)
    table, path = Part(("nowhere",), (), "x"), Part((), ("/nowhere",), "/x")
    mine, others = (path, table) if rig.kind.spec.holds is Holds.PATHS else (table, path)
    with pytest.raises(UsageError) as caught:
        rig.kind.narrow(snapshot, mine)
    assert caught.value.hint
    with pytest.raises(NotSupported):
        rig.kind.spec.require_part(others)
