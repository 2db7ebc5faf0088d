"""What an export of a kit says of copies that may lie on this host alone."""

from __future__ import annotations

import pytest

from drd.cli.kit import _warn_of_the_same_host
from drd.model.kit import KitPlan, KitRepository


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/srv/drd", "Add a repository elsewhere (`copy_of`) to the plan"),
        ("command:dumps", "Let the tool that makes the copies store them elsewhere as well"),
        ("s3:https://host/bucket", ""),
    ],
)
def test_copies_that_may_be_lost_with_this_host_are_named_with_a_remedy_that_the_plan_can_have(
    url: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _warn_of_the_same_host(KitPlan("shop", "", "", (KitRepository("theirs", url, None),)))
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert bool(told) == bool(said)
    assert ("`copy_of`" in told) == (url == "/srv/drd")
