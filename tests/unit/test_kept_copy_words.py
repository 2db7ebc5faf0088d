"""How a kept copy is named."""

from drd.cli.aside import line
from drd.ports import Aside


def test_recovered_data_that_an_undo_replaced_has_the_changes_since() -> None:
    """`drd done` removes them as well: the copy is more than the point has."""
    kept = Aside("db", "/srv/shop.db", "/srv/shop.db.drd_1_after", None, former=False)
    assert line(kept).endswith("restored to /srv/shop.db, with every change since the recovery")
