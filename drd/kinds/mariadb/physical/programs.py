"""The programs that copy a whole server and run its files again."""

from __future__ import annotations

from typing import NamedTuple

from drd.errors import SandboxUnavailable, ToolError
from drd.kinds.mariadb.tools import Program, program, series, series_text


class Programs(NamedTuple):
    """Programs of one series; `version` is that of the server."""

    server: Program
    backup: Program
    innochecksum: Program

    @property
    def version(self) -> str:
        return self.server.version


def programs_for(version: str, bin_dir: str | None) -> Programs:
    """Return the programs that can run the files of a server of this version: those of the same
    series. Raises SandboxUnavailable."""
    try:
        programs = Programs(
            *(program(n, bin_dir) for n in ("mariadbd", "mariadb-backup", _CHECKSUM))
        )
    except ToolError as error:
        raise SandboxUnavailable(
            f"this host cannot run the files of a MariaDB server: {error.message}",
            hint=error.hint,
        ) from error
    for name, one in (("mariadbd", programs.server), ("mariadb-backup", programs.backup)):
        if series(one.version) != series(version):
            raise SandboxUnavailable(
                f"{name} of this host has version {one.version}, and only the series "
                f"{series_text(version)} can run the files of MariaDB {version}",
                hint=f"install MariaDB {series_text(version)} on this host, or set `bin_dir` to "
                "the directory of its programs. To change the series, restore to "
                f"{series_text(version)} first, then upgrade that server.",
            )
    return programs


_CHECKSUM = "innochecksum"
