"""Messages of an incident: what became of each, who gets one, and the rows that send it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drd.errors import UsageError
from drd.model.contacts import Colleague, Contact, ContactBook, ContactKind
from drd.model.incidents import entries as kinds
from drd.model.incidents.audiences import Audience
from drd.model.incidents.entries import Author, draft
from drd.model.incidents.incident import Incident, Scoped
from drd.model.incidents.letters import Place, channel_of, letter_rows, own_rows
from drd.model.incidents.message_fold import messages
from drd.model.incidents.messages import (
    Content,
    Delivery,
    Fate,
    IncidentMessage,
    Part,
    Recipient,
    Way,
    draft_words,
    words,
)
from drd.model.incidents.objections import require_current
from drd.model.incidents.recipients import Reach, Wanted, addressed
from drd.model.message import INCIDENT, ChannelSpec
from tests.records_support import ANNA, Chain

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ACME = Recipient("Acme", Way.MAIL, "it@acme.example", "smtp")
HOOK = Recipient("Hook", Way.CHANNEL, "hook")
PHONE = Recipient("Dora", Way.HAND, "+49 30 1")
OWN = Recipient("mail", Way.OWN, "mail")
CONTENT = Content(
    Audience.CUSTOMERS,
    (
        Part("customers", "en", "leak", "We know.", (ACME, HOOK)),
        Part("customers", "de", "Leck", "Wir wissen es.", (PHONE, OWN)),
    ),
    NOON + HOUR,
)


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


class Response(Chain):
    """The entries of incident 1, one a minute, with a draft."""

    def __init__(self, content: Content = CONTENT) -> None:
        super().__init__()
        self.say(kinds.DRAFT, content=content.to_json())

    def say(self, kind: str, number: int = 1, **body: Any) -> None:
        author = Author("anna", minute(len(self.entries)), ANNA)
        self.add(draft(kind, number, author, body))

    def act(self, act: str, **body: Any) -> IncidentMessage:
        self.say(kinds.MESSAGE, act=act, **{"message": 1, **body})
        return self.one

    @property
    def one(self) -> IncidentMessage:
        return messages(1, self.entries)[0]


def fates(message: IncidentMessage) -> list[str]:
    return [str(one.fate) for one in message.deliveries]


def test_a_message_is_read_as_it_was_written() -> None:
    assert Content.from_json(CONTENT.to_json()) == CONTENT
    bare = replace(CONTENT, next_update=None)
    assert Content.from_json(bare.to_json()) == bare
    assert bare.to_json()["next_update"] is None
    least = {"name": "a", "way": "hand", "to": "b"}
    assert Recipient.from_json(least) == Recipient("a", Way.HAND, "b")
    for whole in (replace(ACME, key="age1"), replace(ACME, leads="digest")):
        assert Recipient.from_json(whole.to_json()) == whole
    digests = {CONTENT.digest, bare.digest, replace(CONTENT, audience=Audience.PRESS).digest}
    assert len(digests) == 3


def test_each_recipient_belongs_to_a_text() -> None:
    assert CONTENT.recipients == (ACME, HOOK, PHONE, OWN)
    assert [CONTENT.part_of(n).language for n in range(4)] == ["en", "en", "de", "de"]
    with pytest.raises(IndexError):
        CONTENT.part_of(4)


@pytest.mark.parametrize(
    ("recipient", "said"),
    [
        (ACME, "Acme by mail to it@acme.example"),
        (replace(ACME, key="age1"), "Acme by mail to it@acme.example, encrypted"),
        (PHONE, "Dora, by a person: +49 30 1"),
        (HOOK, "Hook through channel hook"),
        (OWN, "mail through channel mail"),
    ],
)
def test_a_recipient_is_described_with_its_way_and_address(recipient: Recipient, said: str) -> None:
    assert recipient.words == said


# --- what became of it ------------------------------------------------------------------------


def test_a_draft_waits_for_an_approval_of_exactly_its_content() -> None:
    made = Response()
    assert made.one == IncidentMessage(
        1, 1, CONTENT, NOON, "anna", "customers", deliveries=(Delivery(),) * 4, drafted_as=ANNA,
        seal=made.one.seal,
    )  # fmt: skip
    assert len(made.one.seal) == 64
    assert (made.one.state, made.one.is_approved, made.one.digest) == (
        "to be approved", False, CONTENT.digest,
    )  # fmt: skip
    assert made.act("approve", digest="another").state == "to be approved"
    found = made.act("approve", digest=CONTENT.digest)
    assert (found.state, found.is_approved) == ("approved", True)
    assert (found.approved_at, found.approved_by) == (minute(2), "anna")
    inside = Response(replace(CONTENT, audience=Audience.EXECUTIVES))
    assert inside.one.state == "drafted"


def test_a_draft_or_an_approval_that_somebody_changed_approves_nothing() -> None:
    for seq in (0, 1):
        made = Response()
        made.act("approve", digest=CONTENT.digest)
        entry = made.entries[seq]
        assert entry.body is not None
        made.entries[seq] = replace(entry, body=replace(entry.body, salt="other"))
        assert (made.one.is_approved, made.one.intact) == (False, False)


def test_a_redacted_draft_keeps_its_number() -> None:
    made = Response()
    made.say(kinds.DRAFT, content=CONTENT.to_json())
    made.act("withdraw", message=2)
    made.entries[0] = replace(made.entries[0], body=None)
    first, second = messages(1, made.entries)
    assert (first.state, first.digest, first.audience, first.deliveries) == ("redacted", "", "", ())
    assert first.drafted_by == "anna"
    assert (second.number, second.entry, second.state) == (2, 2, "withdrawn")
    assert messages(2, made.entries) == ()
    made.entries[0] = replace(made.entries[0], sealed="age")
    assert messages(1, made.entries)[0].state == "encrypted"


@pytest.mark.parametrize(
    ("acts", "found", "state"),
    [
        ([], ["not sent"] * 4, "to be approved"),
        ([("send", {"recipients": [0, 1, 2, 3]})],
         ["waits", "waits", "to be told by a person", "handed to the channels"],
         "to be told by a person"),
        ([("send", {"recipients": [0]})], ["waits", *["not sent"] * 3], "waits"),
        ([("send", {"recipients": [3]})], [*["not sent"] * 3, "handed to the channels"], "sent"),
        ([("send", {"recipients": [0, 2]}), ("told", {"recipient": 2}),
          ("accepted", {"recipient": 0})],
         ["accepted", "not sent", "told", "not sent"], "sent"),
        ([("send", {"recipients": [0, 1]}), ("refused", {"recipient": 0}),
          ("unknown", {"recipient": 1})],
         ["refused", "unknown", "not sent", "not sent"], "unknown"),
        ([("send", {"recipients": [0, 1]}), ("refused", {"recipient": 0}),
          ("bounced", {"recipient": 1})],
         ["refused", "bounced", "not sent", "not sent"], "refused"),
        ([("send", {"recipients": [0, 2]}), ("bounced", {"recipient": 0})],
         ["bounced", "not sent", "to be told by a person", "not sent"], "bounced"),
        ([("send", {"recipients": [0]}), ("accepted", {"recipient": 9}), ("dance", {})],
         ["waits", *["not sent"] * 3], "waits"),
        ([("withdraw", {"reason": "wrong"})], ["not sent"] * 4, "withdrawn"),
    ],
)  # fmt: skip
def test_the_state_of_a_message_follows_from_its_deliveries(
    acts: list[tuple[str, dict[str, Any]]], found: list[str], state: str
) -> None:
    made = Response()
    for act, body in acts:
        made.act(act, **body)
    assert (fates(made.one), made.one.state) == (found, state)


def test_a_delivery_has_the_time_and_the_words_of_the_other_side() -> None:
    made = Response()
    assert made.act("send", recipients=[0]).sent_at == minute(1)
    assert made.act("send", recipients=[1]).sent_at == minute(1)
    made.act("refused", recipient=0, said="550 no such user", reason="x")
    made.act("told", recipient=1, reason="by phone", happened_at=NOON - HOUR)
    first, second, *_ = made.one.deliveries
    assert first == Delivery(Fate.REFUSED, minute(3), "550 no such user")
    assert second == Delivery(Fate.TOLD, NOON - HOUR, "by phone")
    assert made.act("withdraw").withdrawn == "withdrawn"
    assert made.act("withdraw", reason="wrong").withdrawn == "wrong"


def test_each_report_of_a_mail_server_is_kept_once() -> None:
    made = Response()
    made.act("send", recipients=[0, 1])
    made.act("bounced", recipient=0, report="r1")
    made.act("bounced", recipient=0, report="r1")
    assert made.act("bounced", recipient=1, report="r2").reports == {"r1", "r2"}
    assert made.act("accepted", recipient=1).reports == {"r1", "r2"}


def test_a_message_is_drafted_and_approved_by_the_names_that_were_given() -> None:
    made, bob = Response(), Author("Bob", NOON, ANNA)
    approval = {"act": "approve", "message": 2, "digest": CONTENT.digest}
    made.add(draft(kinds.DRAFT, 1, bob, {"content": CONTENT.to_json()}))
    made.add(draft(kinds.MESSAGE, 1, bob, approval))
    first, second = messages(1, made.entries)
    assert (first.drafted_by, first.approved_by) == ("anna", "")
    assert (second.drafted_by, second.approved_by) == ("Bob", "Bob")


def test_only_unchanged_entries_about_messages_change_one() -> None:
    made = Response()
    made.say(kinds.LOG, act="withdraw", message=1)
    assert made.one.withdrawn == ""
    made.act("withdraw", reason="wrong")
    entry = made.entries[-1]
    assert entry.body is not None
    made.entries[-1] = replace(entry, body=replace(entry.body, salt="other"))
    assert (made.one.withdrawn, made.one.intact) == ("", False)


def test_a_message_whose_draft_was_redacted_after_it_was_sent_stays_sent() -> None:
    made = Response()
    made.act("send", recipients=[0])
    made.entries[0] = replace(made.entries[0], body=None)
    assert (made.one.sent_at, made.one.deliveries, made.one.intact) == (minute(1), (), False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"act": "approve", "digest": "a" * 64}, "message 1 approved, digest aaaaaaaaaaaa"),
        ({"act": "send", "audience": "press", "recipients": [0]},
         "message 1 to press sent to 1 address"),
        ({"act": "send", "audience": "press", "recipients": [0, 1]},
         "message 1 to press sent to 2 addresses"),
        ({"act": "withdraw"}, "message 1 withdrawn"),
        ({"act": "accepted", "name": "Acme"}, "message 1 accepted for Acme"),
        ({"act": "refused", "name": "Acme", "said": "550"}, "message 1 not accepted for Acme: 550"),
        ({"act": "unknown", "name": "Acme"}, "message 1 may or may not have reached Acme"),
        ({"act": "bounced", "name": "Acme"}, "message 1 came back from Acme"),
        ({"act": "told", "name": "Dora"}, "message 1 told by a person to Dora"),
    ],
)  # fmt: skip
def test_entries_about_a_message_in_words(body: dict[str, Any], said: str) -> None:
    assert words({"message": 1, **body}) == said
    assert draft_words({"content": CONTENT.to_json()}) == "message to customers drafted: leak"


# --- who gets it ------------------------------------------------------------------------------

ANN = Colleague("ann", ("executive",), "+49 1", "ann@shop.example")
BOB = Colleague("bob", ("business owner", "legal"), "+49 2")
EVE = Colleague("eve", ("executives",))
MAILS = ("a@x.example", "b@x.example")
CUSTOMER = Contact("Acme", ContactKind.CUSTOMER, ("shop",), "de", mails=MAILS, key="age1")
OTHER = Contact("Other", ContactKind.CUSTOMER, ("billing",), channel="hook")
HOSTER = Contact("Hoster", ContactKind.PROCESSOR, phones=("+49 3",), portal="https://h.example")
BOOK = ContactBook((ANN, BOB, EVE), (CUSTOMER, OTHER, HOSTER))
CHANNELS = (
    ChannelSpec("mail", "smtp", None, on=(INCIDENT,)),
    ChannelSpec("grave", "smtp", None, on=(INCIDENT,), severities=("critical",)),
    ChannelSpec("billing", "smtp", None, on=(INCIDENT,), plans=("billing",)),
    ChannelSpec("alerts", "smtp", None, on=("firing",)),
    ChannelSpec("beat", "http", None, on=(INCIDENT,), is_heartbeat=True),
    ChannelSpec("hook", "webhook", None, on=()),
)
REACH = Reach(BOOK, CHANNELS, ("smtp", "mail"), ("owner",), leads=lambda spec: f"to {spec.name}")
SHOP = Incident(1, "leak", severity="low", scope=(Scoped("shop", 1),))


def told(
    audience: str, *to: str, reach: Reach = REACH, encrypt: bool = False, **of: Any
) -> list[str]:
    found = addressed(Audience(audience), replace(SHOP, **of), reach, Wanted(to, encrypt))
    return [f"{one.recipient.words} [{one.language}]" for one in found]


@pytest.mark.parametrize(
    ("audience", "to", "of", "found"),
    [
        ("internal", (), {}, ["mail through channel mail [en]"]),
        ("internal", (), {"severity": "critical"},
         ["mail through channel mail [en]", "grave through channel grave [en]"]),
        ("internal", (), {"scope": (Scoped("billing", 1),)},
         ["mail through channel mail [en]", "billing through channel billing [en]"]),
        ("internal", (), {"scope": ()}, ["mail through channel mail [en]"]),
        ("internal", ("bob", "bob"), {}, ["bob, by a person: +49 2 [en]"]),
        ("internal", (), {"restricted": True, "lead": "eve", "roles": {"x": "ann"}},
         ["ann by mail to ann@shop.example [en]", "eve, by a person: (no address known) [en]"]),
        ("internal", ("BOB",), {"restricted": True, "lead": "Bob"},
         ["bob, by a person: +49 2 [en]"]),
        ("internal", (), {"restricted": True, "lead": "Eve", "roles": {"x": "eve"}},
         ["eve, by a person: (no address known) [en]"]),
        ("executives", (), {},
         ["ann by mail to ann@shop.example [en]", "eve, by a person: (no address known) [en]"]),
        ("executives", (), {"restricted": True, "lead": "eve"},
         ["eve, by a person: (no address known) [en]"]),
        ("business-owner", (), {}, ["owner, by a person: (no address known) [en]"]),
        ("customers", (), {},
         ["Acme by mail to a@x.example [de]", "Acme by mail to b@x.example [de]"]),
        ("customers", (), {"scope": (Scoped("billing", 1),)}, ["Other through channel hook [en]"]),
        ("customers", ("Hoster",), {}, ["Hoster, by a person: +49 3, https://h.example [en]"]),
        ("partners", (), {}, ["Hoster, by a person: +49 3, https://h.example [en]"]),
    ],
)  # fmt: skip
def test_each_audience_has_its_recipients(
    audience: str, to: tuple[str, ...], of: dict[str, Any], found: list[str]
) -> None:
    assert told(audience, *to, **of) == found


def test_people_with_the_role_stand_in_for_a_business_owner_that_no_plan_names() -> None:
    without = replace(REACH, owners=())
    assert told("business-owner", reach=without) == ["bob, by a person: +49 2 [en]"]
    named = replace(REACH, owners=("ann", "ann"))
    assert told("business-owner", reach=named) == ["ann by mail to ann@shop.example [en]"]
    spelled = replace(REACH, owners=("Ann", "ann@shop.example"))
    assert told("business-owner", reach=spelled) == ["ann by mail to ann@shop.example [en]"]
    outside = replace(REACH, owners=("chief@x.example", "hoster"))
    assert told("business-owner", reach=outside) == [
        "chief@x.example by mail to chief@x.example [en]",
        "Hoster, by a person: +49 3, https://h.example [en]",
    ]
    chief = Recipient("chief@x.example", Way.MAIL, "chief@x.example", "smtp")
    assert is_current(chief, outside, Audience.BUSINESS_OWNER)
    assert not is_current(chief, REACH, Audience.BUSINESS_OWNER)
    namesake = Contact("ann", ContactKind.PARTNER, phones=("+49 9",))
    both = replace(REACH, book=replace(BOOK, contacts=(namesake,)), owners=("ann",))
    assert told("business-owner", reach=both) == ["ann by mail to ann@shop.example [en]"]
    unwired = replace(REACH, mail_channels=())
    assert told("partners", reach=unwired) == ["Hoster, by a person: +49 3, https://h.example [en]"]
    assert told("executives", reach=unwired)[0] == "ann, by a person: +49 1 [en]"


def test_mails_are_encrypted_only_where_it_is_asked_for() -> None:
    assert told("customers", encrypt=True) == [
        "Acme by mail to a@x.example, encrypted [de]",
        "Acme by mail to b@x.example, encrypted [de]",
    ]
    with pytest.raises(UsageError, match=r"cannot encrypt the message to Hoster, by a person"):
        told("partners", encrypt=True)


@pytest.mark.parametrize(
    ("number", "last"), [(5, ", c4, by a person: 1: a"), (6, " and 1 more: a")]
)
def test_five_recipients_without_a_key_are_named_and_the_others_counted(
    number: int, last: str
) -> None:
    keyless = tuple(Contact(f"c{n}", ContactKind.CUSTOMER, phones=("1",)) for n in range(number))
    reach = replace(REACH, book=ContactBook((), keyless))
    with pytest.raises(UsageError) as caught:
        told("customers", *(one.name for one in keyless), reach=reach, encrypt=True)
    assert last in caught.value.message
    assert caught.value.message.count("by a person") == 5


def test_a_person_named_as_the_owner_comes_before_one_with_this_address() -> None:
    named = Colleague("ann@shop.example", phone="+49 7")
    reach = replace(REACH, book=ContactBook((ANN, named)), owners=(named.name,))
    assert told("business-owner", reach=reach) == ["ann@shop.example, by a person: +49 7 [en]"]


NO_BOOK = replace(REACH, book=ContactBook(), owners=())


@pytest.mark.parametrize(
    ("audience", "to", "reach", "of", "fact", "remedy"),
    [
        ("internal", (), replace(REACH, channels=()), {}, "drd.yaml does not define a channel",
         "add i"),
        ("internal", (), REACH, {"restricted": True}, "nobody who may read the restricted incident",
         "give people a role: drd incident role 1"),
        ("executives", (), REACH, {"restricted": True}, "nobody who may read", "give people"),
        ("internal", ("bob",), REACH, {"restricted": True, "lead": "ann"},
         "incident 1 is restricted, and 'bob' has no role in it",
         "give people a role: drd incident role 1 ROLE NAME"),
        ("executives", (), NO_BOOK, {}, "nobody in drd.yaml belongs to the audience",
         "add the role 'executive' to a person"),
        ("business-owner", (), NO_BOOK, {"scope": ()}, "belongs to the audience business-owner",
         "add `business_owner` to the plan, or the role"),
        ("press", (), REACH, {}, "no contact in drd.yaml belongs to the audience press for shop",
         "add a contact of kind press"),
        ("partners", (), NO_BOOK, {"restricted": True}, "no contact in drd.yaml belongs to the",
         "add a contact of kind partner or processor"),
        ("customers", ("Acne",), REACH, {}, "`contacts` in drd.yaml does not",
         "did you mean Acme?"),
        ("customers", ("zzz",), REACH, {}, "not contain 'zzz'", "use one of: Acme, Other, Hoster."),
        ("customers", ("ann",), REACH, {}, "in drd.yaml does not contain 'ann'", "use one of"),
        ("internal", ("Acme",), REACH, {}, "`people` in drd.yaml does not", "use one of: an"),
        ("internal", ("zoe",), NO_BOOK, {}, "contain 'zoe'", "add this name under `people` in"),
        ("customers", (), replace(REACH, mail_channels=()), {}, "cannot send mails to Acme",
         "add {kind: smtp"),
        ("customers", ("Other",), replace(REACH, channels=CHANNELS[:-1]), {},
         "drd.yaml does not define channel hook under `notify`, but contact Other uses",
         "add this channel"),
    ],
)  # fmt: skip
def test_a_message_that_nobody_would_get_is_refused(  # noqa: PLR0917
    audience: str, to: tuple[str, ...], reach: Reach, of: dict[str, Any], fact: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as caught:
        told(audience, *to, reach=reach, **of)
    assert fact in caught.value.message
    assert str(caught.value.hint).startswith(remedy)


@pytest.mark.parametrize(("scope", "about"), [((), ""), ((Scoped("shop", 1),), " for shop")])
def test_the_plans_are_named_for_which_nobody_gets_a_message(
    scope: tuple[Scoped, ...], about: str
) -> None:
    with pytest.raises(UsageError) as caught:
        told("executives", reach=NO_BOOK, scope=scope)
    assert caught.value.message == (f"nobody in drd.yaml belongs to the audience executives{about}")


@pytest.mark.parametrize(
    ("recipient", "current"),
    [
        (OWN, True),
        (Recipient("smtp", Way.OWN, "beat"), False),
        (PHONE, False),
        (Recipient("Hoster", Way.HAND, "+49 3, https://h.example"), True),
        (Recipient("Hoster", Way.HAND, "+49 4"), False),
        (Recipient("bob", Way.HAND, "+49 2"), True),
        (Recipient("owner", Way.HAND, "(no address known)"), True),
        (Recipient("owner", Way.HAND, "+49 2"), False),
        (Recipient("Acme", Way.MAIL, "a@x.example", "smtp"), True),
        (Recipient("Acme", Way.MAIL, "a@x.example", "smtp", "age1"), True),
        (Recipient("Acme", Way.MAIL, "a@x.example", "smtp", "age2"), False),
        (Recipient("Acme", Way.MAIL, "a@x.example", "gone"), False),
        (Recipient("Acme", Way.MAIL, "c@x.example", "smtp"), False),
        (Recipient("ann", Way.MAIL, "ann@shop.example", "mail"), True),
        (Recipient("ann", Way.MAIL, "ann@shop.example", "mail", "age1"), False),
        (Recipient("nobody", Way.MAIL, "a@x.example", "smtp"), False),
        (Recipient("Other", Way.CHANNEL, "hook", leads="to hook"), True),
        (Recipient("Other", Way.CHANNEL, "hook", leads="elsewhere"), False),
        (Recipient("Other", Way.CHANNEL, "mail"), False),
        (Recipient("Other", Way.CHANNEL, "mail", leads="to mail"), False),
        (Recipient("eve", Way.HAND, "(no address known)"), True),
        (Recipient("eve", Way.MAIL, "", "smtp"), False),
        (Recipient("Acme", Way.CHANNEL, "hook"), False),
        (Recipient("nobody", Way.CHANNEL, "hook"), False),
    ],
)
def test_a_recipient_is_current_while_drd_yaml_has_its_address(
    recipient: Recipient, *, current: bool
) -> None:
    assert is_current(recipient, REACH) is current
    gone = replace(REACH, channels=())
    carried = recipient.way in (Way.CHANNEL, Way.OWN)
    assert is_current(recipient, gone) is (current and not carried)


def test_a_message_of_a_restricted_incident_leaves_only_to_people_with_a_role_in_it() -> None:
    secret = replace(SHOP, restricted=True, lead="ann", roles={"legal": "mail"})
    ann = Recipient("ann", Way.MAIL, "ann@shop.example", "mail")
    assert is_current(ann, REACH, Audience.INTERNAL, secret)
    for other in (Recipient("bob", Way.HAND, "+49 2"), OWN):
        assert is_current(other, REACH, Audience.INTERNAL)
        assert not is_current(other, REACH, Audience.INTERNAL, secret)
    acme = Recipient("Acme", Way.MAIL, "a@x.example", "smtp")
    assert is_current(acme, REACH, Audience.CUSTOMERS, secret)


def is_current(
    recipient: Recipient,
    reach: Reach,
    audience: Audience = Audience.CUSTOMERS,
    incident: Incident = SHOP,
) -> bool:
    part = Part("customers", "en", "x", "y", (recipient,))
    content = Content(audience, (part,))
    message = IncidentMessage(1, 1, content, NOON, "anna")
    with suppress(UsageError):
        require_current(message, 0, incident, reach)
        return True
    return False


# --- how it is sent ---------------------------------------------------------------------------


def test_each_mail_and_channel_is_a_row_without_text_and_address() -> None:
    message = Response().one
    rows = letter_rows(1, message, [0, 1, 2, 3], NOON)
    assert [(channel, channel_of(channel)) for channel, _ in rows] == [
        ("letter/smtp", "smtp"), ("letter/hook", "hook"),
    ]  # fmt: skip
    assert [Place.of(row) for _, row in rows] == [
        Place(1, 1, 0, CONTENT.digest), Place(1, 1, 1, CONTENT.digest),
    ]  # fmt: skip
    assert "acme" not in str(rows).lower()
    assert [row.title for _, row in letter_rows(1, message, [1], NOON)] == [
        "message 1 of incident 1"
    ]
    assert channel_of("smtp") == ""


def test_a_row_that_is_being_sent_says_since_when() -> None:
    [(_, row)] = letter_rows(1, Response().one, [0], NOON)
    sending = replace(row, details={**row.details, "sending": "2026-11-28T12:00:00Z"})
    assert Place.of(sending).sending == "2026-11-28T12:00:00Z"


def test_ones_own_people_get_the_text_of_their_part() -> None:
    [(channel, row)] = own_rows(SHOP, Response().one, [0, 1, 2, 3], "warning", NOON)
    assert (channel, row.event, row.severity) == ("mail", INCIDENT, "warning")
    assert (row.title, row.text) == ("Leck", "Wir wissen es.")
    assert Place.of(row) == Place(1, 1, 3, CONTENT.digest)
    assert own_rows(SHOP, Response().one, [0], "warning", NOON) == []
