"""The one door to subprocesses.

Every child runs in a process group of its own, with an environment that drd chose, dies with drd,
has a deadline, and is ended with its whole group when drd is cancelled. `run` waits for one,
`gated_pipe` streams one into another, `Child` is for those that stay (servers).
"""

from drd.process.asking import actor_here, actor_of_daemon, actor_of_peer, user_name
from drd.process.cancel import (
    CallOff,
    cancel,
    cancelled,
    check_cancelled,
    interruption,
    reset_cancel,
    shielded,
)
from drd.process.child import MEMORY_HINT, Child, Completed, ended, run, start
from drd.process.command import Command, base_environment, find_tool
from drd.process.fence import Attempt, Fence, Limits, Sandbox
from drd.process.gate import PipeResult, gated_pipe
from drd.process.memory import offer_to_oom_killer
from drd.process.sweep import (
    end_process,
    is_marked,
    kill_marked,
    process_alive,
    process_start_time,
    unreaped,
)

__all__ = [
    "MEMORY_HINT",
    "Attempt",
    "CallOff",
    "Child",
    "Command",
    "Completed",
    "Fence",
    "Limits",
    "PipeResult",
    "Sandbox",
    "actor_here",
    "actor_of_daemon",
    "actor_of_peer",
    "base_environment",
    "cancel",
    "cancelled",
    "check_cancelled",
    "end_process",
    "ended",
    "find_tool",
    "gated_pipe",
    "interruption",
    "is_marked",
    "kill_marked",
    "offer_to_oom_killer",
    "process_alive",
    "process_start_time",
    "reset_cancel",
    "run",
    "shielded",
    "start",
    "unreaped",
    "user_name",
]
