"""Shares of a kit's passphrase: enough of them open it, mistakes are named."""

from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drd.errors import TargetUnwritable, UsageError
from drd.kit.shares import combine, split, written
from drd.model.sharing import Sharing

NOW = datetime(2026, 11, 25, 0, 31, tzinfo=UTC)


def made(directory: Path, sharing: str = "3/5", name: str = "shop.kit") -> tuple[str, list[Path]]:
    passphrase, shares = split(Sharing.parse(sharing))
    with written(shares, directory / name, ["shop"], NOW) as paths:
        return passphrase, paths


def test_any_three_of_five_open_it_and_two_do_not(tmp_path: Path) -> None:
    passphrase, paths = made(tmp_path)
    assert len(passphrase) == 32
    for chosen in (paths[:3], paths[2:], [paths[4], paths[0], paths[2]], paths):
        assert combine(chosen) == passphrase
    with pytest.raises(UsageError, match="2 different shares given, but 3 are needed"):
        combine(paths[:2])
    with pytest.raises(UsageError, match="1 share given, but 3 are needed"):
        combine([paths[0]] * 3)


@given(st.integers(2, 9).flatmap(lambda n: st.tuples(st.integers(2, n), st.just(n))), st.randoms())
def test_any_sharing_round_trips(
    tmp_path_factory: pytest.TempPathFactory, numbers: tuple[int, int], random: object
) -> None:
    needed, of = numbers
    passphrase, paths = made(tmp_path_factory.mktemp("shares"), f"{needed}/{of}")
    random.shuffle(paths)  # type: ignore[attr-defined]
    assert combine(paths[:needed]) == passphrase


def test_ssss_puts_it_together_without_drd(tmp_path: Path) -> None:
    passphrase, paths = made(tmp_path)
    text = paths[1].read_text()
    assert "ssss-combine -t 3 -D -x" in text
    lines = [p.read_text().partition("share: ")[2].splitlines()[0] for p in paths[1:4]]
    done = subprocess.run(
        ["ssss-combine", "-t", "3", "-D", "-x"],
        input="\n".join(lines) + "\n",
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stderr.strip() == f"Resulting secret: {passphrase}"


def test_share_files_are_private_and_say_what_they_are(tmp_path: Path) -> None:
    passphrase, paths = made(tmp_path)
    assert len({p.name for p in paths}) == 5
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in paths)
    assert all(passphrase not in p.read_text() for p in paths)
    assert (
        paths[1]
        .read_text()
        .startswith("share 2 of 5 of the drd recovery kit of 2026-11-25 00:31 UTC for shop\n")
    )


def test_a_share_typed_from_paper_is_accepted(tmp_path: Path) -> None:
    passphrase, paths = made(tmp_path)
    lines = [line for line in paths[0].read_text().splitlines() if ": " in line][-4:]
    paths[0].write_text(
        "\n".join(reversed(lines))
        .upper()
        .replace("SHARE", "share")
        .replace("SET", "set")
        .replace("NEEDED", "needed")
        .replace("CHECK", "check")
    )
    assert combine(paths[:3]) == passphrase


def test_a_wrong_share_of_a_kit_is_refused_with_the_reason(tmp_path: Path) -> None:
    _, paths = made(tmp_path)
    _, others = made(tmp_path)
    with pytest.raises(
        UsageError, match="does not belong to the same kit as the other shares"
    ) as caught:
        combine([*paths[:2], others[2]])
    assert str(others[2]) in caught.value.message

    text = paths[0].read_text()
    line = text.partition("share: ")[2].splitlines()[0]
    last = "0" if line[-1] != "0" else "1"
    paths[0].write_text(text.replace(line, line[:-1] + last))
    with pytest.raises(UsageError, match="a character of the share is wrong"):
        combine(paths[:3])
    paths[0].write_text(text.replace(line, line[:-1]))
    with pytest.raises(UsageError, match="the share is incomplete"):
        combine(paths[:3])
    paths[0].write_text("hello\n")
    with pytest.raises(UsageError, match="is not a share of a kit: it has no line `set: …`"):
        combine(paths[:3])
    with pytest.raises(UsageError, match="cannot read the share file"):
        combine([tmp_path / "none"])


def test_shares_of_a_kit_that_could_not_be_written_go_again(tmp_path: Path) -> None:
    _, shares = split(Sharing(2, 3))

    def fails_to_write_the_kit() -> None:
        with written(shares, tmp_path / "k", ["shop"], NOW):
            assert len(list(tmp_path.iterdir())) == 3
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails_to_write_the_kit()
    assert not list(tmp_path.iterdir())
    with (
        pytest.raises(TargetUnwritable, match="cannot write the shares"),
        written(shares, tmp_path / "none/k", ["shop"], NOW),
    ):
        pass


@pytest.mark.parametrize("text", ["5/3", "1/3", "3", "3 of 5", "a/b", "", "3/500"])
def test_invalid_sharings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write a number like 3/5"):
        Sharing.parse(text)
