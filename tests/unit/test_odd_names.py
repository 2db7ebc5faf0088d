"""Names with line breaks, escapes of the terminal, marks that turn the text and bytes that are not
UTF-8 have one form wherever drd shows them, and break no table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.api.values import text_of
from drd.cli import output
from drd.cli.checks_table import print_checks
from drd.cli.diff import rows_of
from drd.cli.render import hanging, plain, shown
from drd.config.problems import as_name
from drd.kit.document import Heading, Items, Paragraph, Table, html, markdown
from drd.metrics.gauge import printable
from drd.model.difference import Difference, FileChange
from drd.model.run import CheckResult, CheckVerdict
from drd.model.single_item import as_named
from drd.model.text import escaped, readable, storable
from tests.catalogue_support import evidence

ODD = "a\nb\tc\x1b[2Jd\u200fe\u202ef\udce9.txt"
ONE_FORM = r"a\nb\tc\x1b[2Jd\u200fe\u202ef\xe9.txt"
HARMFUL = ("\x1b", "\u200f", "\u202e", "\udce9", "\\udce9", "\t")

Output = pytest.CaptureFixture[str]


def test_the_form() -> None:
    assert escaped(ODD) == ONE_FORM
    assert shown("f\udce9") == plain("f\udce9") == readable("f\udce9") == r"f\xe9"
    assert storable("f\udce9\0") == r"f\xe9\x00"
    assert printable("f\udce9") == r"f\\xe9", "the backslash of a label is escaped"
    assert text_of("f\udce9") == output.unmarked("f\udce9") == r"f\xe9"
    assert readable("half \ud800 ü") == "half \\ud800 ü"


def test_a_table_keeps_one_line_a_row() -> None:
    lines = output.table([[f"  {ODD}", "12 B"], ["  b", "1.0 MiB"]], header=["  NAME", "SIZE"])
    assert lines.split("\n") == [
        f"  NAME{' ' * (len(ONE_FORM) - 4)}  SIZE",
        f"  {ONE_FORM}  12 B",
        f"  b{' ' * (len(ONE_FORM) - 1)}  1.0 MiB",
    ]


def test_checks_have_one_line_each(capsys: Output) -> None:
    checks = (
        CheckResult(ODD, "etc", CheckVerdict.PASSED, f"equal {ODD}", ""),
        CheckResult("東京", "etc", CheckVerdict.PASSED, "equal", ""),
    )
    print_checks(replace(evidence("d1"), checks=checks), colour=False)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"  check      {ONE_FORM}  equal a b c")
    assert not any(mark in first for mark in HARMFUL)
    assert len(second) + 2 == len(first), "wide characters take two columns"


def test_differences_have_one_line_each() -> None:
    found = Difference(1, files=(FileChange(ODD, "changed", ("content",)),))
    ((_, name, _),) = rows_of(found)
    assert name == ONE_FORM


def test_a_text_on_a_narrow_terminal_has_the_same_form() -> None:
    lines = hanging("  now at     ", escaped(f"etc: {ODD}"), 60)
    assert ONE_FORM in "\n".join(lines)
    assert plain("bad\x1b[31m\rname\u202e") == r"bad\x1b[31m name\u202e"


def test_pages_show_what_could_turn_or_hide_the_text() -> None:
    document = [
        Heading(1, ODD),
        Paragraph(f"`{ODD}`"),
        Items((ODD,)),
        Table((ODD,), ((ODD,),)),
    ]
    page = html(document).decode()
    assert not any(mark in page for mark in HARMFUL)
    assert page.count(r"d\u200fe\u202ef\xe9.txt") == 6
    assert r"f\xe9.txt" in markdown(document).decode()


def test_a_name_from_a_document_can_be_asked_for() -> None:
    assert as_named(output.unmarked(ODD), (ODD, "b")) == ODD
    assert as_named(ONE_FORM, (ODD, "b")) == ODD


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('Öl & "Probe"?', "ol-probe"),
        ("Straße", "strasse"),
        ("crème_brûlée", "creme-brulee"),
        ("o\u0308l", "ol"),
        ("日本", ""),
        ("--", ""),
    ],
)
def test_names_of_components_keep_letters_without_their_marks(text: str, name: str) -> None:
    assert as_name(text) == name
