"""docs/security.md says which test shows what an attacker cannot do: a page that names a test which
is not there claims more than drd knows, and a replay that the page leaves out is one that nobody
finds.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = {
    name if "/" in name else f"tests/security/{name}"
    for name in re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`", PAGE)
}


def test_every_test_that_the_page_names_is_there() -> None:
    missing = {name for name in NAMED if not (ROOT / name).is_file()}

    assert len(NAMED) > 20
    assert missing == set()


def test_every_replay_is_named_on_the_page() -> None:
    here = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}

    assert here - NAMED - {"tests/security/test_documented.py"} == set()
