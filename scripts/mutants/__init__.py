"""Change decisions of drd, and check that the unit and contract tests fail."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
