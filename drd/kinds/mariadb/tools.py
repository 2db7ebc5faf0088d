"""Find MariaDB's programs, and read their versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from drd import process
from drd.errors import ToolMissing, ToolTooOld

PACKAGES = {
    "mariadb-dump": "mariadb-client",
    "mariadb": "mariadb-client",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb-backup": "mariadb-backup",
    "mariadb-binlog": "mariadb-client",
    "innochecksum": "mariadb-server-core",
}
"""The packages of Debian that have the programs."""

VARIABLES = ("MYSQL_", "MARIADB_", "LIBMYSQL_")
"""The prefixes of variables that MariaDB's programs read. drd removes a container's own variables
of these names: with MYSQL_HOST, a program would connect to another server than that of dsn."""

_SYSTEM = (Path("/usr/sbin"), Path("/usr/local/sbin"))
# Where Debian has the server, and the PATH of an ordinary user does not lead.

_PLAIN = ("-install-db", "innochecksum")

_SANDBOX = ((10, 5, 25), (10, 6, 18), (10, 11, 8), (11, 0, 6), (11, 1, 5), (11, 2, 4), (11, 4, 2))
"""The first versions of each series whose client knows `--sandbox`."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and its version (`11.8.3`). With `inside`, the path is one in this container."""

    path: str
    version: str
    inside: process.Container | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        return numbers(self.version)


def numbers(version: str) -> tuple[int, ...]:
    """Return (11, 8, 3) for `11.8.3-MariaDB`."""
    return tuple(int(n) for n in re.findall(r"\d+", version.partition("-")[0])[:3])


def series(version: str) -> tuple[int, ...]:
    """Return the series of a version: its first two numbers."""
    return numbers(version)[:2]


def series_text(version: str) -> str:
    return ".".join(map(str, series(version)))


def program(name: str, bin_dir: str | None, inside: process.Container | None = None) -> Program:
    """Find the program and read its version. Raises ToolMissing."""
    if inside is not None:
        return _inside(name, bin_dir, inside)
    package = PACKAGES[name]
    if bin_dir is not None:
        path = process.find_tool(name, package=package, bin_dir=Path(bin_dir))
    else:
        path = _installed(name, package)
    return Program(path, _version(path))


def _inside(name: str, bin_dir: str | None, container: process.Container) -> Program:
    places = f"{bin_dir}/{name}" if bin_dir else ""
    for path, said in process.programs_in(container, name, places, "--no-defaults --version"):
        match = _OF_MARIADB.search(said)
        if match and (bin_dir is None or Path(path).parent == Path(bin_dir)):
            return Program(path, match[1], container)
    raise ToolMissing(
        f"there is no {name} of MariaDB in the {container}",
        hint="use an image with MariaDB's programs, such as mariadb:11.8, or set `bin_dir` of the "
        "component to their directory in the container.",
    )


_OF_MARIADB = re.compile(r"(\d+\.\d+\.\d+)-MariaDB")


def _installed(name: str, package: str) -> str:
    try:
        return process.find_tool(name, package=package)
    except ToolMissing:
        for directory in _SYSTEM:
            if (directory / name).is_file():
                return str(directory / name)
        raise


def _version(path: str) -> str:
    if path.endswith(_PLAIN):
        return ""  # without a version of its own, or with the one of the server beside it
    done = process.run(process.Command([path, "--no-defaults", "--version"], deadline_s=20.0))
    match = _OF_MARIADB.search(f"{done.stdout} {done.stderr}")
    if done.exit_code != 0 or match is None:
        raise ToolMissing(
            f"{path} is not a program of MariaDB, or drd cannot use it: {done.complaint}",
            hint="install MariaDB's own programs (apt-get install mariadb-client), or set "
            "`bin_dir` to their directory.",
        )
    return match[1]


def client(bin_dir: str | None, inside: process.Container | None = None) -> Program:
    """Return the program `mariadb`. Raises ToolTooOld if it does not have the option --sandbox,
    with which it runs no command that a dump contains."""
    client_program = program("mariadb", bin_dir, inside)
    first = next((v for v in _SANDBOX if v[:2] == client_program.numbers[:2]), None)
    known = client_program.numbers >= first if first else client_program.numbers >= (11, 4)
    if not known:
        raise ToolTooOld(
            f"mariadb {client_program.version} does not have the option --sandbox, so a "
            "dump could make it run programs of this host",
            hint="upgrade the package: apt-get install --only-upgrade mariadb-client"
            if inside is None
            else "use a newer image.",
        )
    return client_program
