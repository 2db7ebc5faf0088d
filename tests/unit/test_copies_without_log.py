"""Which copies are told not to have the logs that continue the restore points."""

from __future__ import annotations

import pytest

from drd.model.copies_without_log import copies_without_log
from drd.model.facts import ComponentFacts, CopyFacts
from tests.status_support import NOW, healthy

LOGGED = ComponentFacts("db", "postgres", log_every_s=60.0)
PLAIN = ComponentFacts("files", "files")


def copy(name: str, *logs: str) -> CopyFacts:
    return CopyFacts(name, "primary", logs=tuple((one, NOW) for one in logs))


def told(components: tuple[ComponentFacts, ...], *copies: CopyFacts) -> str:
    found = copies_without_log(healthy(components=components, copies=copies))
    return "".join(reason.text for reason in found)


@pytest.mark.parametrize(
    ("components", "copies"),
    [
        ((PLAIN,), (copy("offsite"),)),  # no log at all
        ((LOGGED, PLAIN), ()),
        ((LOGGED, PLAIN), (copy("offsite", "db"),)),
        ((LOGGED,), (copy("offsite", "db", "former"),)),
    ],
)
def test_nothing_is_told_if_no_copy_lacks_a_log(
    components: tuple[ComponentFacts, ...], copies: tuple[CopyFacts, ...]
) -> None:
    assert told(components, *copies) == ""


def test_copies_that_lack_one_of_the_logs_are_named() -> None:
    both = (LOGGED, LOGGED._replace(component="more"), PLAIN)
    assert told(both, copy("offsite", "db"), copy("tape", "db", "more")).startswith(
        "copy offsite does not have the log of db, more: a recovery from it alone loses"
    )
    assert told(both, copy("offsite"), copy("tape")).startswith(
        "copies offsite, tape do not have the log of db, more: a recovery from one of them alone"
    )
