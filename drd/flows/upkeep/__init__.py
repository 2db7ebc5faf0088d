"""What repositories need between backups: copies, verification, retention, prune, rekey."""
