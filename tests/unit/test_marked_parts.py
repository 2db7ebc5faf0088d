"""Parts that drd renews in a file of people."""

from __future__ import annotations

import pytest

from drd.errors import ConfigError
from drd.model.marked_parts import renewed, texts

OF = "incident 3"
FRESH = """<!-- drd begin: incident 3 head -->
new head
<!-- drd end: incident 3 head -->
new prompt
<!-- drd begin: incident 3 impact -->
new impact
<!-- drd end: incident 3 impact -->
"""


def test_what_people_wrote_stays_byte_for_byte() -> None:
    mine = (
        "my preface\r\n"
        "  <!-- drd begin: incident 3 impact -->  \r\n"
        "old\r\n"
        "older\r\n"
        "<!-- drd end: incident 3 impact -->\r\n"
        "caf\u00e9 \u2028 and\ttabs  \r\n"
        "no line end"
    )
    made, missing = renewed(mine, FRESH, OF, "p.md")
    assert made == mine.replace("old\r\nolder\r\n", "new impact\r\n")
    assert missing == ("head",)
    assert renewed(made, FRESH, OF, "p.md") == (made, missing)


def test_parts_may_be_moved() -> None:
    first, prompt, second = FRESH.partition("new prompt\n")
    made, missing = renewed(second.replace("new", "old") + prompt + first, FRESH, OF, "p.md")
    assert made == second + prompt + first
    assert not missing


@pytest.mark.parametrize(
    ("text", "line", "fact"),
    [
        ("only mine\n", 1, "the file does not contain the markers of a part that drd writes"),
        ("<!-- drd begin: incident 3 head -->\nx\n", 1, "the line that ends it is missing"),
        ("a\n<!-- drd end: incident 3 head -->\n", 2, "no line before this one begins the part"),
        (
            "<!-- drd begin: incident 3 head -->\n<!-- drd begin: incident 3 impact -->\n",
            1,
            "the line that ends it is missing",
        ),
        (
            "<!-- drd begin: incident 3 head -->\n<!-- drd end: incident 3 impact -->\n",
            2,
            'part "impact" ends here, but no line before this one begins the part',
        ),
        (FRESH + FRESH, 8, 'part "head" begins a second time'),
        (FRESH.replace("incident 3", "incident 4"), 1, "about incident 4, not about incident 3"),
        (
            FRESH.replace("begin: incident 3 imp", "beginn: incident 3 imp"),
            5,
            "this marker does not have the form that drd writes",
        ),
        (
            FRESH.replace("<!-- drd end: incident 3 head", "x <!-- drd end: incident 3 head"),
            3,
            "not",
        ),
        (FRESH.replace("impact", "weather"), 5, 'drd does not write a part "weather"'),
    ],
)
def test_broken_markers_are_refused_with_the_line(text: str, line: int, fact: str) -> None:
    with pytest.raises(ConfigError) as refused:
        renewed(text, FRESH, OF, "p.md")
    [problem] = refused.value.problems
    assert (problem.file, problem.line) == ("p.md", line)
    assert fact in problem.message
    assert problem.hint


def test_texts_by_part() -> None:
    assert texts(FRESH, OF) == {"head": "new head", "impact": "new impact"}
