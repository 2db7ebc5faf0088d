"""Programs that let a drill's server read a restore point without restoring it: the mounter, the
only program with the rights to mount, and a program that restic starts instead of fusermount. They
are separate programs, and use only the standard library.
"""
