"""The daemon: starts what is due, supervises runs, and sends alerts."""
