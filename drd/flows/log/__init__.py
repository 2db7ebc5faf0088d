"""The logs of servers: received, stored beside the restore points, and fetched for a replay."""
