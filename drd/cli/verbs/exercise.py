"""Options of `drd exercise`."""

from __future__ import annotations

from drd.cli.parser import Verbs
from drd.cli.verbs.leaf import leaf

EXAMPLES = """\
examples:
  drd exercise list                         the exercises of drd and your own
  drd exercise show ransomware              its injects, questions and what is expected: spoils it
  drd exercise new --from ransomware        copy it into your own directory and adapt it
  drd exercise check                        check all files: schema, times, names
  drd exercise check ./quake.yaml           check this file as well
  drd exercise schema > exercise.schema.json

exit codes: 0 done, 2 usage, or a file has an error."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "exercise",
        description="Table-top exercises: drd tells people the news of an incident by the clock, "
        "and records what they answer and decide. Nothing real happens: drd opens no incident, "
        "starts no deadline and sends no message. drd has its own exercises. Your exercises are "
        "files in the directory that `exercises` in drd.yaml names.",
        epilog=EXAMPLES,
    )
    verbs = parser.add_subparsers(dest="exercise_verb", metavar="VERB", required=True)
    leaf(
        verbs,
        "list",
        "the exercises of drd and your own",
        "exercise:list_",
        description="List the exercises of drd and your own. Your exercise replaces an exercise "
        "of drd that has the same name.",
        epilog=EXAMPLES,
    )
    show = leaf(
        verbs,
        "show",
        "one exercise, with all that happens in it",
        "exercise:show",
        description="Show one exercise for the person who prepares it: each inject, its questions, "
        "the right answers, and what is expected. People who take part should not read this.",
        epilog=EXAMPLES,
    )
    show.add_argument("name", metavar="NAME", help="name of the exercise")
    check = leaf(
        verbs,
        "check",
        "check the files of exercises: schema, times, names",
        "exercise:check",
        description="Check the files of all exercises: their schema, the order of the injects, and "
        "the playbooks, plans and duties to report that they name.",
        epilog=EXAMPLES,
    )
    check.add_argument("files", nargs="*", metavar="FILE", help="also check this file")
    new = leaf(
        verbs,
        "new",
        "copy an exercise of drd and adapt it",
        "exercise:new",
        description="Copy an exercise of drd into your own directory, where you adapt the copy. "
        "From then on drd uses your copy. drd does not overwrite an existing file.",
        epilog=EXAMPLES,
    )
    new.add_argument(
        "--from", dest="source", required=True, metavar="NAME", help="the exercise to copy"
    )
    new.add_argument(
        "--name",
        metavar="NEW",
        help="another name for the copy, so that drd has both (default: the same name)",
    )
    leaf(
        verbs,
        "schema",
        "the JSON Schema of exercises",
        "exercise:schema",
        description="Print the JSON Schema of exercises, for editors.",
        epilog=EXAMPLES,
    )
