"""What root notes and believes when it acts on the state of another user."""
