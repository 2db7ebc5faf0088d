"""What `drd diff` prints of components that consist of documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from drd.cli.diff import _print
from drd.flows.restore.difference import LiveDifference, Side
from drd.model.difference import Difference, FileChange
from drd.model.plan import Component
from drd.ports.kinds import Compared

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
LONG = "/settings/deeply/nested/configuration/of/a/gateway/upstream/healthchecks/active/https_sni"


def test_documents_are_shown_field_by_field_in_80_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    changes: list[tuple[str, Any, tuple[str, ...]]] = [
        ("/new", "added", ()),
        ("/new/port", "added", ()),
        ("/opaque", "changed", ("42 bytes (was 46)",)),
        ("/old", "removed", ()),
        ("/old/tags/0", "removed", ()),
        ("/settings", "changed", ("244 bytes (was 38)",)),
        (LONG, "added", ()),
        ("/settings//x", "removed", ()),
        ("/settings/~hidden", "changed", ("contents",)),
        ("/opaque/~hidden", "added", ()),
        ("/settings/theme", "changed", ("contents",)),
        (f"/{'n' * 100}", "added", ()),
    ]
    files = tuple(FileChange(*change) for change in changes)
    found = Difference(compared=9, files=files, counted=("entry", "entries"))
    component = Component("gateway", "http", object())
    sides = Side("aaaaaaaa", NOON), Side("live", NOON)
    _print(LiveDifference("shop", component, *sides, found, Compared()), None)
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert printed == (
        "shop: component gateway: aaaaaaaa (2026-11-28 12:00:00 UTC) compared with live\n"
        "  (2026-11-28 12:00:00 UTC)\n"
        "  added    /new\n"
        "  changed  /opaque\n"
        "  removed  /old\n"
        "  added    /settings/deeply/nested/configuration/of/a/gateway/upstream\n"
        "             /healthchecks/active/https_sni\n"
        "  removed  /settings//x\n"
        "  changed  /settings (a field whose name drd does not show)\n"
        "  changed  /settings/theme\n"
        f"  added    /{'n' * 65}\n"
        f"             {'n' * 35}\n"
        "8 differences, 9 entries compared\n"
    )
