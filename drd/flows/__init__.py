"""Use cases: they know the ports and the model, never an adapter."""
