"""A catalogue on each database, for the suites that hold it to its promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue
from drd.catalogue.summary import read_facts, read_status, read_through_sqlalchemy
from drd.model.facts import PlanFacts
from tests.catalogue_support import Catalogues, opened


@pytest.fixture(scope="session")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Catalogues:
    return Catalogues(tmp_path_factory.mktemp("catalogues"))


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_url(request: pytest.FixtureRequest, catalogues: Catalogues, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return catalogues.in_file(tmp_path / "state" / "drd.db")
    return catalogues.in_server(request.getfixturevalue("lasting_postgres"))


@pytest.fixture
def catalogue(catalogue_url: str, tmp_path: Path) -> Iterator[SqlCatalogue]:
    made = opened(catalogue_url, tmp_path)
    yield made
    made.close()


@pytest.fixture
def facts(catalogue_url: str) -> Callable[..., PlanFacts]:
    """Reads those of one plan, and sees that both readers say the same."""

    def read(name: str = "orders-api") -> PlanFacts:
        found = read_status(catalogue_url)
        assert read_through_sqlalchemy(catalogue_url, None) == found
        assert read_facts(catalogue_url) == found.plans
        one: PlanFacts
        [one] = [f for f in found.plans if f.plan == name]
        of_one = found._replace(plans=[one], others={})
        assert read_status(catalogue_url, name) == of_one
        assert read_through_sqlalchemy(catalogue_url, name) == of_one
        return one

    return read
