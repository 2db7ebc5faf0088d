"""The options of each verb, its examples, and the name of the function that executes it.

A completion or a `--help` imports only these modules."""
