"""Steps that change a service in operation: find out whether a step has already happened, read the
state before it, keep only the parts of an answer that the step names, and write a new secret to its
place."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

from drd import log
from drd.errors import DrdError, StepFailed
from drd.exhaustion import system_reason
from drd.masking import masked
from drd.model.json_pointer import MISSING, found, parts_of
from drd.model.playbook_conditions import EXPIRES
from drd.model.runbook import Live, NewSecret, Step
from drd.model.step_record import StepRecord
from drd.model.step_results import ActionStepResult
from drd.ports.action import WHOLE
from drd.registry import ACTIONS

BEFORE = "before"
"""The kind of the steps that read the present state before another step changes it."""
VALUE = "value"
"""The key, in the results of these steps, of the value that they read."""
HAPPENED = "the step had already happened: `done_when` succeeded"
"""What the result of a step says if an earlier try has carried out the step."""
_LONGEST = 1 << 15
"""The most characters that drd keeps: it may have only a part of a longer output."""


@dataclass
class Answer:
    """What an action reported. The unmasked parts of it are kept in memory only."""

    reported: ActionStepResult
    whole: Mapping[str, str] = field(default_factory=dict)

    def at(self, place: str, kind: str) -> str:
        """Return the value at a place in the answer. Raises StepFailed."""
        if place.startswith("/"):
            return _in_json(self._whole(kind), place)
        return self._whole(kind) if place in ("", _key_of(kind)) else self._key(place)

    def _whole(self, kind: str) -> str:
        return self.whole[WHOLE] if WHOLE in self.whole else self._key(_key_of(kind))

    def _key(self, key: str) -> str:
        value = self.whole.get(key, self.reported.given(key))
        if value is None:
            raise StepFailed(
                f"the answer of the step has no value {key}",
                hint="correct the place in the answer (`take`, `keep`) in the playbook.",
            )
        return str(value)


def _key_of(kind: str) -> str:
    return ACTIONS[kind].answer


_ROOM = (1 << 20) + 4096
"""Bytes that drd reserves for a new secret: the longest answer that it reads, and a line end."""
_COPIES = 100
"""So many times a run keeps the file that a new secret replaces."""

Act = Callable[[Step], Answer]
"""Carries out an action once."""


def changed(
    step: Step,
    live: Live,
    earlier: StepRecord | None,
    act: Act,
    read_before: Callable[[Step], object],
    *,
    expires_at: str | None = None,
) -> ActionStepResult:
    """Carry out a step. `expires_at` is when a temporary measure has to be rolled back, `earlier`
    the record of an earlier try whose outcome nobody knows. Raises StepFailed."""
    until = {EXPIRES: expires_at} if expires_at else {}
    if earlier is not None and live.done_when is not None and holds(live.done_when, act):
        if live.new_secret is not None:
            _require_stored(Path(live.new_secret.file), earlier, until)
        return ActionStepResult.of({"says": HAPPENED, **until})
    if live.before is not None:
        read_before(live.before)
    stored: dict[str, str] = {}
    with _place(live.new_secret) as (store, old):
        try:
            answer = act(step)
        except StepFailed as error:
            error.result.update(until)  # it may have happened
            raise
        if live.new_secret is not None:
            store(_secret(answer.at(live.new_secret.place, step.kind), live.new_secret))
            stays = f"; the file that was there is now {old}" if old is not None else ""
            stored = {"says": f"the new secret is in {live.new_secret.file}{stays}"}
    kept = {name: answer.at(place, step.kind) for name, place in live.keep.items()}
    return ActionStepResult.of(
        {
            **without_answer(answer.reported.to_json()),
            **until,
            **stored,
            **{name: masked(value)[:_LONGEST] for name, value in kept.items()},
        }
    )


def taken(live: Live, reading: Step, act: Act) -> tuple[ActionStepResult, str]:
    """Read the state before a step. Return the result for the catalogue, and the value itself.
    Raises StepFailed."""
    value = act(reading).at(live.takes, reading.kind)
    if len(value) > _LONGEST:
        raise StepFailed(
            f"the value that `before` read has {len(value)} characters, but drd keeps at most "
            f"{_LONGEST}",
            hint="take only a part of the value: `take: /PATH` below `before` in the playbook.",
        )
    if masked(value) != value:
        raise StepFailed(
            "the value that `before` read contains a secret, which drd must not keep, so no "
            "rollback could restore the value. The step was not executed",
            hint="take a part without the secret: `take: /PATH` below `before` in the playbook; or "
            "remove `before`, and say in `final` why the step stays.",
        )
    return ActionStepResult.of({VALUE: value}), value


def holds(look: Step, act: Act) -> bool:
    """Return whether a step has happened: whether its `done_when` succeeds. Raises StepFailed if
    drd cannot find out."""
    try:
        act(look)
    except DrdError as error:
        if isinstance(error, StepFailed) and error.result:
            return False
        raise StepFailed(
            f"drd cannot find out whether the step has happened: {error.message}",
            hint="find out whether the step has happened. If yes: drd skip RUN STEP --why TEXT "
            "(of a rollback: drd done RUN STEP). If not, correct `done_when`, then: drd retry RUN "
            "STEP",
        ) from error
    return True


def _require_stored(file: Path, earlier: StepRecord, until: Mapping[str, str]) -> None:
    """Raise StepFailed if the earlier try, which has happened, did not write the new secret of its
    answer: later steps would use the former secret, or none."""
    with suppress(OSError):
        if file.lstat().st_mtime >= earlier.started_at.timestamp():
            return
    remove_reserved(file)
    raise StepFailed(
        "the step has happened (`done_when` succeeded), but an earlier try ended before drd had "
        f"written the new secret to {file}: this secret is lost",
        result=dict(until),
        hint=f"revoke the lost secret, create another one by hand, and write it to {file}, with "
        "mode 0600. Then skip this step: drd skip RUN STEP --why TEXT",
    )


def without_answer(reported: Mapping[str, Any]) -> dict[str, Any]:
    """Return what drd records of each answer: all but the body or output."""
    return {k: v for k, v in reported.items() if k not in ("body", "output")}


def _in_json(text: str, pointer: str) -> str:
    """Return the value at a JSON pointer. Raises StepFailed."""
    value: Any = MISSING
    with suppress(ValueError, RecursionError):
        value = found(json.loads(text), parts_of(pointer))
    if value is MISSING:
        raise StepFailed(
            f"the answer is not JSON, or does not contain a value at {pointer}",
            hint="correct the place in the answer (`take`, `keep`) in the playbook.",
        )
    return value if isinstance(value, str) else json.dumps(value)


def _secret(found: str, to: NewSecret) -> str:
    if found.strip() in ("", "null"):
        raise StepFailed(
            f"the request succeeded, but the answer does not contain a new secret at {to.place} "
            f"(found: {found.strip() or 'empty text'}); drd did not change {to.file}",
            hint="find out whether the service has made a new secret, and correct `take` of "
            "`new_secret` in the playbook. Then: drd retry RUN STEP, or drd skip RUN STEP --why "
            "TEXT",
        )
    return found


@contextmanager
def _place(to: NewSecret | None) -> Iterator[tuple[Callable[[str], None], Path | None]]:
    """Make sure that drd can write a new secret, before the service makes the secret: the file is
    there, with room for the longest answer. Yields the function that writes the secret, as a whole
    or not at all, and masks it from then on; and the name under which an existing file stays, None
    if there is no such file. Raises StepFailed."""
    if to is None:
        yield log.mask, None
        return
    file = Path(to.file)
    new = _reserved(file)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with ExitStack() as stack:
        try:
            if file.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            new.unlink(missing_ok=True)
            fd = os.open(new, flags, 0o600)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stack.callback(_remove_unwritten, fd, new)
            os.posix_fallocate(fd, 0, _ROOM)
            os.fsync(fd)
            _sync_directory(file.parent)
        except OSError as error:
            raise StepFailed(
                f"drd cannot write the new secret to {file}: {system_reason(error)}; the step was "
                "not executed",
                hint=f"make {file.parent} writable for the user who owns drd's state, with 1 MiB "
                "of room, or name another file in the playbook. Then: drd retry RUN STEP",
            ) from None
        old = _keep(file, to.keeps)
        if old is not None:
            stack.callback(_forget_unreplaced, old, file)
        yield partial(_store, fd, new, file), old


def _keep(file: Path, keeps: str) -> Path | None:
    """Give an existing file a second name, under which it stays when the new secret replaces it.
    Return this name; None if there is no file, or it need not stay. Raises StepFailed."""
    if not keeps or not os.path.lexists(file):
        return None
    names = [Path(keeps), *(Path(f"{keeps}-{n}") for n in range(2, _COPIES))]
    try:
        for name in names:
            if not os.path.lexists(name):
                os.link(file, name, follow_symlinks=False)
                return name
            if os.path.samestat(name.lstat(), file.lstat()):
                return name  # an earlier try was killed
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except OSError as error:
        raise StepFailed(
            f"{file} exists, and drd cannot keep it as {keeps}: {system_reason(error)}; the step "
            "was not executed",
            hint=f"give the file another name by hand: mv {quote(str(file))} "
            f"{quote(f'{file}.old')}. Then: drd retry RUN STEP",
        ) from None


def _forget_unreplaced(old: Path, file: Path) -> None:
    """Remove the second name of a file that was not replaced; else only its owner may read it from
    now on."""
    if os.path.lexists(file) and os.path.samestat(old.lstat(), file.lstat()):
        old.unlink()
    elif not old.is_symlink():
        with suppress(PermissionError):  # the file of somebody else
            old.chmod(0o600)


def _store(fd: int, new: Path, file: Path, secret: str) -> None:
    """Write the secret into the open file `new`, and give it its name."""
    log.mask(secret)
    data = memoryview(f"{secret}\n".encode())
    length = len(data)
    try:
        while data:
            data = data[os.write(fd, data) :]
        os.ftruncate(fd, length)
        os.fsync(fd)
    except OSError as error:
        raise StepFailed(
            f"the request succeeded, but drd cannot write the new secret to {file}: "
            f"{system_reason(error)}",
            hint="the new secret is lost: make the directory writable for drd, then make a "
            "further secret with drd retry.",
        ) from None
    try:
        new.rename(file)
        _sync_directory(file.parent)
    except OSError as error:
        raise StepFailed(
            f"the request succeeded, and drd wrote the new secret to {new}, but cannot give this "
            f"file the name {file}: {system_reason(error)}",
            hint=f"move the file by hand: mv {quote(str(new))} {quote(str(file))}. Then: drd skip "
            "RUN STEP --why TEXT",
        ) from None


def remove_reserved(file: Path) -> None:
    """Remove the room for a new secret that a try whose process died has left beside `file`. A
    whole secret that did not get its name stays: a person moves it. So does the room of a try that
    still works."""
    new = _reserved(file)
    with suppress(OSError):
        fd = os.open(new, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_unwritten(fd, new)
        finally:
            os.close(fd)


def _reserved(file: Path) -> Path:
    """Return the name under which drd reserves the room for a new secret."""
    return file.with_name(f".{file.name}.drd-new")


def _remove_unwritten(fd: int, new: Path) -> None:
    """Remove the file if it is empty or still has its reserved length: then it does not contain a
    secret, which is always shorter."""
    if os.fstat(fd).st_size in (0, _ROOM):
        new.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a directory that drd may write to, but not list
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
