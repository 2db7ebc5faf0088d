"""What mariadb-backup may not read in the data directory of a server, and how that is opened."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from drd.errors import SourceError
from drd.kinds.mariadb.physical.copy import Order, copy
from drd.kinds.mariadb.physical.readable import unreadable
from drd.kinds.mariadb.tools import Program
from drd.users import group_name
from tests.user_support import NOBODY, as_root

pytestmark = as_root
SERVERS, OTHER = 2001, 2002
"""Groups without names: that of the server, and another one."""

Drd = Callable[[int], None]


@pytest.fixture
def drd(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Drd:
    """Makes drd the user nobody, in this group."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    place = short_tmp / "python"
    monkeypatch.setattr("sys.executable", str(place))

    def be(group: int) -> None:
        who = f"--reuid {NOBODY} --regid {NOBODY} --groups {group}"
        place.write_text(f'#!/bin/sh\nexec setpriv {who} {python} "$@"\n')
        place.chmod(0o755)

    return be


@pytest.fixture
def data(short_tmp: Path) -> Path:
    """A data directory as a server makes it by default."""
    short_tmp.chmod(0o755)
    directory = short_tmp / "data"
    for name in ("mysql", "shop"):
        (directory / name).mkdir(parents=True)
        (directory / name / "t.ibd").touch(0o660)
    (directory / "ibdata1").touch(0o660)
    for path in (directory, *directory.rglob("*")):
        os.chown(path, 2000, SERVERS)
    for name, mode in (("", 0o755), ("mysql", 0o700), ("shop", 0o700)):
        (directory / name).chmod(mode)
    for file in directory.rglob("*.ibd"):
        file.chmod(0o660)
    (directory / "ibdata1").chmod(0o660)
    return directory


def test_directories_that_only_the_server_may_enter_are_named(drd: Drd, data: Path) -> None:
    drd(SERVERS)
    found = unreadable(str(data))
    assert found is not None
    assert found.text.startswith("user nobody may not read 2 directories of the server, for ")
    assert f"{data}/mysql (2000:{SERVERS}, mode 0700)" in found.text
    assert found.remedy.startswith(
        f"as root: chmod --recursive g+rX {data}. Also start the server with"
    )
    assert "UMASK_DIR=0750" in found.remedy

    os.system(found.remedy.partition("as root: ")[2].partition(". ")[0])
    assert unreadable(str(data)) is None


def test_a_user_outside_of_the_group_is_told_to_join_it(drd: Drd, data: Path) -> None:
    drd(OTHER)
    for name in ("mysql", "shop"):
        (data / name).chmod(0o750)
    found = unreadable(str(data))
    assert found is not None
    assert found.remedy == (
        f"as root: usermod --append --groups {SERVERS} nobody; systemctl restart drd."
    )


def test_a_directory_of_another_group_is_given_to_the_servers(drd: Drd, data: Path) -> None:
    """mariadb-install-db, called by root, leaves the directory itself to root's group."""
    drd(SERVERS)
    for name in ("mysql", "shop"):
        (data / name).chmod(0o750)
    os.chown(data, 2000, 0)
    data.chmod(0o700)
    found = unreadable(str(data))
    assert found is not None
    assert f"{data} (2000:root, mode 0700)" in found.text
    commands = found.remedy.partition("as root: ")[2].partition(". ")[0]
    assert commands == f"chgrp --recursive {SERVERS} {data}; chmod --recursive g+rX {data}"
    os.system(commands)
    assert unreadable(str(data)) is None


def test_nobody_is_told_to_join_the_group_of_a_file_elsewhere(
    drd: Drd, data: Path, short_tmp: Path
) -> None:
    """The server's user can put a link to it into the directory."""
    drd(OTHER)
    powerful = short_tmp / "docker.sock"
    powerful.touch()
    os.chown(powerful, 0, 2003)
    (data / "ibdata1").unlink()
    (data / "ibdata1").symlink_to(powerful)
    found = unreadable(str(data))
    assert found is not None
    assert "2003" not in found.remedy
    assert f"usermod --append --groups {SERVERS} nobody" in found.remedy


def test_nobody_is_told_to_join_roots_group(drd: Drd, data: Path) -> None:
    """A copy of a data directory that only its owner was given: the owner's group gets it."""
    drd(OTHER)
    games = pwd.getpwnam("games")
    for path in (data, *data.rglob("*")):
        os.chown(path, games.pw_uid, 0)
    found = unreadable(str(data))
    assert found is not None
    assert found.remedy.startswith(
        f"as root: usermod --append --groups {group_name(games.pw_gid)} nobody; chgrp --recursive "
        f"{group_name(games.pw_gid)} {data}; chmod"
    )


def test_a_copy_that_failed_names_what_may_not_be_read(
    drd: Drd, data: Path, short_tmp: Path
) -> None:
    drd(SERVERS)
    tool = short_tmp / "mariadb-backup"
    tool.write_text(
        "#!/bin/sh\necho 'io_uring_queue_init() failed with ENOSYS: falling back to libaio'\n"
        'echo "Can\'t open dir ./mysql"\nexit 1\n'
    )
    tool.chmod(0o755)
    order = Order(Program(str(tool), "11.8.3"), short_tmp / "options",
                  str(data), short_tmp / "copy", 1)  # fmt: skip
    with pytest.raises(SourceError) as caught:
        copy(order, {})
    assert caught.value.message.startswith(
        "mariadb-backup cannot copy the server: user nobody may not read 2 directories"
    )
    assert "chmod --recursive g+rX" in caught.value.hint

    for name in ("mysql", "shop"):
        (data / name).chmod(0o750)
    with pytest.raises(SourceError) as caught:
        copy(order, {})
    assert caught.value.message == "mariadb-backup failed: Can't open dir ./mysql"
