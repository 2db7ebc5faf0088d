"""The programs of this host: servers that can read a file, and the client that receives one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from drd import process
from drd.errors import SandboxUnavailable, ToolMissing
from drd.kinds.redis.server_facts import PRODUCTS, Version, version_in

_VERSION = re.compile(r"\bv=(\d+(?:\.\d+)*)")
_ASK_S = 10.0


class ServerProgram(NamedTuple):
    """A server that is installed here."""

    path: str
    version: Version


def cli_program(product: str, bin_dir: str | None, inside: process.Container | None = None) -> str:
    """Return the client that receives the data of a server; `inside` a container, its path there.
    Raises ToolMissing."""
    if inside is not None:
        return _cli_in(inside, product, bin_dir)
    missing: ToolMissing | None = None
    for name in (product, *(other for other in PRODUCTS if other != product)):
        try:
            return _found(f"{name}-cli", f"{name}-tools", bin_dir)
        except ToolMissing as error:
            missing = missing or error
    assert missing is not None
    raise missing


def _cli_in(container: process.Container, product: str, bin_dir: str | None) -> str:
    for name in (product, *(other for other in PRODUCTS if other != product)):
        places = f"{bin_dir}/{name}-cli" if bin_dir else ""
        for path, _ in process.programs_in(container, f"{name}-cli", places):
            if bin_dir is None or Path(path).parent == Path(bin_dir):
                return path
    raise ToolMissing(
        f"there is no {product}-cli in the {container}",
        hint="use an image that has it, such as the official one, or set `bin_dir` of the "
        "component to its directory in the container.",
    )


def servers(product: str, bin_dir: str | None) -> Iterator[ServerProgram]:
    """Return the servers of this host, those of the product first."""
    for name in (product, *(other for other in PRODUCTS if other != product)):
        try:
            path = _found(f"{name}-server", f"{name}-server", bin_dir)
        except ToolMissing:
            continue
        done = process.run(process.Command([path, "--version"], deadline_s=_ASK_S))
        match = _VERSION.search(done.stdout)
        # Debian's redis-server can be a link to Valkey's: the program knows what it is.
        real = "valkey" if done.stdout.lower().startswith("valkey") else "redis"
        version = version_in(real, match[1]) if match is not None else None
        if version is not None:
            yield ServerProgram(path, version)


def server_for(
    product: str, wrote: str, form_product: str, form: int, bin_dir: str | None
) -> ServerProgram:
    """Return an installed server that reads a file of this format; `wrote` names the server that
    has written the file. Raises SandboxUnavailable, which names the installed servers that cannot.
    """
    here = list(servers(product, bin_dir))
    for program in here:
        if program.version.reads(form_product, form):
            return program
    package = f"apt-get install --no-install-recommends {product}-server"
    if not here:
        raise SandboxUnavailable(
            f"this host has no {PRODUCTS[product]} server, but a drill needs one",
            hint=f"install this server: {package}. If only drills use it, switch off its service: "
            f"systemctl disable --now {product}-server",
        )
    cannot = " and ".join(program.version.words for program in here)
    raise cannot_read(cannot, wrote, form, product)


def cannot_read(cannot: str, wrote: str, form: int, product: str) -> SandboxUnavailable:
    """Return the error for servers that are too old or of the other product."""
    return SandboxUnavailable(
        f"{cannot} of this host cannot read the data of {wrote} (RDB version {form})",
        hint=f"install {wrote} or a newer {PRODUCTS[product]} server, for example: apt-get "
        f"install --no-install-recommends {product}-server; or name the directory of its programs "
        "in `bin_dir` of this component.",
    )


def _found(name: str, package: str, bin_dir: str | None) -> str:
    directory = Path(bin_dir) if bin_dir is not None else None
    return os.fspath(process.find_tool(name, package=package, bin_dir=directory))
