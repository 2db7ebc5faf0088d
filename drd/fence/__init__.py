"""What stands between a fenced process and the host: started by `drd.process`, once a command.

`main` is a program of its own: with the standard library alone and without the rest of drd it is up
in milliseconds. It makes itself a *warden* and a child: the child takes rights away from itself
(Landlock, seccomp, limits) and becomes the command; the warden stays outside, carries out for it
the few system calls that need a decision, and ends whatever is left when the command has ended.
"""
