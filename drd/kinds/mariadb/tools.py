"""Find the programs of MariaDB and MySQL, and read their versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from drd import process
from drd.errors import ToolMissing, ToolTooOld
from drd.kinds.mariadb.flavour import MARIADB, Flavour, of_program

VARIABLES = ("MYSQL_", "MARIADB_", "LIBMYSQL_")
"""The prefixes of variables that these programs read. drd removes a container's own variables
of these names: with MYSQL_HOST, a program would connect to another server than that of dsn."""

_SYSTEM = (Path("/usr/sbin"), Path("/usr/local/sbin"))
# Where Debian has the server, and the PATH of an ordinary user does not lead.

_PLAIN = ("-install-db", "innochecksum")


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
    product = of_program(name)
    if bin_dir is not None:
        path = process.find_tool(name, package=product.packages[name], bin_dir=Path(bin_dir))
    else:
        path = _installed(name, product)
    return Program(path, _version(path, product))


def _inside(name: str, bin_dir: str | None, container: process.Container) -> Program:
    places = f"{bin_dir}/{name}" if bin_dir else ""
    product = of_program(name)
    for path, said in process.programs_in(container, name, places, "--no-defaults --version"):
        match = product.version.search(said)
        if match and (bin_dir is None or Path(path).parent == Path(bin_dir)):
            return Program(path, match[1], container)
    raise ToolMissing(
        f"there is no {name} of {product.name} in the {container}",
        hint=f"use an image with {product.name}'s programs, such as {product.image}, or set "
        "`bin_dir` of the component to their directory in the container.",
    )


def _installed(name: str, product: Flavour) -> str:
    try:
        return process.find_tool(name, package=product.packages[name])
    except ToolMissing as error:
        for directory in _SYSTEM:
            if (directory / name).is_file():
                return str(directory / name)
        if product is MARIADB:
            raise
        raise ToolMissing(f"{product.name}'s {error.message}", hint=product.get_programs) from error


def _version(path: str, product: Flavour) -> str:
    if path.endswith(_PLAIN):
        return ""  # without a version of its own, or with the one of the server beside it
    done = process.run(process.Command([path, "--no-defaults", "--version"], deadline_s=20.0))
    said = f"{done.stdout} {done.stderr}"
    match = product.version.search(said)
    if done.exit_code != 0 or match is None:
        why = done.complaint if done.exit_code != 0 else f"it says {' '.join(said.split())[:100]}"
        raise ToolMissing(
            f"{path} is not a program of {product.name}, or drd cannot use it: {why}",
            hint=product.get_programs,
        )
    return match[1]


def client(
    bin_dir: str | None, inside: process.Container | None = None, flavour: Flavour = MARIADB
) -> Program:
    """Return the program that runs SQL: `mariadb` or `mysql`. Raises ToolTooOld if it does not have
    the option with which it runs no command that a dump contains."""
    client_program = program(flavour.client, bin_dir, inside)
    first = next(
        (v for v in flavour.client_since if v[:2] == client_program.numbers[:2]),
        flavour.client_since[-1],
    )
    if client_program.numbers < first:
        raise ToolTooOld(
            f"{flavour.client} {client_program.version} does not have the option "
            f"{flavour.load_options[0]}, so a dump could make it run programs of this host",
            hint=f"upgrade the package that has it ({flavour.packages[flavour.client]})."
            if inside is None
            else "use a newer image.",
        )
    return client_program
