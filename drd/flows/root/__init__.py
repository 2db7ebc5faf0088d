"""What root records and trusts when it acts on the state of another user."""
