"""Who is told about an incident, and from whom a message needs an approval."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from drd.model.contacts import ContactKind


class Audience(StrEnum):
    """Whom a message is for. Each has a template of this name."""

    INTERNAL = "internal"
    BUSINESS_OWNER = "business-owner"
    EXECUTIVES = "executives"
    CUSTOMERS = "customers"
    PARTNERS = "partners"
    STATUS_PAGE = "status-page"
    REGULATOR = "regulator"
    PRESS = "press"

    @property
    def is_external(self) -> bool:
        """Whether its messages leave the house, and therefore only after an approval."""
        return self in OUTSIDE


OUTSIDE: Mapping[Audience, tuple[ContactKind, ...]] = {
    Audience.CUSTOMERS: (ContactKind.CUSTOMER,),
    Audience.PARTNERS: (ContactKind.PARTNER, ContactKind.PROCESSOR),
    Audience.STATUS_PAGE: (ContactKind.STATUS_PAGE,),
    Audience.REGULATOR: (ContactKind.AUTHORITY,),
    Audience.PRESS: (ContactKind.PRESS,),
}
"""Which contacts of drd.yaml belong to each audience outside."""

ROLES: Mapping[Audience, tuple[str, ...]] = {
    Audience.BUSINESS_OWNER: ("business owner", "business-owner"),
    Audience.EXECUTIVES: ("executive", "executives"),
}
"""Which roles of `people` belong to each audience inside that is written to by name."""
