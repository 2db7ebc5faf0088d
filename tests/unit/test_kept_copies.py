"""What was set aside comes back, and goes away again, whenever drd dies in between."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drd.errors import TargetError
from drd.kinds import kept_files
from drd.kinds.kept_files import Beside, KeptPlaces, ReplacedPath, Within
from drd.kinds.sqlite import open_by
from drd.process.open_files import FileUser
from tests.death_support import Died, every_death

MARK = "drd_4f2a1c3e"


def beside(base: Path) -> ReplacedPath:
    """A file with a companion, replaced by one with another."""
    base.mkdir()
    place = Beside(base / "shop.db", MARK, ("-wal", "-shm"))
    for name, text in (("", "old"), ("-wal", "old wal")):
        (base / f"shop.db.{MARK}_before{name}").write_text(text)
    for name, text in (("", "new"), ("-shm", "new shm")):
        (base / f"shop.db{name}").write_text(text)
    return place


def hidden(base: Path) -> ReplacedPath:
    """A directory where programs read all names."""
    base.mkdir()
    place = Beside(base / "main", MARK)
    room = base / f".{MARK}_aside"
    room.mkdir()
    (room / f"main.{MARK}_before").write_text("old")
    (base / "main").write_text("new")
    return place


def within(base: Path) -> ReplacedPath:
    """Two entries of a directory, replaced by others."""
    base.mkdir()
    place = Within(base, MARK)
    (base / "lost+found").mkdir()
    place.before.mkdir()
    for name in ("a", "b"):
        (place.before / name).write_text("old")
    for name in ("b", "c"):
        (base / name).write_text("new")
    return place


def seen(base: Path) -> dict[str, str]:
    """By name without what is kept: contents."""
    return {
        p.name: p.read_text() for p in base.iterdir() if p.is_file() and f"{MARK}_" not in p.name
    }


WAYS = {
    "beside": (
        beside,
        {"shop.db": "old", "shop.db-wal": "old wal"},
        {"shop.db": "new", "shop.db-shm": "new shm"},
    ),
    "hidden": (hidden, {"main": "old"}, {"main": "new"}),
    "within": (within, {"a": "old", "b": "old"}, {"b": "new", "c": "new"}),
}


@pytest.fixture(params=sorted(WAYS))
def way(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Callable[[Path], ReplacedPath], dict[str, str], dict[str, str]]:
    if request.param == "hidden":
        monkeypatch.setattr(kept_files, "READ_BY_NAME", (tmp_path,))
    return WAYS[request.param]  # type: ignore[return-value]


def test_kept_copies_can_be_exchanged_repeatedly(way, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make, old, new = way
    place = make(tmp_path / "t")
    kept = KeptPlaces("db", [place])
    assert [a.former for a in kept.held()] == [True]
    kept.swap(back=False)
    assert seen(tmp_path / "t") == new
    for _ in range(2):
        kept.swap(back=True)
        assert seen(tmp_path / "t") == old
    assert [a.former for a in kept.held()] == [False]
    kept.swap(back=False)
    assert seen(tmp_path / "t") == new
    kept.swap(back=True)
    kept.discard()
    kept.discard()
    assert seen(tmp_path / "t") == old
    assert kept.held() == []


@pytest.mark.parametrize("back", [True, False])
def test_a_killed_exchange_is_finished_by_the_same_call(way, tmp_path: Path, *, back: bool) -> None:  # type: ignore[no-untyped-def]
    make, old, new = way
    for death in every_death():
        base = tmp_path / f"d{death.effect}"
        kept = KeptPlaces("db", [make(base)])
        if not back:
            kept.swap(back=True)
        with suppress(Died), death.active():
            kept.swap(back=back)
        files = [p for p in base.rglob("*") if p.is_file()]
        assert len(files) == len(old) + len(new), "everything is still somewhere"
        kept.swap(back=back)
        assert seen(base) == (old if back else new), death.effect
        assert [a.former for a in kept.held()] == [not back]


def test_a_kept_copy_is_not_removed_while_the_place_is_empty(way, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make, old, new = way
    refused = 0
    for death in every_death():
        base = tmp_path / f"d{death.effect}"
        kept = KeptPlaces("db", [make(base)])
        with suppress(Died), death.active():
            kept.swap(back=True)
        try:
            kept.discard()
        except TargetError:
            refused += 1
            kept.swap(back=True)
            assert seen(base) == old
        else:
            assert seen(base) in (old, new), death.effect
    assert refused


def test_an_obstacle_to_an_exchange_is_named(tmp_path: Path) -> None:
    place = beside(tmp_path / "t")
    assert isinstance(place, Beside)
    place.after.write_text("somebody's")
    with pytest.raises(TargetError, match="exists already, in addition to") as caught:
        place.swap(back=True)
    assert caught.value.hint == (f"drd did not make {place.after}: move it away, then try again.")
    assert seen(tmp_path / "t")["shop.db"] == "new"


def test_a_missing_name_is_restored(tmp_path: Path) -> None:
    place = beside(tmp_path / "t")
    for name in ("shop.db", "shop.db-shm"):
        (tmp_path / "t" / name).unlink()
    place.swap(back=True)
    assert seen(tmp_path / "t") == {"shop.db": "old", "shop.db-wal": "old wal"}


def test_an_undo_names_the_unit_that_has_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = FileUser(412, "python3", "tick.service")
    monkeypatch.setattr(open_by, "holder", lambda _: user.pid)
    monkeypatch.setattr(FileUser, "of", lambda _: user)
    with pytest.raises(TargetError, match=r"is in use by python3 \(process 412, tick\.s") as caught:
        open_by.require_unused_for_exchange(tmp_path / "tick.db")
    assert caught.value.hint == (
        "stop this unit first: systemctl stop tick.service. Afterwards: systemctl start "
        "tick.service"
    )


def test_a_place_that_cannot_be_exchanged_is_refused_before(tmp_path: Path) -> None:
    place = beside(tmp_path / "a")
    (tmp_path / "a" / f"shop.db.{MARK}_after").write_text("another")
    kept = KeptPlaces("db", [place])
    with pytest.raises(TargetError, match="exists already, in addition to the kept copy"):
        kept.require_exchangeable(back=True)
    place.before.unlink()  # type: ignore[attr-defined]
    kept.require_exchangeable(back=True)
