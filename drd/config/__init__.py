"""Plans and drd.yaml, from text to checked values. Importing this package loads nothing else."""
