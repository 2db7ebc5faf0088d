"""The file that Prometheus's node exporter reads. It remains when the daemon dies; its times show
that."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from drd.errors import MetricsUnwritable
from drd.exhaustion import system_reason

MODE = 0o644
"""node exporter is another user."""


def write_textfile(path: Path, metrics: Iterable[bytes]) -> None:
    """Replace the file at once: a reader sees the old metrics or the new ones.

    Not synced to disk: after a power failure, old metrics are worthless anyway. Raises
    MetricsUnwritable; then the old file remains."""
    # node exporter reads *.prom only. The name is fixed, so that files left by kills do not pile
    # up.
    beside = path.with_name(f".{path.name}.new")
    try:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        try:
            # x: in a directory that others write to, follow nobody's link.
            with beside.open("xb") as file:
                os.fchmod(file.fileno(), MODE)  # whatever our umask
                file.writelines(metrics)
            beside.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> MetricsUnwritable:
    reason = system_reason(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        reason = f"directory {path.parent} does not exist"
    unwritable = MetricsUnwritable(
        f"cannot write metrics to {path}: {reason}", hint=_remedy(path, error.errno)
    )
    unwritable.number = error.errno
    return unwritable


def _remedy(path: Path, number: int | None) -> str:
    elsewhere = "name another file in metrics.textfile of drd.yaml"
    if number in (errno.ENOENT, errno.ENOTDIR):
        return (
            "install prometheus-node-exporter, which usually creates this directory, or "
            f"{elsewhere}."
        )
    if number == errno.EROFS:
        return (
            f"let the service write there: `systemctl edit drd`, with ReadWritePaths={path.parent} "
            f"in the section [Service], then `systemctl restart drd`; or {elsewhere}."
        )
    if number in (errno.EACCES, errno.EPERM):
        let = f"chgrp drd {path.parent} && chmod g+w {path.parent}"
        return f"let drd's user write there (`{let}`), or {elsewhere}."
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"free space on the file system of {path.parent}, or {elsewhere}."
    return f"repair the file system of {path.parent}, or {elsewhere}."
