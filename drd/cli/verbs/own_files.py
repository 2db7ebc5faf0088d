"""Options of verbs for files of which drd has some and an installation its own."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from drd.cli.verbs.leaf import leaf
from drd.model.text import with_article


class Told(NamedTuple):
    """The help of a verb: in the list of verbs, and on its own page."""

    short: str
    description: str


def own_file_verbs(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    sort: str,
    *,
    show: Told,
    check: Told,
    epilog: str,
) -> None:
    """Add the verbs list, show, check, new and schema of a sort of files: `exercise`."""
    one = with_article(sort)
    leaf(
        verbs,
        "list",
        f"the {sort}s of drd and your own",
        f"{sort}:list_",
        description=f"List the {sort}s of drd and your own. Your {sort} replaces {one} of drd that "
        "has the same name.",
        epilog=epilog,
    )
    shown = leaf(verbs, "show", show.short, f"{sort}:show", description=show.description,
                 epilog=epilog)  # fmt: skip
    shown.add_argument("name", metavar="NAME", help=f"name of the {sort}")
    checked = leaf(verbs, "check", check.short, f"{sort}:check", description=check.description,
                   epilog=epilog)  # fmt: skip
    checked.add_argument(
        "files",
        nargs="*",
        metavar="FILE|NAME",
        help=f"also check this file, or say which {sort} of this name is in force",
    )
    _new(verbs, sort, one, epilog)
    leaf(
        verbs,
        "schema",
        f"the JSON Schema of {sort}s",
        f"{sort}:schema",
        description=f"Print the JSON Schema of {sort}s, for editors.",
        epilog=epilog,
    )


def _new(
    verbs: argparse._SubParsersAction,  # type: ignore[type-arg]
    sort: str,
    one: str,
    epilog: str,
) -> None:
    new = leaf(
        verbs,
        "new",
        f"copy {one} of drd and adapt it",
        f"{sort}:new",
        description=f"Copy {one} of drd into your own directory, where you adapt the copy. From "
        "then on drd uses your copy. drd does not overwrite an existing file.",
        epilog=epilog,
    )
    new.add_argument(
        "--from", dest="source", required=True, metavar="NAME", help=f"the {sort} to copy"
    )
    new.add_argument(
        "--name",
        metavar="NEW",
        help="another name for the copy, so that drd has both (default: the same name)",
    )
