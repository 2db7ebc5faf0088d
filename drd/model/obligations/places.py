"""Jurisdictions: which regimes belong to a place where an organisation or its people are."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from drd.model.obligations.conditions import (
    ANY_STATE,
    RESIDENTS,
    UNKNOWN_RESIDENCE,
    Facts,
)

EU = "EU"
MEMBERS = frozenset(
    {
        "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI",
        "FR", "DE", "GR", "HU", "IE", "IT", "LV", "LT", "LU",
        "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
    }
)  # fmt: skip
"""The member states of the European Union."""

EVERYWHERE = frozenset({"contract", "cards", "any"})
"""Jurisdictions of regimes that depend on no place."""


_ALSO = {"UK": "GB", "EL": "GR"}
_EEA = frozenset({"IS", "LI", "NO"})
"""No members, but the GDPR and other law of the EU applies there."""
_PART_OF = {
    **dict.fromkeys(("GF", "GP", "MF", "MQ", "RE", "YT"), "FR"),
    "AX": "FI",
    **dict.fromkeys(("AS", "GU", "MP", "PR", "VI"), "US"),
}
"""Places with a code of their own where the law of another country applies as well."""


def covering(place: str) -> tuple[str, ...]:
    """Return the jurisdictions whose law applies in a place, the nearest first: `US-CA` is in
    `US`, and `DE-BY` in `DE` and the EU. `UK` and `EL` are GB and GR, as people write them.
    Overseas parts of a country belong to it."""
    written, dash, part = place.partition("-")
    country = _ALSO.get(written, written)
    place = f"{country}{dash}{part}"
    whole = _PART_OF.get(country, country)
    in_eu = whole in MEMBERS or whole in _EEA
    return tuple(dict.fromkeys((place, country, whole, *((EU,) if in_eu else ()))))


def places_of(jurisdictions: Iterable[str], facts: Facts) -> tuple[str, ...]:
    """Return the places of an incident: the places of the organisation, and of the people
    affected."""
    residents = (
        name.removeprefix(RESIDENTS)
        for name, count in facts.items()
        if name.startswith(RESIDENTS) and name not in (ANY_STATE, UNKNOWN_RESIDENCE) and count != 0
    )
    return tuple(dict.fromkeys((*jurisdictions, *residents)))


def is_in(jurisdiction: str, places: Collection[str]) -> bool:
    """Return whether a regime of this jurisdiction can apply at these places; True for every
    jurisdiction while no place is known."""
    if jurisdiction in EVERYWHERE or not places:
        return True
    return any(jurisdiction in covering(place) for place in places)


def without_file(places: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the places for which no regime of their own law is known.

    In the United States each State has its own law in addition to the federal law. Elsewhere the
    law of the country counts; for members of the EU, the law of the EU counts as well."""
    return [place for place in places if not _is_covered(place, known)]


def _is_covered(place: str, known: Collection[str]) -> bool:
    if place.startswith("US-"):
        return place in known
    return any(jurisdiction in known for jurisdiction in covering(place))
