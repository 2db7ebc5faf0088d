"""The recovery kit: one encrypted file with everything that restores services on a machine that has
never seen them, and the way from there to a host that can recover.

gather → pack → seal → FILE → unseal → unpack → verify, or install and rebuild"""
