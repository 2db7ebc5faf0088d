"""A test that fails has failed, unless it kills a process at a random moment."""

from __future__ import annotations

import pytest

import tests.conftest as suite


def test_only_tests_that_kill_are_run_again(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        kills, again = (item.get_closest_marker(name) for name in ("kills", "flaky"))
        assert (kills is None) == (again is None), item.nodeid
        assert again is None or again.kwargs == {"reruns": 2}, item.nodeid


def test_option_that_runs_every_test_again_is_refused(pytestconfig: pytest.Config) -> None:
    class Asked:
        def getoption(self, name: str, default: object = None) -> object:
            return 1 if name == "reruns" else pytestconfig.getoption(name, default)

    with pytest.raises(pytest.UsageError, match="only tests marked `kills` are run again"):
        suite.pytest_configure(Asked())  # type: ignore[arg-type]
