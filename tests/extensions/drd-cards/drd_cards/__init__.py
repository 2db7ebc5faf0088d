"""Cards: a directory of text files. An example of a kind that is a directory."""

from typing import Literal

from pydantic import Field

from drd.fields import AbsolutePath, Settings
from drd.ports.kinds import KindSpec, Starting


class CardsSettings(Settings):
    """Cards: the files in one directory."""

    kind: Literal["cards"]
    path: AbsolutePath = Field(description="The directory.")


class CardsTarget(Settings):
    """Where cards are restored to."""

    path: AbsolutePath = Field(description="The directory to restore to.")


SPEC = KindSpec(
    name="cards",
    settings=CardsSettings,
    target=CardsTarget,
    adapter="drd_cards.kind:CardsKind",
    comparison="rows",
    paths=lambda settings: (settings.path,),
    starting=Starting("drd_cards.kind:wishes"),
)
