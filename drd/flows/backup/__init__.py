"""Make restore points: one backup run from its row to its manifest."""
