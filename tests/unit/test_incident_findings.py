"""What incidents left undone, as findings of a plan's readiness."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from drd.config.people import addresses
from drd.model.contacts import ContactBook
from drd.model.incident_findings import of_actions, of_contacts
from drd.model.incidents.actions import ActionItem
from drd.model.incidents.approval import ApprovalRule
from drd.model.incidents.audiences import Audience
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import (
    Content,
    Delivery,
    Fate,
    IncidentMessage,
    Part,
    Recipient,
    Way,
)
from drd.model.incidents.objections import approval_lacks
from drd.model.incidents.recipients import Reach
from tests.records_support import ANNA, BEGUN

DAY = timedelta(days=1)


def item(entry: int, due: float, *, done: bool = False) -> ActionItem:
    at = BEGUN + due * DAY
    return ActionItem(entry, BEGUN, "anna", "secret text", "bob", at, done_at=at if done else None)


def test_overdue_items_are_named_by_their_numbers_alone() -> None:
    incidents = [
        Incident(3, actions=(item(17, 1), item(18, 9), item(19, 1, done=True))),
        Incident(4, actions=(item(20, 2),)),
    ]
    [judged] = of_actions(incidents, BEGUN + 5 * DAY)
    finding = judged.finding
    assert (finding.code, finding.severity) == ("action-items", "warning")
    assert finding.text == (
        "action items of incidents are overdue: item 17 of incident 3 was due 2026-11-29 09:00 "
        "UTC, item 20 of incident 4 was due 2026-11-30 09:00 UTC"
    )
    assert finding.remedy == "to see these items: drd incident action 3 list"
    assert not list(of_actions(incidents, BEGUN))


def message(number: int, *fates: tuple[str, Fate, float]) -> IncidentMessage:
    to = tuple(Recipient("Acme", Way.MAIL, mail) for mail, _, _ in fates)
    content = Content(Audience.CUSTOMERS, (Part("customers", "en", "subject", "text", to),))
    deliveries = tuple(Delivery(fate, BEGUN + day * DAY) for _, fate, day in fates)
    return IncidentMessage(number, 1, content, BEGUN, "anna", deliveries=deliveries)


def test_a_contact_is_named_until_its_address_is_corrected_or_reached() -> None:
    back = message(1, ("Old@acme.example", Fate.BOUNCED, 1), ("b@acme.example", Fate.ACCEPTED, 1))
    known = {"old@acme.example", "b@acme.example"}
    [judged] = of_contacts([(3, back)], known)
    assert judged.finding.text.endswith(
        "drd.yaml still has their addresses: see message 1 of incident 3"
    )
    assert "old@" not in judged.finding.text + judged.finding.remedy

    assert not list(of_contacts([(3, back)], known - {"old@acme.example"}))
    later = message(2, ("old@acme.example", Fate.ACCEPTED, 2))
    assert not list(of_contacts([(3, back), (3, later)], known))
    earlier = message(2, ("old@acme.example", Fate.ACCEPTED, 0))
    assert list(of_contacts([(3, back), (3, earlier)], known))


def test_a_delivery_whose_time_is_unknown_says_nothing_of_the_address() -> None:
    back = message(1, ("old@acme.example", Fate.BOUNCED, 1))
    unknown = replace(back, number=2, deliveries=(Delivery(Fate.ACCEPTED, None),))
    for told in ([(3, back), (3, unknown)], [(3, unknown), (3, back)]):
        [judged] = of_contacts(told, {"old@acme.example"})
        assert judged.finding.text.endswith("see message 1 of incident 3")


def test_only_a_mail_that_was_accepted_or_came_back_says_something_of_the_address() -> None:
    back = message(1, ("old@acme.example", Fate.BOUNCED, 1))
    assert back.content is not None
    later = message(2, ("old@acme.example", Fate.REFUSED, 2))
    hook = Recipient("Acme", Way.CHANNEL, "old@acme.example")
    part = replace(back.content.parts[0], recipients=(hook,))
    other_way = replace(
        message(2, ("old@acme.example", Fate.ACCEPTED, 2)),
        content=replace(back.content, parts=(part,)),
    )
    redacted = replace(message(2, ("old@acme.example", Fate.ACCEPTED, 2)), content=None)
    unsent = replace(message(2, ("old@acme.example", Fate.ACCEPTED, 2)), deliveries=())
    for another in (later, other_way, redacted, unsent):
        [judged] = of_contacts([(3, back), (3, another)], {"old@acme.example"})
        assert judged.finding.text.endswith("see message 1 of incident 3")


def test_an_approval_is_judged_by_the_rule_of_today() -> None:
    reach = Reach(ContactBook((), ()), leads=str, approval=ApprovalRule(roles=("legal",)))
    draft = message(1, ("a@acme.example", Fate.DRAFTED, 0))
    approved = replace(draft, approved=draft.digest, approved_by="Bob", approved_as=ANNA)
    lack = approval_lacks(approved, reach)
    assert lack is not None
    assert "Bob may not approve messages" in lack.message
    assert approval_lacks(approved, replace(reach, approval=ApprovalRule())) is None
    assert approval_lacks(draft, reach) is None, "nobody approved it"
    assert approval_lacks(replace(approved, approved="0" * 64), reach) is None
    assert draft.content is not None
    inside = replace(draft.content, audience=Audience.INTERNAL)
    assert approval_lacks(replace(approved, content=inside, approved=inside.digest), reach) is None


def test_addresses_are_those_of_people_and_contacts(tmp_path: Path) -> None:
    (file := tmp_path / "drd.yaml").write_text(
        "people: [{name: Anna, email: Anna@Example.com}, {name: Bob}]\n"
        "contacts: [{name: Acme, kind: customer, mail: [a@acme.example, b@acme.example]}]\n"
    )
    assert addresses(file) == {"anna@example.com", "a@acme.example", "b@acme.example"}
    assert addresses(None) == frozenset()
