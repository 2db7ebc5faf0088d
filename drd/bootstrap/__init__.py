"""The composition root: the only package that imports everything.

A command line verb opens an `App`, asks it for the services of a plan, and closes it."""

from drd.bootstrap.app import App, Console, app

__all__ = ["App", "Console", "app"]
