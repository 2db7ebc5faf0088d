"""The recovery kit: one encrypted file with all that it takes to bring services back on a machine
that has never seen them, and the way from there to a host that can recover.

    gather → pack → seal → FILE → unseal → unpack → verify, or install and rebuild
"""
