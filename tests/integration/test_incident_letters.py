"""Messages of incidents: nothing external leaves unapproved or changed, each recipient gets its own
mail once, and what is not known is said. The mail server is a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pyrage
import pytest
from sqlalchemy import text

from drd import secrets
from drd.bootstrap.channels import Channels, encrypted
from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.config.daemon import load_settings
from drd.errors import NotifyError, UsageError
from drd.flows.alerts.outbox import deliver_channel
from drd.flows.incidents import messages as flow
from drd.flows.incidents.letters import LetterSender, Ways
from drd.flows.incidents.opening import open_incident
from drd.flows.incidents.recalled import recall
from drd.flows.incidents.writing import Desk
from drd.model.actor import Actor
from drd.model.contacts import Colleague, Contact, ContactBook, ContactKind
from drd.model.incidents.approval import ApprovalRule
from drd.model.incidents.audiences import Audience
from drd.model.incidents.entries import Author
from drd.model.incidents.incident import Incident
from drd.model.incidents.messages import Act, Content, Fate, Part
from drd.model.incidents.recipients import Addressed, Reach, Wanted, addressed
from drd.model.message import INCIDENT, ChannelSpec
from drd.notifiers import open_notifier, pgp
from drd.notifiers.letters import NotifierPost, leads_to, open_post
from drd.notifiers.smtp import SmtpSettings
from drd.notifiers.webhook import WebhookSettings
from drd.ports.notify import DeliveryUnknown, Letter
from tests.catalogue_support import program, unguarded
from tests.notify_support import NOON, HandClock, Post, gnupg, mail_server, pgp_key

ANNA = Actor(1000, "anna", 1000, "db1", "terminal", "anna")
ACME = Contact("Acme", ContactKind.CUSTOMER, ("orders-*",), mails=("it@acme.example",))
BETA = Contact("Beta", ContactKind.CUSTOMER, mails=("beta@b.example",), language="de")
DPA = Contact("DPA", ContactKind.AUTHORITY, phones=("+49 30 1",))
SECRET = "Orders of 27 November were visible to others."


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqlCatalogue]:
    made = open_catalogue(f"sqlite:///{tmp_path}/state/drd.db", create=True)
    yield made
    made.close()


class Response:
    """Incident 1, and what people and drd do with its messages."""

    def __init__(self, catalogue: SqlCatalogue, port: int, *contacts: Contact) -> None:
        self.catalogue = catalogue
        self.clock = HandClock()
        settings = SmtpSettings.model_validate(
            {"kind": "smtp", "host": "127.0.0.1", "port": port, "tls": "none",
             "to": ["a@b.example"], "sender": "dr@us.example"}
        )  # fmt: skip
        mail = ChannelSpec("mail", "smtp", settings)
        people = (Colleague("anna", ("commander",), "1", "anna@us.example"),)
        self.reach = Reach(ContactBook(people, contacts), (mail,), ("mail",), leads=str)
        self.posts: list[Letter] = []
        open_incident(catalogue, self.author, "leak", plans=["orders-api"], severity="high")

    @property
    def author(self) -> Author:
        return Author("Anna", self.clock.now(), ANNA)

    @property
    def desk(self) -> Desk:
        return Desk(self.catalogue, 1, self.author)

    @property
    def incident(self) -> Incident:
        return self.catalogue.incidents.get(1)

    def draft(self, audience: Audience = Audience.CUSTOMERS, *, encrypt: bool = False) -> int:
        found = addressed(audience, self.incident, self.reach, Wanted(encrypt=encrypt))
        return flow.draft(self.desk, content(audience, found)).number

    def approve(self, which: int, digest: str = "") -> None:
        digest = digest or flow.message_of(self.catalogue, 1, which).digest or "0" * 12
        flow.approve(self.desk, which, digest, self.reach, {})

    def send(self, which: int, **more: Any) -> None:
        flow.send(self.desk, which, self.reach, **more)

    def deliver(self) -> int:
        return self.sender().deliver_due()

    def sender(self, **more: Any) -> LetterSender:
        known: dict[str, Any] = {"open_post": lambda spec: open_post(spec, resolve=str), **more}
        ways = Ways(self.reach, known["open_post"])
        return LetterSender(self.catalogue, lambda: ways, encrypted, self.clock)

    def fates(self, which: int = 1) -> list[str]:
        message = flow.message_of(self.catalogue, 1, which)
        return [str(one.fate) for one in message.deliveries]

    def said(self, which: int = 1) -> str:
        message = flow.message_of(self.catalogue, 1, which)
        return " ".join(one.text for one in message.deliveries)


def content(audience: Audience, found: list[Addressed]) -> Content:
    recipients = tuple(one.recipient for one in found)
    return Content(audience, (Part("customers", "en", "Incident", SECRET + "\n", recipients),))


@pytest.fixture
def response(catalogue: SqlCatalogue, post: Post) -> Response:
    return Response(catalogue, post.port, ACME, BETA, DPA)


def test_an_approval_is_judged_by_the_rule_at_the_time_of_sending(
    response: Response, post: Post
) -> None:
    """The rule gets stricter after the approval, and once more while the letter waits."""
    carla = Colleague("Carla", ("legal",))
    book = replace(response.reach.book, people=(*response.reach.book.people, carla))
    loose = replace(response.reach, book=book)
    legal = replace(loose, approval=ApprovalRule(("legal",)))
    two = replace(loose, approval=ApprovalRule((), two_person=True))
    response.draft()
    response.approve(1)
    for reach, words in (
        (legal, "approved it. Anna may not approve messages: drd.yaml asks for the role legal"),
        (two, "anna drafted this message, so another person has to approve it"),
    ):
        response.reach = reach
        with pytest.raises(UsageError, match=words) as raised:
            response.send(1)
        assert "drd incident message approve 1 1" in raised.value.hint
    assert (response.deliver(), post.mails) == (0, [])
    response.reach = loose
    response.send(1)
    response.reach = legal
    response.deliver()
    assert (post.mails, response.fates()[:2]) == ([], ["refused", "refused"])
    assert "asks for the role legal" in response.said()

    other = replace(ANNA, uid=1001, user="carla", login_uid=1001, login_user="carla")
    desk = Desk(response.catalogue, 1, Author("Carla", response.clock.now(), other))
    digest = flow.message_of(response.catalogue, 1, 1).digest
    flow.approve(desk, 1, digest, legal, {"Carla": ("legal",)})
    stranger = replace(legal, users={"somebody": "Carla"})
    response.reach = stranger
    with pytest.raises(UsageError, match="Carla may not approve"):
        response.send(1, again=True, to=["Acme"])
    response.reach = replace(legal, users={"carla": "Carla"})
    response.send(1, again=True, to=["Acme"])
    response.deliver()
    assert [mail["To"] for mail in post.mails] == ["it@acme.example"]
    with pytest.raises(UsageError, match="was sent already"):
        flow.approve(desk, 1, digest, legal, {"Carla": ("legal",)})


def test_nothing_external_leaves_before_an_approval(response: Response, post: Post) -> None:
    which = response.draft()
    with pytest.raises(UsageError, match="nobody has approved message 1 to customers"):
        response.send(which)
    with pytest.raises(UsageError, match="you have read a different text"):
        response.approve(which, "0" * 12)
    assert response.deliver() == 0
    assert post.mails == []
    digest = flow.message_of(response.catalogue, 1, 1).digest
    with pytest.raises(UsageError, match="at least 12 digits are needed"):
        response.approve(which, digest[:11])
    response.approve(which, digest[:12].upper())
    response.send(which)
    assert response.deliver() == 2
    assert response.fates() == ["accepted", "accepted"]


def test_each_recipient_gets_a_mail_of_its_own_with_nothing_of_drd_in_it(
    response: Response, post: Post
) -> None:
    sent(response)
    assert post.readers == [["it@acme.example"], ["beta@b.example"]]
    for mail, reader in zip(post.mails, post.readers, strict=True):
        assert mail["To"] == reader[0]
        assert (mail["Subject"], mail["From"]) == ("Incident", "dr@us.example")
        assert said_in(mail) == SECRET + "\n"
        assert not [name for name in mail if name.startswith("X-")]
        assert "drd" not in mail.as_string()
    assert response.deliver() == 0, "each is sent once"
    response.send(1)
    assert response.deliver() == 0
    assert len(post.mails) == 2


def sent(response: Response, **more: Any) -> int:
    which = response.draft(**more)
    response.approve(which)
    response.send(which)
    response.deliver()
    return which


def said_in(mail: EmailMessage) -> str:
    return mail.get_content().replace("\r\n", "\n")


def test_an_approval_of_one_text_does_not_count_for_another(response: Response, post: Post) -> None:
    first = response.draft()
    response.approve(first)
    with response.catalogue.database.write() as connection:
        unguarded(connection)
        connection.execute(
            text("UPDATE record_bodies SET body = replace(body, '27 November', '28 November')")
        )
    with pytest.raises(UsageError, match="was changed after its approval"):
        response.send(first)
    assert response.deliver() == 0
    assert post.mails == []


def test_a_text_that_is_changed_while_it_waits_does_not_leave(
    response: Response, post: Post
) -> None:
    which = response.draft()
    response.approve(which)
    response.send(which)
    with response.catalogue.database.write() as connection:
        unguarded(connection)
        connection.execute(
            text("UPDATE record_bodies SET body = replace(body, 'it@acme', 'eve@acme')")
        )
    assert response.deliver() == 2
    assert response.fates() == ["refused", "refused"]
    assert "somebody changed the records" in response.said()
    assert post.mails == []


def test_a_message_that_is_taken_back_while_it_waits_does_not_leave(
    response: Response, post: Post
) -> None:
    which = response.draft()
    response.approve(which)
    response.send(which)
    assert flow.withdraw(response.desk, which, "wrong number").state == "withdrawn"
    assert response.deliver() == 2
    assert response.fates() == ["refused", "refused"]
    assert "it was withdrawn" in response.said()
    with pytest.raises(UsageError, match="was withdrawn"):
        response.send(which)
    assert post.mails == []
    later = sent(response)
    with pytest.raises(UsageError, match="was sent already") as refused:
        flow.withdraw(response.desk, later, "too late")
    assert refused.value.hint == "send a correction: drd incident message draft 1 customers"


def test_a_message_to_own_people_that_is_taken_back_while_it_waits_does_not_leave(
    response: Response, post: Post
) -> None:
    mail = replace(response.reach.channels[0], on=(INCIDENT,))
    response.reach = replace(response.reach, channels=(mail,))
    for _ in range(3):
        response.send(response.draft(Audience.INTERNAL))
    flow.withdraw(response.desk, 1, "wrong key")
    with response.catalogue.database.write() as connection:
        unguarded(connection)
        drafted = flow.message_of(response.catalogue, 1, 2).entry
        connection.execute(text(f"UPDATE record_bodies SET body = 'x' WHERE seq = {drafted}"))
    catalogue, clock = response.catalogue, response.clock
    taken = deliver_channel(
        catalogue,
        mail,
        lambda spec: open_notifier(spec, resolve=str),
        clock,
        recall=partial(recall, catalogue, clock),
    )
    assert (taken, len(post.mails)) == (1, 1)
    assert response.fates(1) == ["refused"]
    assert "withdrawn" in response.said(1)
    assert response.fates(3) == ["handed to the channels"]
    assert catalogue.outbox.waiting("mail") == []


def test_the_address_of_a_channel_is_read_once(
    tmp_path: Path, catalogue: SqlCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "drd.yaml"
    config.write_text(
        "plans: plans\nnotify:\n  - {kind: webhook, name: hook, url: {file: /url}, on: [letter]}\n"
    )
    settings, asked = load_settings(config, explicit=True), []

    def resolve(ref: object) -> str:
        asked.append(ref)
        return f"https://{len(asked)}.example/"

    monkeypatch.setattr(secrets, "resolve", resolve)
    ways = Channels(settings, lambda: catalogue, HandClock(), print)._ways()
    (spec,) = settings.channels
    compared = ways.reach.leads(spec)
    carrier = ways.open_post(spec)._notifier  # type: ignore[attr-defined]
    assert carrier.resolve(spec.settings.url) == "https://1.example/"  # type: ignore[attr-defined]
    assert (len(asked), ways.reach.leads(spec)) == (1, compared)


def test_an_address_that_changed_since_the_approval_is_refused(response: Response) -> None:
    which = response.draft()
    response.approve(which)
    moved = (replace(ACME, mails=("new@acme.example",)), BETA)
    response.reach = replace(response.reach, book=ContactBook((), moved))
    gone = r"does not have Acme by mail to it@acme.example any more"
    with pytest.raises(UsageError, match=gone):
        response.send(which)
    with pytest.raises(UsageError, match=gone):
        response.approve(which)


def test_a_letter_that_waits_does_not_leave_to_an_address_that_changed_meanwhile(
    response: Response, post: Post
) -> None:
    post.says = "451 try later"
    sent(response)
    assert response.fates() == ["waits", "waits"]
    post.says = "250 OK"
    moved = (replace(ACME, mails=("new@acme.example",)), BETA)
    response.reach = replace(response.reach, book=ContactBook((), moved))
    response.clock.turn(60)
    response.deliver()
    assert response.fates() == ["refused", "accepted"]
    assert "does not have Acme by mail to it@acme.example any more" in response.said()
    assert "write the message again: drd incident message draft 1 customers" in response.said()
    assert post.readers == [["beta@b.example"]]


def test_a_channel_that_leads_elsewhere_since_the_draft_carries_nothing(
    response: Response, tmp_path: Path
) -> None:
    def hook(url: str, timeout: str = "10s") -> ChannelSpec:
        (tmp_path / "url").write_text(url)
        settings = {"kind": "webhook", "url": {"file": f"{tmp_path}/url"}, "timeout": timeout}
        return ChannelSpec("hook", "webhook", WebhookSettings.model_validate(settings))

    def use(spec: ChannelSpec) -> None:
        channels = (*response.reach.channels[:1], spec)
        leads = partial(leads_to, resolve=secrets.resolve)
        response.reach = replace(response.reach, channels=channels, leads=leads)

    class Takes:
        def post(self, letter: Letter) -> str:
            response.posts.append(letter)
            return "taken"

    page = Contact("page", ContactKind.STATUS_PAGE, channel="hook")
    response.reach = replace(response.reach, book=ContactBook((), (page,)))
    use(hook("https://page.example/one-3f0c"))
    which = response.draft(Audience.STATUS_PAGE)
    content = flow.message_of(response.catalogue, 1, which).content
    assert content is not None
    assert "3f0c" not in str(content.to_json())
    use(hook("https://elsewhere.example/"))
    with pytest.raises(
        UsageError, match="now has a different address for page through channel hook"
    ):
        response.approve(which)
    use(hook("https://page.example/one-3f0c", "20s"))
    response.approve(which)
    response.send(which)
    use(hook("https://elsewhere.example/"))
    sender = response.sender(open_post=lambda _: Takes())
    sender.deliver_due()
    assert response.fates(which) == ["refused"]
    with pytest.raises(UsageError, match="now has a different address"):
        response.send(which, again=True, to=["page"])
    use(hook("https://page.example/one-3f0c"))
    response.send(which, again=True, to=["page"])
    response.sender(open_post=lambda _: Takes()).deliver_due()
    assert response.fates(which) == ["accepted"]
    assert len(response.posts) == 1


def test_a_refusal_is_known_and_shown_and_a_person_may_repeat_it(
    response: Response, post: Post
) -> None:
    post.refuse = {"it@acme.example"}
    which = sent(response)
    assert response.fates() == ["refused", "accepted"]
    assert "550 no such user here" in response.said()
    assert flow.message_of(response.catalogue, 1, which).state == "refused"
    with pytest.raises(UsageError, match="--again needs a recipient"):
        response.send(which, again=True)
    with pytest.raises(UsageError, match="cannot send message"):
        response.send(which, again=True, to=["Beta"])
    post.refuse = set()
    response.send(which, again=True, to=["Acme"])
    response.deliver()
    assert response.fates() == ["accepted", "accepted"]
    assert len(post.mails) == 2


def test_a_server_that_is_away_is_tried_again_for_a_day(response: Response, post: Post) -> None:
    post.says = "451 try later"
    which = sent(response)
    assert response.fates() == ["waits", "waits"]
    response.clock.turn(60)
    post.says = "250 OK"
    assert response.deliver() == 2
    assert response.fates() == ["accepted", "accepted"]
    post.says = "451 try later"
    sent(response)
    response.clock.turn(timedelta(days=2).total_seconds())
    response.deliver()
    assert response.fates(2) == ["refused", "refused"]
    assert len(post.mails) == 2
    assert which == 1


def test_a_letter_stays_though_no_channel_has_its_name_and_a_lost_one_can_be_sent_again(
    response: Response, post: Post
) -> None:
    which = response.draft()
    response.approve(which)
    response.send(which)
    outbox = response.catalogue.outbox
    outbox.prune(response.clock.now(), channels=["mail"])
    assert outbox.channels() == [], "its channel is none of drd.yaml"
    with pytest.raises(UsageError, match="cannot send message"):
        response.send(which, again=True, to=["Acme"])
    with response.catalogue.database.write() as connection:  # as a copy of the state has it
        connection.execute(text("UPDATE outbox SET next_try_at = NULL"))
    assert response.deliver() == 0
    response.send(which, again=True, to=["Acme"])
    assert response.deliver() == 1
    assert response.fates() == ["accepted", "waits"]
    assert len(post.mails) == 1


def test_a_letter_without_a_message_is_put_off(response: Response, post: Post) -> None:
    which = response.draft()
    response.approve(which)
    response.send(which)
    with response.catalogue.database.write() as connection:
        connection.execute(
            text("UPDATE outbox SET body = replace(body, '\"message\"', '\"gone\"')")
        )
    assert response.deliver() == 0
    assert not response.sender().is_due()
    assert post.mails == []


def test_an_answer_that_never_came_is_unknown_and_not_repeated(
    response: Response, post: Post
) -> None:
    class Silent:
        def post(self, letter: Letter) -> str:
            raise DeliveryUnknown("the connection ended before it answered")

    which = response.draft()
    response.approve(which)
    response.send(which)
    assert response.sender(open_post=lambda _: Silent()).deliver_due() == 2
    assert response.fates() == ["unknown", "unknown"]
    assert response.deliver() == 0
    assert post.mails == []


def test_of_several_addresses_only_the_one_that_is_named_came_back(
    catalogue: SqlCatalogue, post: Post
) -> None:
    both = replace(ACME, mails=("it@acme.example", "dr@acme.example"))
    response = Response(catalogue, post.port, both)
    sent(response)
    with pytest.raises(UsageError, match="sent to 2 addresses of 'Acme'") as caught:
        flow.settle(response.desk, 1, "Acme", Act.BOUNCED, said="550", happened_at=NOON)
    assert "--to it@acme.example or --to dr@acme.example" in (caught.value.hint or "")
    flow.settle(response.desk, 1, "dr@acme.example", Act.BOUNCED, said="550", happened_at=NOON)
    assert response.fates() == ["accepted", "bounced"]
    response.send(1, again=True, to=["dr@acme.example"])
    response.deliver()
    assert response.fates() == ["accepted", "accepted"]
    assert len(post.mails) == 3


def test_a_bounce_and_a_call_are_recorded_by_a_person(response: Response) -> None:
    sent(response)
    flow.settle(response.desk, 1, "Acme", Act.BOUNCED, said="550 full", happened_at=NOON)
    assert response.fates() == ["bounced", "accepted"]
    which = sent(response, audience=Audience.REGULATOR)
    assert response.fates(which) == ["to be told by a person"]
    flow.settle(response.desk, which, "DPA", Act.TOLD, said="4711", happened_at=None)
    assert response.fates(which) == ["told"]
    with pytest.raises(UsageError, match="was not sent to 'Eve'"):
        flow.settle(response.desk, 1, "Eve", Act.BOUNCED, said="x", happened_at=None)


def test_mails_are_encrypted_where_it_is_asked_for(catalogue: SqlCatalogue, post: Post) -> None:
    identity = pyrage.x25519.Identity.generate()
    secret = replace(ACME, key=str(identity.to_public()))
    response = Response(catalogue, post.port, secret, BETA)
    with pytest.raises(UsageError, match=r"the message to Beta by mail to beta@b.example"):
        response.draft(encrypt=True)
    response.reach = replace(response.reach, book=ContactBook((), (secret,)))
    sent(response, encrypt=True)
    (mail,) = post.mails
    assert SECRET not in mail.as_string()
    assert mail["Subject"] == "Encrypted message"
    armour = said_in(mail).split("\n\n", 1)[1]
    opened = pyrage.decrypt(armour.encode(), [identity]).decode()
    assert opened == f"Subject: Incident\n\n{SECRET}\n"
    sent(response)
    assert SECRET in said_in(post.mails[1]), "only where it is asked for"


def test_mails_are_encrypted_to_pgp_keys(catalogue: SqlCatalogue, post: Post) -> None:
    with gnupg() as gpg:
        key = pgp_key(gpg)
        response = Response(catalogue, post.port, replace(ACME, key=key))
        sent(response, encrypt=True)
        (mail,) = post.mails
        assert SECRET not in mail.as_string()
        lead, armour = said_in(mail).split("\n\n", 1)
        assert "encrypted to your PGP key" in lead
        assert gpg("--decrypt", input=armour) == f"Subject: Incident\n\n{SECRET}\n"
    with pytest.raises(UsageError, match="gpg cannot encrypt to the contact's PGP key"):
        pgp.encrypted("text", key.replace(key.splitlines()[3], ""))


def test_a_restricted_incident_is_for_those_with_a_role_alone(catalogue: SqlCatalogue) -> None:
    response = Response(catalogue, 1, ACME)
    made = open_incident(catalogue, response.author, "insider", restricted=True)
    people = (
        Colleague("anna", mail="anna@us.example"),
        Colleague("bert", ("executive",), "2", "b@us.example"),
    )
    reach = replace(response.reach, book=ContactBook(people, (ACME,)))
    for audience in (Audience.INTERNAL, Audience.EXECUTIVES):
        with pytest.raises(UsageError, match="nobody who may read the restricted incident 2"):
            addressed(audience, made, reach, Wanted())
        with pytest.raises(UsageError, match="is restricted, and 'bert' has no role") as caught:
            addressed(audience, made, reach, Wanted(("bert",)))
        assert caught.value.hint == "give people a role: drd incident role 2 ROLE NAME"
    desk = Desk(catalogue, made.number, response.author)
    made = desk.give_role("legal", "bert")
    assert addressed(Audience.INTERNAL, made, reach, Wanted(("bert",)))
    for audience in (Audience.INTERNAL, Audience.EXECUTIVES):
        (one,) = addressed(audience, made, reach, Wanted())
        assert one.recipient.to == "b@us.example"


def test_a_redacted_text_does_not_leave(response: Response, post: Post) -> None:
    which = response.draft()
    entry = flow.message_of(response.catalogue, 1, which).entry
    with response.catalogue.database.write() as connection:
        unguarded(connection)
        connection.execute(text("DELETE FROM record_bodies WHERE seq = :seq"), {"seq": entry})
    for act in (lambda: response.approve(which), lambda: response.send(which)):
        with pytest.raises(UsageError, match="was redacted"):
            act()
    assert response.draft() == 2, "its number is not given again"
    assert post.mails == []


def test_no_log_has_names_addresses_or_text(
    response: Response, post: Post, logged: Callable[[], str]
) -> None:
    post.refuse = {"it@acme.example"}
    sent(response)
    told = logged()
    assert "letter.refused" in told
    for secret in ("acme", "Acme", "27 November", "beta@", "Beta"):
        assert secret not in told


DIES = """
import os, time
from datetime import UTC, datetime
from drd.flows.incidents.letters import LetterSender, Ways
from drd.model.contacts import Contact, ContactBook, ContactKind
from drd.model.incidents.recipients import Reach
from drd.model.message import INCIDENT, ChannelSpec
from drd.notifiers import open_notifier
from drd.notifiers.letters import open_post
from drd.notifiers.smtp import SmtpSettings

where, port = sys.argv[2], int(sys.argv[3])
catalogue = open_catalogue(url, create=False)
settings = SmtpSettings.model_validate({"kind": "smtp", "host": "127.0.0.1", "port": port,
                                        "tls": "none", "to": ["a@b.example"]})

class Clock:
    monotonic = staticmethod(time.monotonic)
    def now(self):
        return datetime.now(UTC)

class Dies:
    def __init__(self, post):
        self.real = post
    def post(self, letter):
        if where == "before":
            os.kill(os.getpid(), 9)
        said = self.real.post(letter)
        if where == "after":
            os.kill(os.getpid(), 9)
        return said

acme = Contact("Acme", ContactKind.CUSTOMER, mails=("it@acme.example",))
beta = Contact("Beta", ContactKind.CUSTOMER, mails=("beta@b.example",))
channels = (ChannelSpec("mail", "smtp", settings),)
reach = Reach(ContactBook((), (acme, beta)), channels, ("mail",), leads=str)
opened = lambda spec: Dies(open_post(spec, resolve=str))
if where == "queue":
    os.kill(os.getpid(), 9)
LetterSender(catalogue, lambda: Ways(reach, opened), lambda t, k: t, Clock()).deliver_due()
"""


@pytest.mark.parametrize(
    ("where", "fates", "mails"),
    [
        ("queue", ["accepted", "accepted"], 2),
        ("before", ["unknown", "accepted"], 1),
        ("after", ["unknown", "accepted"], 2),
    ],
)
def test_killed_while_it_sends_each_is_sent_once_or_said_to_be_unknown(
    response: Response, post: Post, where: str, fates: list[str], mails: int
) -> None:
    which = response.draft()
    response.approve(which)
    response.send(which)
    url = str(response.catalogue.database.url.render_as_string(hide_password=False))
    with program(DIES, url, where, str(post.port)) as child:
        assert child.wait(60) == -9
    response.deliver()
    assert response.fates() == fates
    assert len(post.mails) == mails
    if "unknown" in fates:
        assert "drd ended while it was sending" in response.said()
    response.deliver()
    assert len(post.mails) == mails, "nothing is repeated by itself"


def test_killed_between_approval_and_send_nothing_has_left_and_it_can_be_sent(
    response: Response, post: Post
) -> None:
    which = response.draft()
    response.approve(which)

    class Dies(Exception):
        pass

    def add(*_: Any, **__: Any) -> None:
        raise Dies

    broken = replace(response.catalogue, incidents=_Broken(response.catalogue.incidents, add))
    with suppress(Dies):
        flow.send(Desk(broken, 1, response.author), which, response.reach)
    assert response.fates() == ["not sent", "not sent"]
    assert response.deliver() == 0
    response.send(which)
    response.deliver()
    assert response.fates() == [Fate.ACCEPTED, Fate.ACCEPTED]
    assert len(post.mails) == 2


class _Broken:
    def __init__(self, real: Any, add: Any) -> None:
        self._real = real
        self.add = add

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_a_channel_of_the_recipients_own_says_what_is_certain(response: Response) -> None:
    class Refuses:
        def __init__(self, *, permanent: bool) -> None:
            self.permanent = permanent

        def deliver(self, _: object) -> str:
            raise NotifyError("no", permanent=self.permanent)

    letter = Letter("1", "", "s", "t", NOON)
    with pytest.raises(DeliveryUnknown):
        NotifierPost(Refuses(permanent=False)).post(letter)
    with pytest.raises(NotifyError) as caught:
        NotifierPost(Refuses(permanent=True)).post(letter)
    assert not isinstance(caught.value, DeliveryUnknown)
