"""Which fence held: what is said where a part of it cannot be had."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from drd.errors import SandboxUnavailable
from drd.fence import available
from drd.fence.name_lookup import Names, question
from drd.fence.record import plain
from drd.fence.spec import Spec
from drd.flows.components.fence import drill_fences, report
from drd.model.drill_readiness import of_fence
from drd.model.fencing import PARTS, FenceReport, RefusedAccess, limits_in_words
from drd.model.plan import DrillPolicy
from drd.process.fence import _parts_around, refused_hint

TRIED = RefusedAccess("app", "tcp", "203.0.113.5:25")
WHY = "the kernel has Landlock version 4; drd needs version 6 (Linux 6.12)"


@pytest.fixture
def old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    found = available.FenceParts(("files", "calls", "network"), {"signals": WHY}, 4)
    monkeypatch.setattr(available, "detect", lambda: found)


def plan(**policy: Any) -> Any:
    return SimpleNamespace(name="shop", drill=DrillPolicy(**policy), repositories={})


def services(tmp_path: Any) -> Any:
    return SimpleNamespace(work_dir=tmp_path, is_root=False, private=())


def test_limits_say_what_bounds_the_memory() -> None:
    assert limits_in_words("cgroup") == "memory and processes limited by a control group"
    assert "only per process" in limits_in_words("rlimits")


def test_a_fence_says_what_a_drill_could_not_use_of_the_host() -> None:
    whole = "files, signals to processes, dangerous system calls, network (memory and processes "
    assert FenceReport(PARTS, limits="cgroup").words() == f"{whole}limited by a control group)"


def test_required_fence_refuses_where_a_part_is_missing(old_kernel: None, tmp_path: Any) -> None:
    wanted = plan(fence="required")
    with (
        pytest.raises(
            SandboxUnavailable, match="signals: the kernel has Landlock version 4"
        ) as refused,
        drill_fences(services(tmp_path), wanted),
    ):
        pass
    assert "fence: best" in str(refused.value.hint)


def test_best_fence_takes_the_rest_and_names_what_is_missing(
    old_kernel: None, tmp_path: Any
) -> None:
    with drill_fences(services(tmp_path), plan()) as box:
        found = report(box, plan(reach=("a:1",)))
    assert found.held == ("files", "calls", "network")
    assert found.missing == {"signals": WHY}
    assert "missing: signals: the kernel has Landlock version 4" in found.words()
    assert FenceReport.from_json(found.to_json()) == found


def test_drill_without_any_part_says_that_it_ran_unfenced() -> None:
    found = FenceReport(
        (), dict.fromkeys(available.PARTS, "no"), tried=(RefusedAccess("a", "tcp", "b:1"),)
    )
    assert found.words().startswith("unfenced: files: no")
    assert FenceReport.from_json(found.to_json()) == found
    assert not found.is_complete
    assert replace(found, held=available.PARTS, missing={}).is_complete


def test_closed_places_are_left_out_of_what_may_be_read(tmp_path: Any) -> None:
    for name in ("a/b", "a/c", "d"):
        (tmp_path / name).mkdir(parents=True)
    left = _parts_around(str(tmp_path), (str(tmp_path / "a/b"),))
    assert sorted(left) == [str(tmp_path / "a/c"), str(tmp_path / "d")]
    assert _parts_around(str(tmp_path / "a/b"), (str(tmp_path / "a"),)) == []
    assert _parts_around(str(tmp_path), ()) == [str(tmp_path)]


def test_refusals_come_with_the_keys_that_help() -> None:
    assert "drill: {read:" in refused_hint("cat: /srv/x: Permission denied")
    assert "reach:" in refused_hint("connect: Network is unreachable")
    assert refused_hint("no such column") == ""


def test_output_of_a_process_is_printed_without_control_characters_and_shortened() -> None:
    assert plain("a\x1b[2Jb\nc" + "x" * 999) == ("a?[2Jb?c" + "x" * 999)[:300]


QUERY = (
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    b"\x04mail\x07example\x03org\x00\x00\x01\x00\x01"
)


def test_question_of_a_resolver_is_read_and_nonsense_is_none() -> None:
    assert question(QUERY) == ("mail.example.org", 1, len(QUERY))
    for cut in range(len(QUERY) - 4):
        assert question(QUERY[:cut]) is None
    assert question(b"\xff" * 40) is None


def test_declared_names_are_answered_and_others_refused() -> None:
    tried: list[tuple[str, ...]] = []
    record: Any = SimpleNamespace(tried=lambda *what: tried.append(what))
    names = Names(record, {"mail.example.org": (bytes((192, 0, 2, 7)),)})
    answer = names.answer(QUERY)
    assert answer is not None
    assert answer.endswith(bytes((0, 4, 192, 0, 2, 7)))
    assert tried == []
    other = Names(record, {}).answer(QUERY)
    assert other is not None
    assert other[3] & 0xF == 5
    assert tried == [("dns", "mail.example.org")]


def test_spec_comes_back_as_it_was_given() -> None:
    given: dict[str, Any] = dict.fromkeys(Spec.__annotations__)
    given |= {"argv": ("x", "ü"), "reach": (("192.0.2.1", 5, "a"),), "user": (1, 2, (3,))}
    assert Spec.from_arguments(Spec(**given).to_arguments()).__dict__ == given
    given["reads"] = tuple(f"/srv/{n}" for n in range(20_000))  # in arguments that exec takes
    arguments = Spec(**given).to_arguments()
    assert max(map(len, arguments)) < 1 << 17
    assert Spec.from_arguments(arguments).__dict__ == given


def test_readiness_repeats_what_the_last_drill_tried_and_missed() -> None:
    tried = FenceReport(("files",), {"network": WHY}, "rlimits", ("app",), tried=(TRIED,))
    last: Any = SimpleNamespace(target=None, fence=tried)
    missing, reach = of_fence(SimpleNamespace(file="shop.yaml"), [last])  # type: ignore[arg-type]
    assert (missing.finding.severity, reach.finding.severity) == ("warning", "warning")
    assert "app: tcp 203.0.113.5:25" in reach.finding.text
    assert "reach" in reach.finding.remedy
    unfenced: Any = SimpleNamespace(target=None, fence=replace(tried, held=(), tried=()))
    [said] = of_fence(SimpleNamespace(file="shop.yaml"), [unfenced])  # type: ignore[arg-type]
    assert "ran without a fence" in said.finding.text
    whole: Any = SimpleNamespace(target=None, fence=replace(tried, missing={}, tried=()))
    assert of_fence(SimpleNamespace(file="shop.yaml"), [whole]) == []  # type: ignore[arg-type]


def test_a_drill_with_a_part_of_the_fence_is_told_apart_from_one_without_a_fence() -> None:
    part = FenceReport(("files",), {"network": WHY}, "rlimits", ("app",))
    last: Any = SimpleNamespace(target=None, fence=part)
    [said] = of_fence(SimpleNamespace(file="shop.yaml"), [last])  # type: ignore[arg-type]
    assert said.finding.text.startswith("the last drill ran with only a part of the fence: ")


def test_only_the_last_drill_in_a_sandbox_tells_of_its_fence() -> None:
    part = FenceReport(("files",), {"network": WHY}, "rlimits", ("app",), tried=(TRIED,))
    without, target = (
        SimpleNamespace(target=None, fence=None),
        SimpleNamespace(target="standby", fence=part),
    )
    plan: Any = SimpleNamespace(file="shop.yaml")
    evidence: Any
    for evidence in ([], [without], [target], [without, SimpleNamespace(target=None, fence=part)]):
        assert of_fence(plan, evidence) == []
    evidence = [target, SimpleNamespace(target=None, fence=part)]
    assert len(of_fence(plan, evidence)) == 2
