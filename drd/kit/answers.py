"""Judge by hand what a check asks: bash that prints an answer, and what the plan expects of the
answer."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from drd.kit.document import Block, Commands, Paragraph
from drd.ports.by_hand import Passage


def judges() -> Iterator[Block]:
    """Yield the functions that the commands of `judging` call."""
    yield Paragraph(
        "The commands below compare each answer with what the plan expects, and end this "
        "bash at the first answer that is wrong. In that case, do not use the restored data "
        "before you know the reason. To continue nevertheless, start a new bash with the "
        "commands that follow."
    )
    yield Commands(_JUDGES)


_JUDGES = r"""plain() { # ANSWER, without what a terminal would obey
    local answer=${1:-empty}
    printf '%s' "${answer//[[:cntrl:]]/?}"
}
require() { # CHECK EXPECTED ANSWER FORM OPERATOR VALUE
    local answer=$3 number='^[-+]?[0-9]*[.]?[0-9]+([eE][-+]?[0-9]+)?$' met=no
    case $4:$6 in # booleans, as psql prints them
        text:true | text:false) case $answer in t) answer=true ;; f) answer=false ;; esac ;;
        number:*) case $answer in t) answer=1 ;; f) answer=0 ;; esac ;;
    esac
    if [[ -z $answer ]]; then
        met=no # no row, or NULL
    elif [[ $4 == text ]]; then
        if [[ $5 == == && $answer == "$6" || $5 == != && $answer != "$6" ]]; then met=yes; fi
    elif [[ $answer =~ $number ]]; then
        A=$answer B=$6 IS=$5 LC_ALL=C awk 'BEGIN {
            a = ENVIRON["A"] + 0; b = ENVIRON["B"] + 0; is = ENVIRON["IS"]
            if (is == ">") exit !(a > b); if (is == ">=") exit !(a >= b)
            if (is == "<") exit !(a < b); if (is == "<=") exit !(a <= b)
            if (is == "==") exit !(a == b); if (is == "!=") exit !(a != b)
            away = a > b ? a - b : b - a; exit !(away * 100 <= (b < 0 ? -b : b) * is)
        }' && met=yes
    elif [[ $5 == != ]]; then
        met=yes
    fi
    if [[ $met != yes ]]; then
        printf 'WRONG: %s: the answer is %s, and must be %s\n' "$1" "$(plain "$answer")" "$2" >&2
        echo 'This is not what the plan expects: do not use the data before you know why.' >&2
        echo 'To restore an older copy, choose it as the page says, and move this data away.' >&2
        return 1
    fi
    printf '%s: %s (must be %s)\n' "$1" "$(plain "$answer")" "$2"
}
decide() { # CHECK EXPECTED ANSWER
    printf 'A person must decide: %s: the answer is %s, and must be %s (%s)\n' \
        "$1" "$(plain "$3")" "$2" "data time $(jq -r .data_time manifest.json)"
    LEFT=$((${LEFT:-0} + 1))
}
"""


def judging(check: str, passage: Passage) -> str:
    """Return the commands that ask for the answer, and judge it."""
    assert passage.judged is not None
    expected = passage.text.removeprefix("must be ").removesuffix(".")
    verb = "require" if passage.judged else "decide"
    words = " ".join(map(quote, passage.judged))
    asked = f"ANSWER=$({passage.commands.rstrip()})\n"
    return f'{asked}{verb} {quote(check)} {quote(expected)} "$ANSWER" {words}'.rstrip() + "\n"
