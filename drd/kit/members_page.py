"""The printed runbook for members of the group: without what opens the repositories."""

from __future__ import annotations

import platform
from datetime import datetime

from drd.config.daemon import DaemonSettings
from drd.config.people import people
from drd.kit.document import markdown
from drd.kit.gather import kit_plan_of, last_drill
from drd.kit.runbook import for_members
from drd.model.kit import KitIndex
from drd.model.plan import Plan
from drd.ports import Catalogue


def members_page(plan: Plan, settings: DaemonSettings, catalogue: Catalogue, now: datetime) -> str:
    """Return the page as Markdown. Resolves no secret."""
    index = KitIndex(
        made_at=now,
        host=platform.node(),
        config=None,
        config_dir="",
        plans=(kit_plan_of(plan, catalogue, "", ()),),
        secrets=(),
        files={},
        versions={},
        digests={},
    )
    page = for_members(plan, index, people(settings.file), last_drill(plan, catalogue))
    return markdown(page).decode("utf-8", "replace")
