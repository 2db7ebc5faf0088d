"""drd's receiver of a log, whose hours are shorter, so that a day of pushes and upkeep passes in
minutes. BENCH_HOUR_S has the seconds of its hour."""

from __future__ import annotations

import os

from drd.__main__ import start
from drd.flows.log import keeper, upkeep

if __name__ == "__main__":
    share = float(os.environ["BENCH_HOUR_S"]) / 3600
    for module, name in (
        (keeper, "BATCH_S"), (keeper, "LIST_S"), (upkeep, "FORGET_S"), (upkeep, "PRUNE_S"),
    ):  # fmt: skip
        setattr(module, name, getattr(module, name) * share)
    begin = keeper.Keeper.__init__

    def hurried(self: keeper.Keeper, *args: object) -> None:
        begin(self, *args)  # type: ignore[arg-type]
        self.every_s *= share

    setattr(keeper.Keeper, "__init__", hurried)  # noqa: B010  # mypy refuses the assignment
    start()
