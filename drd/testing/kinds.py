"""What every kind of component promises: out of a source, into a sandbox or a target.

Who makes a kind derives a class from `KindContract`, gives it a fixture `rig`, and runs pytest:

    class TestNotes(KindContract):
        @pytest.fixture
        def rig(self, tmp_path: Path) -> KindRig:
            return NotesRig(tmp_path)

What the kind is not able to do (`KindSpec.can`) has to be refused with its name.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drd.errors import DrdError, NotSupported, SourceError, TargetNotEmpty, UsageError
from drd.model.log import LogTarget
from drd.model.manifest import component
from drd.model.single_item import Part
from drd.model.snapshot import (
    TreeFingerprint,
)
from drd.ports import (
    Ability,
    Holds,
    RestoreOptions,
    Workplace,
    no_progress,
)
from drd.ports.logs import ReplaysLog
from drd.testing.adopted import AdoptedContract
from drd.testing.rigs import (
    KindRig,
    assert_same,
    back_up,
    contents,
    refused,
    restore_components,
    sandbox_of,
    spec_of,
    target_of,
)
from drd.testing.snapshots import Snapshots, local_snapshots, workplace

__all__ = ["KindContract", "KindRig", "back_up", "restore_components"]


class KindContract(AdoptedContract):
    """The suite."""

    @pytest.fixture(scope="class")
    def restic(self, tmp_path_factory: pytest.TempPathFactory) -> Snapshots:
        """A repository of the real restic."""
        return local_snapshots(tmp_path_factory.mktemp("restic"))

    @pytest.fixture
    def work(self, tmp_path: Path) -> Workplace:
        return workplace(tmp_path / "w")

    def test_a_healthy_source_has_no_bad_finding(self, rig: KindRig, work: Workplace) -> None:
        findings = rig.kind.source(rig.component, work).doctor()
        assert findings
        assert [f for f in findings if f.failed] == []
        assert not any(f.failed for f in rig.kind.sandbox_findings(rig.component, work))

    def test_a_missing_source_is_an_error_with_a_remedy(
        self, rig: KindRig, work: Workplace
    ) -> None:
        source = rig.kind.source(rig.unreadable(), work)
        with pytest.raises(SourceError) as caught:
            source.probe()
        assert caught.value.hint
        (finding,) = [f for f in source.doctor() if f.failed]
        assert finding.remedy

    def test_the_data_time_is_the_instant_of_the_state(self, rig: KindRig, work: Workplace) -> None:
        before = datetime.now(UTC)
        with rig.kind.source(rig.component, work).open() as capture:
            assert before <= capture.data_time <= datetime.now(UTC)

    def test_a_capture_leaves_nothing_behind(self, rig: KindRig, work: Workplace) -> None:
        with rig.kind.source(rig.component, work).open():
            pass
        assert list(work.directory.iterdir()) == []

    def test_an_aborted_capture_leaves_nothing_behind(self, rig: KindRig, work: Workplace) -> None:
        def breaks_off() -> None:
            with rig.kind.source(rig.component, work).open() as capture:
                capture.fingerprint()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            breaks_off()
        assert list(work.directory.iterdir()) == []

    def test_facts_and_fingerprints_survive_json(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        assert component(json.loads(json.dumps(snapshot.to_json())), "here") == snapshot

    def test_queries_are_answered_from_the_captured_state(
        self, rig: KindRig, work: Workplace
    ) -> None:
        query, answer = rig.query() or ("select 1", None)
        expected = {"n": answer} if spec_of(rig).answers else {}
        with rig.kind.source(rig.component, work).open() as capture:
            assert capture.observe({"n": query, "bad": "selekt 1"}) == expected

    def test_a_sandbox_equals_the_lost_source(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        rig.lose_source()
        with sandbox_of(rig, snapshot, work) as sandbox:
            restore_components(sandbox, snapshot, restic)
            inspector = sandbox.inspector()
            assert_same(rig, inspector, snapshot)
            assert str(work.directory) in inspector.location or inspector.environment
            query, answer = rig.query() or ("select 1", None)
            if spec_of(rig).answers:
                assert inspector.scalar(query) == answer
            else:
                with pytest.raises(NotSupported):
                    inspector.scalar(query)
            if Ability.SQL not in spec_of(rig).can:
                with pytest.raises(NotSupported):
                    inspector.execute("delete from t", timeout_s=60.0)
        assert list(work.directory.iterdir()) == []

    def test_a_failing_query_is_reported_in_the_databases_words(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        answers = spec_of(rig).answers
        with sandbox_of(rig, snapshot, work) as sandbox:
            restore_components(sandbox, snapshot, restic)
            for query in ("select * from nowhere", "select 1, 2", "select 1 union select 2"):
                with pytest.raises(SourceError if answers else NotSupported):
                    sandbox.inspector().scalar(query)

    def test_a_target_is_restored_by_the_same_code(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        target = target_of(rig, work)
        restore_components(target, snapshot, restic)
        assert target.now_at(snapshot).places == target.writes(snapshot) != ()
        assert all(task.code and task.text for task in target.left_to_do(snapshot))
        assert target.in_use(snapshot) == []
        target.close()
        assert_same(rig, target.inspector(), snapshot)
        assert rig.left_beside_target() == []

    def test_a_filled_target_is_refused_untouched(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        rig.fill_target()
        with pytest.raises(TargetNotEmpty) as caught:
            target_of(rig, work).preflight(snapshot, overwrite=False)
        assert "--overwrite" in caught.value.hint
        assert rig.left_beside_target() == []

    def test_a_target_filled_after_the_preflight_is_not_overwritten(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        target = target_of(rig, work)
        target.preflight(snapshot, overwrite=False)
        restic.restore(str(snapshot.snapshot), target.landing())
        rig.fill_target()
        with pytest.raises(TargetNotEmpty):
            target.restore(
                snapshot, restic.private[str(snapshot.snapshot)], on_progress=no_progress
            )

    def test_replaced_data_is_kept_restored_and_removed(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        if Ability.KEEP not in spec_of(rig).can:
            with refused(rig, Ability.KEEP):
                rig.kind.kept_copies(rig.component, rig.target(), snapshot, work)
            return
        rig.fill_target()
        target = rig.kind.target(rig.component, rig.target(), work, RestoreOptions(keep=True))
        restore_components(target, snapshot, restic, overwrite=True)
        target.close()
        kept = rig.kind.kept_copies(rig.component, rig.target(), snapshot, work)
        (aside,) = kept.held()
        assert aside.former
        assert rig.left_beside_target()
        kept.require_exchangeable(back=True)
        assert kept.held() == [aside]
        kept.swap(back=True)
        kept.require_exchangeable(back=True)
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
        assert_same(rig, again.inspector(), snapshot)
        again.close()

    def test_overwrite_replaces_a_target_completely(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        rig.fill_target()
        target = target_of(rig, work)
        restore_components(target, snapshot, restic, overwrite=True)
        assert_same(rig, target.inspector(), snapshot)
        assert rig.left_beside_target() == []

    def test_a_finished_restore_can_be_run_again(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        restore_components(target_of(rig, work), snapshot, restic)
        again = target_of(rig, work)
        restore_components(again, snapshot, restic)
        assert_same(rig, again.inspector(), snapshot)
        assert rig.left_beside_target() == []

    def test_a_restore_killed_after_the_fetch_continues(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        killed = target_of(rig, work)
        killed.preflight(snapshot, overwrite=False)
        restic.restore(str(snapshot.snapshot), killed.landing())
        restore_components(target_of(rig, work), snapshot, restic)
        assert rig.left_beside_target() == []

    def test_a_sweep_removes_what_a_killed_recovery_left(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        killed = target_of(rig, work)
        killed.preflight(snapshot, overwrite=False)
        restic.restore(str(snapshot.snapshot), killed.landing())
        assert rig.kind.sweep(work.directory)
        assert rig.left_beside_target() == []
        assert not any(f.failed for f in target_of(rig, work).preflight(snapshot, overwrite=False))

    def test_a_sweep_finds_nothing_where_nothing_was(self, rig: KindRig, work: Workplace) -> None:
        assert rig.kind.sweep(work.directory) == []

    def test_damaged_data_is_never_published(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        target = target_of(rig, work)
        target.preflight(snapshot, overwrite=False)
        landing = target.landing()
        restic.restore(str(snapshot.snapshot), landing)
        rig.damage_landing(landing)
        with pytest.raises(DrdError):
            target.restore(
                snapshot, restic.private[str(snapshot.snapshot)], on_progress=no_progress
            )
        # Nothing stands at the target: it still counts as empty.
        rig.kind.sweep(work.directory)
        assert not any(f.failed for f in target_of(rig, work).preflight(snapshot, overwrite=False))

    def test_a_component_is_restored_beside_existing_data(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        if Ability.BESIDE not in spec_of(rig).can:
            with refused(rig, Ability.BESIDE):
                spec_of(rig).require_part(Part(into="x"))
            return
        rig.fill_target()
        part = Part(into=rig.beside())
        destination = rig.kind.target(rig.component, rig.target(), work, RestoreOptions(part=part))
        assert rig.kind.narrow(snapshot, part) == (part, snapshot)
        try:
            restore_components(destination, snapshot, restic)
            assert_same(rig, destination.inspector(), snapshot)
        finally:
            destination.close()
        with pytest.raises(TargetNotEmpty):
            target_of(rig, work).preflight(snapshot, overwrite=False)
        assert [n for n in rig.left_beside_target() if "drd" in n] == []

    def test_live_data_can_be_compared_with_a_point(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        like = snapshot.fingerprint or TreeFingerprint()
        if Ability.LIVE not in spec_of(rig).can:
            with refused(rig, Ability.LIVE):
                rig.kind.live(rig.component, Part(into="x"), like, 60.0)
            return
        live = rig.kind.live(rig.component, Part(into="x"), like, 60.0)
        assert contents(live) == contents(like)

    def test_items_that_a_point_lists_can_be_named(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot, spec = back_up(rig, restic, work), spec_of(rig)
        if Ability.LIST not in spec.can:
            with refused(rig, Ability.LIST):
                rig.kind.contents(snapshot, None)
            return
        items = rig.kind.contents(snapshot, None).items
        assert items
        for item in items:
            assert rig.kind.contents(snapshot, item.name).items
            if item.kind in {"table", "file", "directory"} and Ability.PARTS in spec.can:
                one = (item.name,)
                part = Part((), one) if spec.holds is Holds.PATHS else Part(one, (), "beside")
                assert rig.kind.narrow(snapshot, part)[0].names == one
        with pytest.raises(UsageError) as caught:
            rig.kind.contents(snapshot, "/nowhere")
        assert caught.value.hint

    def test_items_missing_from_the_point_are_refused(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        snapshot = back_up(rig, restic, work)
        table, path = Part(("nowhere",), (), "x"), Part((), ("/nowhere",), "/x")
        for part in (table, path):
            if Ability.PARTS in spec_of(rig).can and spec_of(rig).has(part):
                with pytest.raises(UsageError) as caught:
                    rig.kind.narrow(snapshot, part)
                assert caught.value.hint
            else:
                with refused(rig, Ability.PARTS):
                    spec_of(rig).require_part(part)

    def test_the_log_of_a_server_leads_on_from_its_copies(
        self, rig: KindRig, restic: Snapshots, work: Workplace
    ) -> None:
        kind, spec = rig.kind, rig.kind.spec
        if Ability.LOG not in spec.can:
            assert not spec.log_key
            with refused(rig, Ability.LOG):
                kind.log(rig.component)
            return
        assert spec.log(rig.component.settings) is None
        assert Ability.LOG in spec_of(rig).remedies
        assert spec.log_key in spec.settings.model_fields
        assert spec.log_key in spec.keys
        with sandbox_of(rig, back_up(rig, restic, work), work) as destination:
            assert isinstance(destination, ReplaysLog)
        assert isinstance(target_of(rig, work), ReplaysLog)
        for position in (7 << 40 | 1234, 3 << 32 | 77):
            assert kind.log_target(kind.log_place(position)) == LogTarget(position=position)
        for time in ("2026-11-25", "12:00:05", "2h", "2026-11-25T12:00:05Z"):
            assert kind.log_target(time) is None
