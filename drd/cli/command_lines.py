"""Break the commands below a sentence into lines that fit, which a shell still understands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

_PROGRAMS = {"apt-get", "cd", "chmod", "chown", "cp", "df", "drd", "install", "journalctl", "ln"}
_PROGRAMS |= {"mkdir", "mv", "openssl", "psql", "restic", "rm", "su", "sudo", "systemctl"}
_PROGRAMS |= {"timedatectl", "umask", "usermod", "vacuumdb"}
"""The first words of commands. What begins with another word is a sentence."""
_MARK = " \\"
_COMMENT = "#"

Measure = Callable[[str], int]


def command_lines(line: str, width: int, measure: Measure) -> list[str]:
    """Return the lines of one command, or of a sentence that says what to do, in `width` columns. A
    command continues behind a backslash; an explanation in parentheses behind it begins a line of
    its own. A single word is never broken, because people copy it."""
    if measure(line) <= width:
        return [line]
    if not is_command(line):
        return _filled(line.split(), width, measure, mark="")
    command, explanation = _apart(line)
    words = list(_words(command))
    lines = _filled(words, width, measure, mark=_MARK)
    return [*lines, *(_filled(explanation.split(), width, measure, mark="") if explanation else ())]


def is_command(line: str) -> bool:
    """Return whether this is a command, maybe with an explanation behind it. A sentence may begin
    with the same word, but it has a comma, a colon or a stop; `install` with an option is a
    command."""
    words = list(_words(_apart(line)[0]))
    first = words[0] if words else ""
    if first not in _PROGRAMS or any(word[:-1].isalnum() and word[-1] in ",:." for word in words):
        return False
    return first != "install" or any(word.startswith("-") for word in words)


def _apart(line: str) -> tuple[str, str]:
    """Return a command, and the comment or the explanation in parentheses behind it."""
    command, begin, rest = line.partition("  # ")
    if begin:
        return command, f"# {rest}"
    command, begin, rest = line.partition(" (")
    return (command, f"({rest}") if rest.endswith(")") else (line, "")


def _words(command: str) -> Iterator[str]:
    """Yield the words of a command; blanks between quotes do not separate words. Yield nothing if a
    quote does not end."""
    words, word, quote, escaped = [], "", "", False
    for letter in command:
        if letter == " " and not quote and not escaped:
            words += [word] if word else []
            word = ""
            continue
        word += letter
        if escaped:
            escaped = False
        elif letter == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
    if not quote:
        yield from [*words, word] if word else words


def _filled(words: list[str], width: int, measure: Measure, *, mark: str) -> list[str]:
    """Return lines of at most `width` columns; all but the last one end with the mark. If the words
    are a comment, each line begins with `#`."""
    more = f"{_COMMENT} " if words[0] == _COMMENT else "  "
    lines = [words[0]]
    for number, word in enumerate(words[1:], 2):
        longer = f"{lines[-1]} {word}"
        after = mark if number < len(words) else ""
        if measure(longer + after) <= width:
            lines[-1] = longer
        else:
            lines.append(f"{more}{word}")
    return [*(f"{line}{mark}" for line in lines[:-1]), lines[-1]]
