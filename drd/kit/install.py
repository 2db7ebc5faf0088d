"""Put files in place, all of them or none: an identical existing file is kept, a different one is
refused, and a failure removes what was written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drd import modes
from drd.errors import TargetNotEmpty, TargetUnwritable
from drd.exhaustion import system_reason
from drd.flows.host.shipped_files import is_as_put
from drd.kit.layout import CREDENTIALS, Layout, PlacedFile
from drd.process.state_owner import acting_for_owner
from drd.secrets import same_in_files


def conflicts(layout: Layout) -> list[Path]:
    """Return existing files with other contents. A file that `drd install` wrote and nobody has
    changed since may be replaced."""
    return [f.path for f in layout.files if not f.yields and _differs(f)]


def kept(layout: Layout) -> list[Path]:
    """Existing files with other contents, which stay."""
    return [f.path for f in layout.files if f.yields and _differs(f)]


def _differs(file: PlacedFile) -> bool:
    there = _content(file.path)
    return there is not None and not _is_same(there, file) and not is_as_put(there)


def _is_same(there: bytes, file: PlacedFile) -> bool:
    if there == file.content:
        return True
    return file.secret and same_in_files(there, file.content)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise _unwritable(path, "a part of its path is a file") from None
    except OSError as error:
        raise _unwritable(path, system_reason(error)) from None


@contextmanager
def installed(layout: Layout, replica: Path | None) -> Iterator[list[Path]]:
    """Write the missing files, yield the paths that were written, and remove them again if the body
    raises an error. `replica` becomes the catalogue if there is none yet. Raises TargetNotEmpty
    before anything is written, TargetUnwritable."""
    wrong = conflicts(layout)
    if wrong:
        raise TargetNotEmpty(
            "drd wrote nothing, because files exist that differ from those in the kit: "
            f"{', '.join(map(str, wrong))}",
            hint="if nobody needs these files, move them away; or write below another directory: "
            "--root DIR",
        )
    undo = _NewFiles(layout)
    try:
        written = [f.path for f in layout.files if _write(f, undo)]
        if replica is not None and not layout.state.exists():
            _catalogue(replica, layout.state, undo)
            written.append(layout.state)
        yield written
    except OSError as error:
        undo.all()
        raise _unwritable(error.filename or layout.root, error.strerror or str(error)) from error
    except BaseException:
        undo.all()
        raise


class _NewFiles:
    """What did not exist before."""

    def __init__(self, layout: Layout) -> None:
        places = [f.path.parent for f in layout.files] + [layout.state.parent]
        self._made: set[Path] = {top for p in places if (top := _missing_top(p)) is not None}
        self._files: list[Path] = []
        self._replaced: dict[Path, bytes] = {}
        if not layout.state.exists():
            self._files += [
                layout.state.with_name(layout.state.name + end) for end in ("", "-wal", "-shm")
            ]

    def wrote(self, path: Path, before: bytes | None) -> None:
        if before is None:
            self._files.append(path)
        else:
            self._replaced[path] = before

    def all(self) -> None:
        for path in self._files:
            with suppress(OSError):
                path.unlink()
        for path, before in self._replaced.items():
            with suppress(OSError):
                path.write_bytes(before)
        for directory in self._made:
            shutil.rmtree(directory, ignore_errors=True)


def _missing_top(path: Path) -> Path | None:
    """Return the highest directory on the way to `path` that does not exist."""
    missing = [p for p in (path, *path.parents) if not os.path.lexists(p)]
    return missing[-1] if missing else None


def _write(file: PlacedFile, undo: _NewFiles) -> bool:
    before = _content(file.path)
    if before is not None and (file.yields or _is_same(before, file)):
        return False
    is_private = file.secret and file.path.parent.name == Path(CREDENTIALS).name
    _directory(file.path.parent, 0o700 if is_private else 0o755)
    descriptor, name = tempfile.mkstemp(dir=file.path.parent, prefix=".drd-bootstrap-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target:
            os.fchmod(target.fileno(), file.mode & 0o777)  # its owner has another id here
            target.write(file.content)
            target.flush()
            os.fsync(target.fileno())
        undo.wrote(file.path, before)
        part.rename(file.path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return True


def _catalogue(replica: Path, state: Path, undo: _NewFiles) -> None:
    """Write it as the user to whom its directory belongs. After `drd install` that is the user of
    the service, which could neither read nor trust a file of root there."""
    part = state.with_name(f".{state.name}.part")
    with replica.open("rb") as source, acting_for_owner(state.parent, state.parent):
        _directory(state.parent, modes.PRIVATE_DIRECTORY)
        undo.wrote(part, None)
        with os.fdopen(modes.open_private_file(part), "r+b") as target:
            shutil.copyfileobj(source, target)
            target.truncate()
        part.rename(state)


def _directory(path: Path, mode: int) -> None:
    if not path.is_dir():
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(exist_ok=True)
        path.chmod(mode)


_OF_PATH = ("not a directory", "a part of its path is a file", "too many levels of symbolic links")


def _how_to_write(path: Path | str, why: str) -> str:
    if os.path.lexists(path) and not Path(path).is_dir():
        return f"move {path} away, or write below another directory: --root DIR"
    if why.lower() in _OF_PATH:
        return f"check each directory above {path} (namei -l {path}), or give another --root"
    return "run this command as root, or give a --root that you may write to"


def _unwritable(path: Path | str, why: str) -> TargetUnwritable:
    return TargetUnwritable(
        f"cannot write {path}: {why.lower()}",
        hint=f"{_how_to_write(path, why)}. drd has removed the files that it had written.",
    )
