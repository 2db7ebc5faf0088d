"""Find out whether mariadb-backup may read the files of the server.

It asks for ordinary rights, and runs behind a fence: the right to read the files of others, which
systemd gives to drd alone, does not count for it. MariaDB makes the directory of each database for
its own user alone, unless UMASK_DIR says otherwise."""

from __future__ import annotations

import json
import stat
import sys
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from drd import process
from drd.model.text import counted, escaped
from drd.process.rights import account
from drd.users import group_name, user_name

_ASK = """
import json, os, sys
top, refused, count = sys.argv[1], [], 0
def ask(path, is_directory):
    global count
    if not os.access(path, os.R_OK | (os.X_OK if is_directory else 0)):
        count += 1
        if len(refused) < 200:
            known = os.lstat(path)
            refused.append([path, known.st_uid, known.st_gid, known.st_mode])
ask(top, True)
for directory, names, files in os.walk(top):
    for name in sorted(names):
        ask(os.path.join(directory, name), True)
    for name in sorted(files):
        ask(os.path.join(directory, name), False)
print(json.dumps([os.geteuid(), [os.getegid(), *os.getgroups()], count, refused]))
"""
"""Asks as mariadb-backup does, with real ids. Directories that drd alone may list are listed."""
_ASK_S = 60.0
_LIMIT = 1 << 20
_ROOT = 0


class Refused(NamedTuple):
    """What drd's user may not read, and the commands of root's that open it."""

    text: str
    remedy: str


class _Entry(NamedTuple):
    path: str
    uid: int
    gid: int
    mode: int

    def __str__(self) -> str:
        mode = stat.S_IMODE(self.mode)
        owner = f"{user_name(self.uid)}:{group_name(self.gid)}"
        return f"{escaped(self.path)} ({owner}, mode {mode:04o})"

    @property
    def is_open_to_its_group(self) -> bool:
        needed = stat.S_IRGRP | (stat.S_IXGRP if stat.S_ISDIR(self.mode) else 0)
        return self.mode & needed == needed


def unreadable(directory: str) -> Refused | None:
    """Return what mariadb-backup may not read in a data directory; None if that is nothing, or if
    this could not be found out."""
    program = [sys.executable, "-I", "-S", "-c", _ASK, directory]
    done = process.run(process.Command(program, name="python", deadline_s=_ASK_S), limit=_LIMIT)
    if done.exit_code != 0:
        return None
    me, groups, count, found = json.loads(done.stdout)
    entries = [_Entry(*one) for one in found]
    if not entries:
        return None
    directories = all(stat.S_ISDIR(one.mode) for one in entries)
    what = counted(count, "directory", "directories") if directories else counted(count, "file")
    text = f"user {user_name(me)} may not read {what} of the server, for example {entries[0]}"
    return Refused(text, _remedy(directory, user_name(me), set(groups), entries))


def _remedy(directory: str, me: str, groups: set[int], entries: list[_Entry]) -> str:
    of_server = _group_of_files(directory, entries)
    where, group = quote(escaped(directory)), group_name(of_server)
    commands = []
    if of_server not in groups:
        commands.append(f"usermod --append --groups {group} {me}")
    if any(one.gid != of_server for one in entries):
        commands.append(f"chgrp --recursive {group} {where}")
    closed = not all(one.is_open_to_its_group for one in entries)
    if closed:
        commands.append(f"chmod --recursive g+rX {where}")
    if of_server not in groups:
        commands.append("systemctl restart drd")
    text = f"as root: {'; '.join(commands)}."
    if closed:
        text += (
            " Also start the server with UMASK_DIR=0750 (docs/mariadb.md): otherwise it makes the "
            "directory of each new database without rights for its group."
        )
    return text


def _group_of_files(directory: str, entries: list[_Entry]) -> int:
    """Return the group of the server: that of its files, or else of their owner. Their owner could
    put a link there, to a file of a group with more rights; and whoever is in root's group may read
    more than the server."""
    for name in ("ibdata1", "aria_log_control", "mysql"):
        with suppress(OSError):
            known = Path(directory, name).lstat()
            if known.st_gid != _ROOT and not stat.S_ISLNK(known.st_mode):
                return known.st_gid
    return account(entries[-1].uid, entries[-1].gid).gid
