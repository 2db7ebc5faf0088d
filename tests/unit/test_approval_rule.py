"""Who may approve a message to people outside, and whose approval is that of another person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.errors import UsageError
from drd.model.actor import Actor
from drd.model.contacts import Colleague, ContactBook
from drd.model.incidents.approval import ApprovalRule
from drd.model.incidents.audiences import Audience
from drd.model.incidents.messages import Content, IncidentMessage, Part, Recipient, Way
from drd.model.incidents.objections import approval_lacks, require_sufficient_approval
from drd.model.incidents.recipients import Reach
from tests.records_support import BEGUN

PEOPLE = {"Anna": ("legal", "dba"), "Bob": ("press",), "Carol": ()}
ANNA = Actor(1000, "anna", 1000, "db1", "terminal")
BOB = Actor(1001, "bob", 1001, "db1", "terminal")
ROOT = Actor(0, "root", None, "db1", "terminal")


def lack(
    name: str,
    *roles: str,
    approver: Actor | None = BOB,
    drafter: Actor | None = ANNA,
    two_person: bool = False,
) -> UsageError | None:
    rule = ApprovalRule(roles, two_person)
    return rule.lacks(name, PEOPLE, approver=approver, drafter=drafter)


@pytest.mark.parametrize(
    ("name", "roles"),
    [("Anna", ("legal",)), ("anna", ("ceo", "dba")), ("Bob", ("press",)), ("Eve", ())],
)
def test_people_with_one_of_the_roles_may_approve_and_without_roles_everybody(
    name: str, roles: tuple[str, ...]
) -> None:
    assert lack(name, *roles) is None


@pytest.mark.parametrize(
    ("name", "roles", "hint"),
    [
        ("Bob", ("legal",), "ask somebody who has this role: Anna."),
        ("Eve", ("legal", "press"), "ask somebody who has this role: Anna or Bob."),
        ("Carol", ("press",), "ask somebody who has this role: Bob."),
        ("Anna", ("ceo",), "nobody has this role: give it to a person under `people` in drd.yaml."),
    ],
)
def test_whoever_lacks_the_role_is_told_who_has_it(
    name: str, roles: tuple[str, ...], hint: str
) -> None:
    error = lack(name, *roles)
    assert error is not None
    assert error.message.startswith(
        f"{name} may not approve messages: drd.yaml asks for the role {' or '.join(roles)} "
    )
    assert error.hint == hint


def test_one_person_is_enough_unless_the_rule_asks_for_two() -> None:
    assert lack("Anna", approver=ANNA) is None
    assert lack("Bob", two_person=True) is None


@pytest.mark.parametrize(
    ("approver", "drafter", "message", "again"),
    [
        (ANNA, ANNA, "anna drafted this message, so another person has to approve it", False),
        (replace(ROOT, login_uid=1000, login_user="anna"), ANNA, "anna drafted this", False),
        (ROOT, ANNA, "drd cannot prove that root is another person than anna, who drafted", True),
        (BOB, ROOT, "drd cannot prove that bob is another person than root, who drafted", True),
        (None, ANNA, "that somebody unknown is another person than anna, who drafted it", True),
        (BOB, None, "that bob is another person than somebody unknown, who drafted it", True),
    ],
)
def test_two_persons_are_two_only_if_the_kernel_proves_it(
    approver: Actor | None, drafter: Actor | None, message: str, *, again: bool
) -> None:
    error = lack("Bob", approver=approver, drafter=drafter, two_person=True)
    assert error is not None
    assert message in error.message
    assert error.hint.startswith("let another person approve the message, as a user of their own")
    assert error.hint.endswith("draft the message again as yourself.") is again


# --- approvals of before, under another name ---


def approved(actor: Actor | None, name: str = "Bob") -> IncidentMessage:
    to = (Recipient("Acme", Way.MAIL, "a@acme.example"),)
    content = Content(Audience.CUSTOMERS, (Part("customers", "en", "subject", "text", to),))
    draft = IncidentMessage(1, 1, content, BEGUN, "anna")
    return replace(draft, approved=draft.digest, approved_by=name, approved_as=actor)


@pytest.mark.parametrize(
    ("actor", "users", "enough"),
    [
        (None, {"bob": "Bob"}, True),  # approved before drd recorded who it was
        (ROOT, {"bob": "Bob"}, True),
        (BOB, {"bob": "bob"}, True),
        (replace(BOB, user="eve"), {"bob": "Bob"}, False),
        (replace(BOB, user="eve"), {}, True),  # drd.yaml maps nobody to Bob
        (replace(BOB, came="socket", claimed_by="Bob"), {}, True),
        (replace(BOB, came="socket"), {}, False),  # a user alone is nobody under `people`
        (replace(BOB, came="socket"), {"bob": "Bob"}, True),
        (replace(BOB, user="eve", came="socket"), {"bob": "Bob"}, False),
    ],
)
def test_a_user_who_approved_under_the_name_of_another_has_no_role(
    actor: Actor | None, users: dict[str, str], *, enough: bool
) -> None:
    book = ContactBook((Colleague("Anna", ("legal",)), Colleague("Bob", ("legal",))))
    reach = Reach(book, leads=str, approval=ApprovalRule(("legal",)), users=users)
    error = approval_lacks(approved(actor), reach)
    assert (error is None) is enough
    if error is None:
        require_sufficient_approval(approved(actor), 7, reach)
        return
    assert error.hint == "ask somebody who has this role: Anna."
    with pytest.raises(UsageError, match="message 1 lacks an approval") as raised:
        require_sufficient_approval(approved(actor), 7, reach)
    assert raised.value.hint.endswith("Anna. Then: drd incident message approve 7 1")


def test_an_approval_of_nothing_approves_nothing() -> None:
    nothing = IncidentMessage(1, 1, None, BEGUN, "anna")
    assert nothing.is_approved is False
    assert approved(BOB).is_approved is True
    assert replace(approved(BOB), intact=False).is_approved is False
