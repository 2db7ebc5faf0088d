"""Programs that let a server of a drill read a restore point in place: the mounter, which alone has
the rights for it, and what restic starts instead of fusermount. Separate programs, with the
standard library only.
"""
