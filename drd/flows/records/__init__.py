"""The chain of records: its key, its anchors, and whether it is complete and unchanged."""
