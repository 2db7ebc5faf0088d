"""drd: a disaster recovery daemon for people who run APIs."""

__version__ = "0.1.0"
