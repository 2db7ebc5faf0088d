"""The entry point of `drd` and `python -m drd`."""

from __future__ import annotations

import gc
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def start() -> NoReturn:
    """Run one command. A Ctrl-C during the import of its modules ends it like a later one; the
    garbage collector is off during the import.
    """
    gc.set_threshold(50_000, 20, 20)
    signal.signal(signal.SIGINT, lambda *_: _leave())
    from drd.cli.main import main

    sys.exit(main())


def _leave() -> NoReturn:
    os.write(2, b"drd: cancelled\n")
    os._exit(130)


if __name__ == "__main__":
    start()
