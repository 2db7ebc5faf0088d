"""Run one command that may write below named directories only. It may read everything that its user
may read, and use the network: for programs that trust the content of a repository."""

from __future__ import annotations

import os
import sys

from drd.fence import kernel, landlock
from drd.fence.processes import execute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_CANNOT = 125


def main() -> NoReturn:
    count = int(sys.argv[1])
    writes, argv = sys.argv[2 : 2 + count], sys.argv[2 + count :]
    abi = kernel.landlock_abi()
    try:
        kernel.no_new_privileges()
        if abi >= landlock.FILES_SINCE:
            landlock.restrict_writes(abi, writes)
    except OSError as error:
        os.write(2, f"drd cannot confine it: {error.strerror}\n".encode())
        os._exit(_CANNOT)
    execute(argv)
