"""Decide which recorded remedies may be shown to root: words that do nothing wherever they are
pasted, and commands of drd that only read, or do what the schedule does anyway. Pure.

A catalogue belongs to the service's user. Whoever becomes that user can write a remedy into it, and
wait until root pastes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VERBS = (
    r"alerts|backup|cancel|catalogue\ verify|config\ check|copy|diff|doctor|drill"
    r"|evidence\ (?:list|show)|kit\ verify|ls|notify\ (?:list|test)|plan\ check|playbook\ check"
    r"|points(?!\ forget)|prune|readiness|repository\ list|resume|retention|run\ (?:list|show)|runs"
    r"|schedule|status|verify"
)
_FLAGS = "accept-size|all|component|dry-run|follow|grants|help|json|point|repository|scenario"
_END = r"(?![\w/=-]|[.:][\w/])"
_ARGUMENT = rf"(?:(?!-)[\w.:…-]*[\w…]|--(?:{_FLAGS})){_END}"
_PLACEHOLDERS = rf"[A-Z]+(?:\ (?:[A-Z]+|--[a-z-]+|…))*{_END}"
_COMMAND = re.compile(
    rf"""(?<![\w/.-])(?:sudo\ )?
      (?: drd\ (?:{_VERBS}){_END}(?:\ {_ARGUMENT})*
        | drd\ [a-z]+(?:\ [a-z]+)?\ {_PLACEHOLDERS}
        | drd\ kit\ export\ [a-z0-9-]+\ --to\ FILE
        | drd\ recover\ [a-z0-9-]+\ --in-place\ --component\ [\w-]+\ --dry-run
        | drd\ (?:doctor|kit\ verify|plan\ check|readiness)\ / | drd\ config\ check\ --config\ /
        | drd\ records\ (?:verify|unseal\ --identity\ FILE)
        | drd\ plan\ new | drd\ adopt
        | systemctl\ (?:reload|restart|start|status|enable\ --now)\ drd
        | journalctl\ -u\ drd(?:\ -n\ [0-9]+)?
        | timedatectl(?:\ set-ntp\ true)? | dmesg | df(?:\ -h)?(?:\ /)? | ls\ -l\ /
      ){_END}""",
    re.VERBOSE | re.ASCII,
)
"""Commands that change something contain only the name `drd`, or a placeholder that a person has to
replace. A path that only root can change is replaced by a slash before."""
_PUT_BACK = re.compile(
    r"cp -n /run/credentials/drd\.service/drd_(\w[\w.-]*) /etc/drd/credentials/\1", re.ASCII
)
"""The command that writes a missing credential again, from the copy that systemd made of it; it
overwrites nothing."""
_OF_DRD = _words(
    "ack adopt alert alerts approve backup bootstrap cancel catalogue completion config copy "
    "daemon diff doctor done drill evidence hold install kit ls mount notify plan point points "
    "prune readiness recover release repository resume retention retry rollback run runs schedule "
    "service skip status undo uninstall verify worker"
)
_INERT = re.compile(r"[A-Za-z0-9 \"'`()\[\]{}.,;:%@_/…-]*")
"""The characters that a line may contain: none of them begins another command, or redirects one."""
_WORD = re.compile(r"(?:[A-Za-z0-9]+(?:[-._:][A-Za-z0-9]+)*(?:'[a-z])?|[0-9]+(?:,[0-9]+)*)%?")
_OPTION = re.compile(r"--[a-z]+(?:-[a-z]+)*")
_BEFORE_OPTION = {""} | _words(
    "a add an and another by empty give in of only option or out the use with without"
)
_AROUND = "\"'`()[]{}.,;:…"
_ENGLISH = _words(
    "a as at case clear column command continue cut date do done edit else exit expand export "
    "file find for free from head host hostname id if in install join last link local locale "
    "locate login look make more mount open paste print read reset restic return run see select "
    "service set shift size sort source split strings sum tail test then time timeout top true "
    "type unset until users view w wait watch which while who write yes"
)
"""English words that are also programs or built into the shell. With only words as arguments, none
of them changes anything that belongs to root."""
_BUILT_IN = _words("alias bg builtin cd declare eval exec fg hash kill let trap umask")

Answers = Callable[[str], bool]


def is_command(line: str) -> bool:
    """Return whether the line is one of the allowed commands, or several with `&&` between them."""
    return all(
        _COMMAND.fullmatch(command) or _PUT_BACK.fullmatch(command)
        for command in line.split(" && ")
    )


def is_harmless(line: str, is_program: Answers, is_roots: Answers) -> bool:
    """Return whether the line contains only such commands, and words that are not programs.
    `is_roots` says of a path whether only root can change what is there, and nothing executes it.
    """
    if is_command(line):
        return True
    line = " ".join("/" if w.startswith("/") and is_roots(w) else w for w in line.split(" "))
    if is_command(line):
        return True
    rest = _COMMAND.sub("it", line)
    if "`it" in rest:  # a shell would run what the command prints
        return False
    words = [word.strip(_AROUND) or word for word in rest.split() if word != "…"]
    return _INERT.fullmatch(rest) is not None and all(
        _is_word(word, after, is_program)
        or (_OPTION.fullmatch(word) and before.lower() in _BEFORE_OPTION)
        or (word.startswith("/") and (word == "/" or is_roots(word)))
        for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False)
    )


def _is_word(word: str, after: str, is_program: Answers) -> bool:
    if word == "drd":
        return after not in _OF_DRD
    if _WORD.fullmatch(word) is None or word.lower() in _BUILT_IN:
        return False
    return word.lower() in _ENGLISH or not any(map(is_program, {word, word.lower()}))
