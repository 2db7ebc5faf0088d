import pytest

pytest.register_assert_rewrite("tests.e2e.logs")  # its assertions say what differs, as in tests
