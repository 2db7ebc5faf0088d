"""The fence between a process and the host; `drd.process` starts it, once for each command.

`main` is a separate program: with the standard library alone and without the rest of drd it starts
in milliseconds. It becomes a *warden* and a child. The child gives up rights (Landlock, seccomp,
limits) and becomes the command. The warden stays outside, executes for it the few system calls that
need a decision, and ends all remaining processes when the command has ended.
"""
