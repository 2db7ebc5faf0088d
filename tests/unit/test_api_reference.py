"""docs/api.md is what the code that decides says."""

from __future__ import annotations

from pathlib import Path

from drd.api.answers import ANSWERS
from drd.api.reference import reference, rights_table
from drd.api.rights import ENDPOINTS, Right, holds

DOCS = Path(__file__).parents[2] / "docs"


def test_page_is_generated_from_models_and_rights() -> None:
    """To make it anew: python -c 'from drd.api.reference import reference; print(reference(),
    end="")'."""
    assert (DOCS / "api.md").read_text() == reference()


def test_every_endpoint_has_an_answer_and_every_answer_an_endpoint() -> None:
    assert {e.name for e in ENDPOINTS} == set(ANSWERS)


def test_table_says_what_the_function_decides() -> None:
    rows = [line.split(" | ") for line in rights_table().splitlines()[2:]]
    for endpoint, row in zip(ENDPOINTS, rows, strict=False):
        reads = holds(endpoint.right, roles=None, reads=True, operates=False)
        operates = holds(endpoint.right, roles=None, reads=False, operates=True)
        assert row[2:4] == ["yes" if reads else "no", "yes" if operates else "no"], endpoint
        person = holds(endpoint.right, roles=("dba",), reads=True, operates=True)
        assert (row[4] != "with the role operator") is person, endpoint
        assert row[5] == "yes |"
    assert {e.right for e in ENDPOINTS} == set(Right)
