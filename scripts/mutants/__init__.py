"""Change a decision of drd, and see whether the unit and contract tests notice."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
