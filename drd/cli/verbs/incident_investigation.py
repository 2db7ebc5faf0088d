"""Options of the verbs of `drd incident` that investigate: hypothesis, indicator, evidence,
cause."""

from __future__ import annotations

import argparse

from drd.cli.options import count
from drd.cli.verbs.incident_verbs import TIMES, entry, reason

_TYPES = (
    "ip, network, domain, url, email, sha256, sha1, md5, file, account, user-agent, process, "
    "certificate, other"
)


def investigating(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    _hypothesis(verbs)
    _indicator(verbs)
    _evidence(verbs)
    _cause(verbs)


def _hypothesis(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "hypothesis",
        "what may have happened: open, supported, refuted",
        "TEXT",
        handler="incident_investigation:hypothesis",
        examples='drd incident hypothesis "the key was in a public repository"\n'
        "drd incident hypothesis                     to list them\n"
        "drd incident hypothesis --supported 214 --evidence 211\n"
        'drd incident hypothesis --refuted 214 --reason "the repository never had it"',
        description="Record a hypothesis: what may have happened. A hypothesis is open until "
        "you mark it as supported or refuted. Without a text, list the "
        "hypotheses. The numbers in these commands are the numbers of entries.",
    )
    parser.add_argument(
        "--supported",
        type=count,
        metavar="ENTRY",
        help="mark this hypothesis as supported by evidence",
    )
    parser.add_argument(
        "--refuted", type=count, metavar="ENTRY", help="mark this hypothesis as wrong"
    )
    parser.add_argument("--reopen", type=count, metavar="ENTRY", help="open this hypothesis again")
    _evidence_option(parser, "an item of evidence for this hypothesis")
    reason(parser, "why")


def _indicator(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "indicator",
        "signs that a system was compromised: addresses, digests of files, …",
        "VALUE",
        handler="incident_investigation:indicator",
        examples="drd incident indicator 203.0.113.7 --seen 13:50 --expires 30d\n"
        'drd incident indicator evil.example --text "where the key was sent"\n'
        "drd incident indicator orders-export --type account\n"
        "drd incident indicator                       to list them\n"
        "drd incident indicator --stix indicators.json     for other systems\n"
        'drd incident indicator --withdraw 217 --reason "our own address"',
        description="Record an indicator: an address, a name or a digest that shows that a "
        "system was compromised. drd recognises the type of the indicator. Do "
        "not write passwords or keys. Without a value, list the indicators.",
    )
    parser.add_argument("--type", choices=_TYPES.split(", "), metavar="TYPE", help=_TYPES)
    parser.add_argument(
        "--seen", metavar="TIME", help=f"when the indicator was first seen: {TIMES}"
    )
    parser.add_argument(
        "--expires",
        metavar="TIME",
        help="until when the indicator is useful: 30d from now, or RFC 3339",
    )
    parser.add_argument("--text", default="", metavar="TEXT", help="what the indicator is")
    others = parser.add_mutually_exclusive_group()
    others.add_argument(
        "--stix",
        metavar="FILE",
        help="write all indicators as a bundle of STIX 2.1 into a new file; - is stdout",
    )
    others.add_argument(
        "--withdraw",
        type=count,
        metavar="ENTRY",
        help="withdraw this indicator, because it was recorded by mistake",
    )
    reason(parser, "why the indicator is withdrawn")


def _evidence(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "evidence",
        "evidence of what happened: a file, a log, a run",
        "TEXT",
        handler="incident_investigation:evidence",
        examples='drd incident evidence "log of the gateway" --file /srv/evidence/gateway.log.gz\n'
        'drd incident evidence "picture of the screen" --where "safe, envelope 3" --taken 14:05\n'
        'drd incident evidence "the drill shows the rows" --run 1a2b3c4d\n'
        "drd incident evidence                      to list them",
        description="Record an item of evidence: what it is, and where it is kept. For a "
        "file, drd records the SHA-256 of its content, but does not keep a copy. "
        "Without a text, list the items.",
    )
    parser.add_argument("--file", metavar="FILE", help="a file, whose SHA-256 drd records")
    parser.add_argument("--where", default="", metavar="TEXT", help="where the item is kept")
    parser.add_argument("--taken", metavar="TIME", help=f"when the item was taken: {TIMES}")
    parser.add_argument("--run", metavar="RUN", help="the id of a run of drd that is the evidence")


def _cause(verbs: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    parser = entry(
        verbs,
        "cause",
        "the root cause, with its evidence",
        "TEXT",
        handler="incident_investigation:cause",
        examples='drd incident cause "a key was published with the test data" --evidence 211\n'
        'drd incident cause "…" --evidence 211 --evidence 215 --hypothesis 214\n'
        "drd incident cause                      to show it",
        description="Record the root cause, with the evidence that shows it. To replace the root "
        "cause later, give a reason; the timeline shows both.",
    )
    _evidence_option(parser, "an item of evidence that shows the root cause")
    parser.add_argument(
        "--hypothesis", type=count, action="append", default=[], metavar="ENTRY",
        help="a hypothesis that this root cause confirms; may be given several times",
    )  # fmt: skip
    reason(parser, "why the root cause changed")


def _evidence_option(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--evidence", type=count, action="append", default=[], metavar="ENTRY",
        help=f"{text}; may be given several times",
    )  # fmt: skip
