"""The kinds of controls: read-only checks of the live service, one module for each kind."""
