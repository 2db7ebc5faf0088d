"""What each verb takes: options, examples, and the function that carries it out, by its name.

These modules are all that a completion or a `--help` imports.
"""
