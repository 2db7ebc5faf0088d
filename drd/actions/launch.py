"""Start a program that goes on when drd ends, or behind the fence of a drill."""

from __future__ import annotations

import time
from pathlib import Path

from drd import process
from drd.errors import StepFailed
from drd.process.fence import require_up

_LEAVE = 'echo $$ >"$1"; log=$2; shift 2; exec "$@" >>"$log" 2>&1 </dev/null'
"""The shell becomes the program, so that its pid is the program's."""

_NOTED_S = 10.0

_kept: dict[int, process.Child] = {}
"""Programs that drills have started, by pid. They end with drd, and are recorded like all other
programs.
"""


def start_fenced(words: list[str], log: Path, env: dict[str, str], fence: process.Fence) -> int:
    """Start a program behind the fence of a drill; it ends with the drill."""
    command = process.Command(words, env=env, cwd=Path("/"), drop_capabilities=True, fence=fence)
    with log.open("ab") as out:
        child = process.start(command, stdout=out.fileno(), stderr=out.fileno())
    _kept[child.pid] = child
    return child.pid


def start_detached(words: list[str], pid_file: Path, log: Path, env: dict[str, str]) -> int:
    """Start a program that is not our child any more; returns its pid."""
    setsid = process.find_tool("setsid", package="util-linux")
    command = process.Command(
        [setsid, "--fork", "sh", "-c", _LEAVE, "sh", str(pid_file), str(log), *words],
        env=env,
        cwd=Path("/"),
        deadline_s=_NOTED_S,
        drop_capabilities=True,
        name=Path(words[0]).name,
    )
    done = process.run(command)
    if done.exit_code != 0:
        raise StepFailed(f"cannot start {command.title}: {done.complaint}")
    return _pid(pid_file)


def _pid(file: Path) -> int:
    limit = time.monotonic() + _NOTED_S
    while time.monotonic() < limit:
        process.check_cancelled()
        if file.is_file() and (text := file.read_text().strip()):
            return int(text)
        time.sleep(0.02)
    raise StepFailed(
        "drd could not find out the process id of the program that it started",
        hint="check the load of the host and the free space: df -h",
    )


def require_fence_up(pid: int) -> None:
    """Raise if the program of a drill ended since its fence could not be set up."""
    child = _kept.get(pid)
    if child is not None and child.command.fence is not None:
        require_up(child.command.fence, child.exit_code)
