import pytest

# Their assertions say what differs, as in tests.
pytest.register_assert_rewrite("tests.e2e.log_copies", "tests.e2e.logs", "tests.e2e.one_database")
