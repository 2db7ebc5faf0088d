"""Receive the logs of servers, store them beside the restore points, and fetch them for a recovery
that replays them.
"""
