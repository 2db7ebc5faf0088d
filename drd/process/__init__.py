"""Start subprocesses: the only module through which drd does so.

Every child runs in its own process group, with an environment that drd chose, dies with drd, has a
deadline, and is ended with its whole group when drd is cancelled. `run` waits for a child,
`gated_pipe` streams one child into another, `Child` is for children that keep running (servers).
"""

from drd.presence import process_start_time
from drd.process.actors import (
    UNKNOWN_LOGIN,
    Login,
    actor_here,
    actor_of_daemon,
    actor_of_peer,
    login_of_peer,
)
from drd.process.boot import Boot, booted, clock_agrees, is_synchronised
from drd.process.cancel import (
    CallOff,
    cancel,
    cancelled,
    check_cancelled,
    interruption,
    reset_cancel,
    shielded,
)
from drd.process.checked_pipe import PipeResult, gated_pipe
from drd.process.child import MEMORY_HINT, SHOWN, Child, Completed, ended, run, start
from drd.process.command import Command, base_environment, find_tool
from drd.process.container import (
    CONTAINER_NAME,
    LIST,
    Container,
    Image,
    container_of,
    containers_by_space,
    has_containers,
    image_of,
    inside,
    pinned,
    programs_in,
    require_same,
    running_containers,
    shell_in,
    space_of,
)
from drd.process.fence import BlockedAccess, Fence, FenceLimits, Fences
from drd.process.oom import offer_to_oom_killer
from drd.process.orphans import (
    MARKS,
    Mark,
    end_process,
    is_marked,
    kill_marked,
    process_alive,
    state_id,
    unreaped,
    works_for,
)
from drd.process.relay import Relay, relay
from drd.users import group_name, user_name

__all__ = [
    "CONTAINER_NAME",
    "LIST",
    "MARKS",
    "MEMORY_HINT",
    "SHOWN",
    "UNKNOWN_LOGIN",
    "BlockedAccess",
    "Boot",
    "CallOff",
    "Child",
    "Command",
    "Completed",
    "Container",
    "Fence",
    "FenceLimits",
    "Fences",
    "Image",
    "Login",
    "Mark",
    "PipeResult",
    "Relay",
    "actor_here",
    "actor_of_daemon",
    "actor_of_peer",
    "base_environment",
    "booted",
    "cancel",
    "cancelled",
    "check_cancelled",
    "clock_agrees",
    "container_of",
    "containers_by_space",
    "end_process",
    "ended",
    "find_tool",
    "gated_pipe",
    "group_name",
    "has_containers",
    "image_of",
    "inside",
    "interruption",
    "is_marked",
    "is_synchronised",
    "kill_marked",
    "login_of_peer",
    "offer_to_oom_killer",
    "pinned",
    "process_alive",
    "process_start_time",
    "programs_in",
    "relay",
    "require_same",
    "reset_cancel",
    "run",
    "running_containers",
    "shell_in",
    "shielded",
    "space_of",
    "start",
    "state_id",
    "unreaped",
    "user_name",
    "works_for",
]
