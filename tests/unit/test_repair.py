"""The ways out of damage: what is repaired, given up, copied or backed up again."""

from __future__ import annotations

from collections.abc import Sequence

from drd.errors import Repair
from drd.model.repair import others_repair, repair_ways

AGAIN = "drd verify shop --repository primary"
FORGET = "drd points forget a b --repository primary --reason TEXT"


def ways(
    repair: Repair = "packs",
    affected: Sequence[str] | None = ("a", "b"),
    others: Sequence[str] = (),
    *,
    is_copy: bool = False,
) -> list[str]:
    found = repair_ways("shop", "primary", repair, affected, others, is_copy=is_copy)
    new = "new copies" if is_copy else "new backups"
    assert found[-1].startswith(
        f"until the repository is repaired, {new} may depend on the damaged data"
    )
    return found[:-1]


def test_the_repository_with_the_backups() -> None:
    repair, give_up = ways()
    assert "restic repair packs" in repair
    assert repair.endswith(f", then `drd backup shop`, then `{AGAIN}`")
    assert give_up.endswith(f": {FORGET}")


def test_another_repository_serves_until_then() -> None:
    until, _, give_up = ways(others=["offsite", "third"])
    assert until.endswith("recover with `drd recover shop … --repository offsite`")
    assert FORGET in give_up


def test_a_copy_is_copied_again() -> None:
    repair, give_up = ways(is_copy=True)
    assert repair.endswith(f", then `drd copy shop --repository primary`, then `{AGAIN}`")
    assert "points forget" not in repair
    assert FORGET in give_up
    until, repair = ways(is_copy=True, others=["offsite"])
    assert until.endswith("recover with `drd recover shop … --repository offsite`")
    assert f", then `{FORGET}`, then `drd copy shop --repository primary`, then" in repair


def test_damage_that_restic_cannot_repair_is_mended_by_a_new_backup() -> None:
    repair, _ = ways("none")
    assert "restic" not in repair
    assert repair.endswith(f"`drd backup shop`, then `{AGAIN}`")


def test_unknown_or_no_points_are_not_given_up() -> None:
    for affected in (None, ()):
        [repair] = ways(affected=affected, others=["offsite"])
        assert "points forget" not in repair
    [repair] = ways(affected=None, others=["offsite"], is_copy=True)
    assert "points forget POINT --repository" in repair


def test_a_command_names_five_points() -> None:
    _, give_up = ways(affected=["a", "b", "c", "d", "e", "f"])
    assert "forget a b c d e --repository" in give_up


def test_copies_of_another_tool_are_made_again_by_it() -> None:
    new_copy = f"let the other tool make a new copy, then `{AGAIN}`"
    shows = "to see whether a copy can be restored: drd drill shop --point POINT"
    of_restic = others_repair("shop", "primary", "packs", "see its log", ("a",))
    [repair, *rest] = of_restic
    assert repair.startswith("repair the repository with `restic repair packs`")
    assert rest == [new_copy, shows]
    assert others_repair("shop", "primary", "none", "see its log", ()) == [new_copy]
    assert others_repair("shop", "primary", None, "see its log", None) == [
        "see its log",
        new_copy,
        shows,
    ]
    assert others_repair("shop", "primary", None, "", ()) == [new_copy]
