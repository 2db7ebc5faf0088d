"""Options of the verbs of `drd incident` for messages and contacts."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import NUMBER, TIMES, author, incident_verb, reader, reason


def contacts(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    calls = incident_verb(
        verbs,
        "contacts",
        "who is to be called now, by role",
        "incident_contacts:run",
        examples="drd incident contacts\n"
        "drd incident contacts 3                    only those for the plans of incident 3\n"
        "drd incident contacts --plan orders-api --at 2026-12-24T20:00:00Z",
        description="Show who is on call now, by role, with substitutes for those who are away, "
        "and the contacts outside: authorities, customers, partners, processors, insurer, counsel, "
        "police (docs/messages.md).",
    )
    calls.add_argument("number", nargs="?", type=count, metavar="N", help="number of the incident")
    calls.add_argument(
        "--plan",
        action="append",
        default=[],
        metavar="PLAN",
        help="show only contacts for this plan",
    )
    calls.add_argument(
        "--at", metavar="TIME", help="show who is on call at this time, in RFC 3339 (default: now)"
    )


_MESSAGE_EXAMPLES = """\
examples:
  drd incident message preview customers            the text and the recipients
  drd incident message send internal                your own people, at once
  drd incident message draft customers --text "Orders of 27 November were visible to others."
  drd incident message approve 2 --digest 3f0c9a1b2c4d
  drd incident message send 2
  drd incident message list

drd sends a message to people outside (customers, partners, status-page, regulator, press) only
after somebody has approved exactly this text, these recipients and these ways (docs/messages.md).

exit codes: 0 done, 1 a recipient did not get the message, 2 usage."""


def messages(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = verbs.add_parser(
        "message",
        help="who is told what: preview, draft, approve, send",
        description="Write, approve and send messages about an incident, and see their state. "
        "Audiences: internal, business-owner, executives, customers, partners, "
        "status-page, regulator, press.",
        epilog=_MESSAGE_EXAMPLES,
    )
    below = parser.add_subparsers(dest="message_verb", metavar="VERB", required=True)
    _listing(below)
    _writing(below)
    _sending(below)
    _settling(below)


def _listing(below: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    listing = incident_verb(
        below,
        "list",
        "the messages of an incident, and their state",
        "incident_message:list_",
        examples="drd incident message list\ndrd incident message list 3 --json",
        description="List the messages: drafts, who approved which, and for each recipient whether "
        "it was accepted, refused, is unknown, came back, or has to be told by a person.",
    )
    listing.add_argument("number", nargs="?", type=count, metavar="N", help=NUMBER)
    reader(listing)


def _writing(below: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    preview = _with_words(
        below,
        "preview",
        "show the text and the recipients of a message",
        "[N] AUDIENCE|M",
        examples="drd incident message preview customers\n"
        'drd incident message preview 3 press --text "We are sorry."\n'
        "drd incident message preview 2                    the text of message 2, as it is kept",
        description="Render a template and show the message. drd does not keep or send it. "
        "With the number of a message, show its text, which never changes.",
    )
    _content(preview)
    reader(preview)
    draft = _with_words(
        below,
        "draft",
        "write a message, and keep it for approval",
        "[N] AUDIENCE",
        examples='drd incident message draft customers --text "Orders were visible to others."\n'
        "drd incident message draft regulator --to DPA --encrypt --next-update 18:00",
        description="Render a template and keep the message: subject, text, recipients and "
        "ways never change from then on. To change something, draft another "
        "message.",
    )
    _content(draft)
    author(draft)


def _sending(below: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    approve = _with_words(
        below,
        "approve",
        "approve exactly this text, these recipients, these ways",
        "[N] M",
        examples="drd incident message approve 2\n"
        "drd incident message approve 3 2 --digest 3f0c9a1b2c4d    only if it is what I have read",
        description="Approve a message. On a terminal drd shows the message and asks. "
        "Without a terminal, give --digest to state which text you have read. "
        "The approval counts for exactly this content.",
    )
    approve.add_argument(
        "--digest",
        metavar="DIGITS",
        help="the first 12 or more digits of the digest of the message that you have "
        "read, as its preview shows",
    )
    author(approve)
    send = _with_words(
        below,
        "send",
        "send a message, and print who got the message",
        "[N] M|AUDIENCE",
        examples="drd incident message send 2\n"
        'drd incident message send internal --text "The key is blocked."\n'
        "drd incident message send 2 --again --to it@acme.example    after a refusal",
        description="Send a message. drd sends a new message to your own people (internal, "
        "business-owner, executives) at once; a message to people outside must "
        "be approved first. drd names each recipient whom a person has to tell "
        "(telephone, form, letter): afterwards record that with drd incident "
        "message told.",
    )
    _content(send)
    send.add_argument(
        "--again",
        action="store_true",
        help="send the message again to the recipients of --to, who may already have received it",
    )
    author(send)


def _settling(below: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    told = _with_words(
        below,
        "told",
        "record that a person has told somebody",
        "[N] M",
        examples="drd incident message told 2 --to DPA --reference 4711 --at 14:30",
        description="Record that a recipient was told by telephone, form or letter.",
    )
    told.add_argument(
        "--reference", default="", metavar="TEXT", help="reference that the recipient gave"
    )
    bounced = _with_words(
        below,
        "bounced",
        "record that a mail came back",
        "[N] M",
        examples='drd incident message bounced 2 --to it@acme.example --reason "550 user unknown"\n'
        "drd incident message bounced --from report.eml     the report of the mail server\n"
        "drd incident message bounced --from -              the same from stdin",
        description="Record that a mail came back after the server had accepted it. The report of "
        "a mail server (RFC 3464) contains the id of the mail.",
    )
    bounced.add_argument(
        "--from", dest="from_", metavar="FILE", help="the report of a mail server; - is stdin"
    )
    reason(bounced, "the text of the bounce")
    for parser in (told, bounced):
        parser.add_argument("--to", metavar="NAME", help="the recipient: a name or an address")
        parser.add_argument(
            "--at", metavar="TIME", help=f"when this happened: {TIMES} (default: now)"
        )
        author(parser)
    withdraw = _with_words(
        below,
        "withdraw",
        "withdraw a message that was not sent, or that still waits",
        "[N] M",
        examples='drd incident message withdraw 2 --reason "wrong number of people"',
        description="Withdraw a message. The message stays in the records, but nobody can "
        "send it any more. Recipients for whom the message still waits do not "
        "get it.",
    )
    reason(withdraw, "why the message is withdrawn")
    author(withdraw)


def _with_words(
    below: argparse._SubParsersAction,  # type: ignore[type-arg]
    name: str,
    line: str,
    words: str,
    *,
    examples: str,
    description: str,
) -> argparse.ArgumentParser:
    handler = f"incident_message:{name}"
    parser = incident_verb(below, name, line, handler, examples=examples, description=description)
    parser.add_argument(
        "words", nargs="*", metavar=words, help="N is the number of the incident, M of the message"
    )
    return parser


def _content(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text", metavar="TEXT", help="your text, which the template has as `said.text`"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=TEXT",
        help="a text for the template: the value of `said.KEY`",
    )
    parser.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="NAME",
        help="send only to this contact or person; may be given several times",
    )
    parser.add_argument(
        "--template",
        metavar="NAME",
        help="name of a template (default: the template of the audience)",
    )
    parser.add_argument(
        "--next-update",
        metavar="TIME",
        help="the time by which you promise the next update: 1h (from now), 16:00, or none",
    )
    parser.add_argument(
        "--encrypt", action="store_true", help="encrypt mails to the age keys of the contacts"
    )
