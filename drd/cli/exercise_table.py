"""The terminal at which an exercise is played: news by the clock, and what people type."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from drd import process
from drd.cli import output
from drd.cli.exercise import clock_words, concerns
from drd.errors import Cancelled, UsageError
from drd.model.exercises.exercise import Expectation, Inject, Question
from drd.model.exercises.played import MET, MISSED, PARTLY, Played
from drd.model.malformed import Malformed
from drd.model.text import escaped
from drd.model.units import format_duration, parse_duration

_TICK_S = 0.25
_LONGEST = 8000
_WORDS = {"y": MET, "yes": MET, "p": PARTLY, "partly": PARTLY, "n": MISSED, "no": MISSED}
HELP = (
    ("an answer", "your answer to the question above; for a decision, the number of an option"),
    ("@NAME TEXT", "record TEXT as what NAME says, not you"),
    ("/note TEXT", "record a note, for example who decided what"),
    ("/skip", "leave the question above without an answer"),
    ("/next", "show the next news now: do not wait for the clock"),
    ("/stop", "interrupt the exercise; you can continue the exercise later"),
    ("/end", "end the exercise now, before its last news"),
)


class Table(Protocol):
    """The table at which an exercise is played, here or through the daemon. Methods raise
    UsageError for what cannot be recorded; `played` is then unchanged."""

    played: Played

    def tell(self, inject: str, elapsed_s: float | None) -> None: ...

    def answer(
        self, question: Question, text: str, elapsed_s: float | None, by: str = ""
    ) -> None: ...

    def judge(
        self,
        expectation: str,
        verdict: str,
        *,
        text: str = "",
        elapsed_s: float | None = None,
        by: str = "",
    ) -> None: ...

    def note(
        self, text: str, elapsed_s: float | None, *, by: str = "", improves: bool = False
    ) -> None: ...

    def end(self) -> None: ...


class Terminal:
    """The terminal at which one person types for all people who take part. `speed` is how many
    seconds of the exercise pass in one second; 0: Enter shows the next news; None: the speed with
    which the exercise was begun. If it is `beside` a document, everything is printed on stderr."""

    def __init__(self, table: Table, speed: float | None, *, beside: bool) -> None:
        self.table = table
        begun = table.played.speed if table.played.speed is not None else 1.0
        self.speed = begun if speed is None else speed
        self.beside = beside
        self._began = time.monotonic()
        self._base = table.played.elapsed_s
        self._typed = b""
        self._prompted = ""
        self._is_ended = False
        self._goes_on = False
        self._verbs: Mapping[str, Callable[[str], None]] = {
            "note": self._note,
            "skip": self._skip,
            "next": self._next,
            "stop": self._stop,
            "end": self._end,
            "help": self._help,
        }

    # --- the clock ---

    def _elapsed(self) -> float | None:
        if not self.speed:
            return None
        return self._base + (time.monotonic() - self._began) * self.speed

    def _due(self) -> Inject | None:
        """Return the next inject, if it is time for it."""
        untold = self.table.played.untold
        if not untold:
            return None
        now, idle = self._elapsed(), not self.table.played.open_questions
        first = not self.table.played.told
        if self._goes_on or (now is None and first and idle):
            return untold[0]
        return untold[0] if now is not None and untold[0].at_s <= now else None

    # --- the exercise ---

    def play(self) -> None:
        """Show the injects and record the answers, until every inject was shown, every question
        has an answer, and people say that the runs of playbooks have ended. Raises Cancelled when
        people interrupt the exercise."""
        self._say_begin()
        while not self._is_ended:
            if (inject := self._due()) is not None:
                self._goes_on = False
                self._tell(inject)
                continue
            asked = next(iter(self.table.played.open_questions), None)
            if asked is None and not self.table.played.untold and not self._waits_for_a_run():
                return
            self._prompt(asked)
            line = self._line()
            if line is not None:
                self._prompted = ""
                self._handled(line, asked)

    def _waits_for_a_run(self) -> bool:
        """Return whether people must have time to run a playbook; drd judges it after Enter."""
        return not self._goes_on and any(one.run for one in self.table.played.to_judge)

    def review(self) -> None:
        """Ask whether the expectations were met, and what should change."""
        left = self.table.played.to_judge
        self._say("")
        if left:
            self._say("Now judge what people should have done. Type y (done), p (partly) or n (not")
            self._say("done). After that you can write how long after the news it was done, and a")
            self._say("remark. Examples: `y 5m`, `p only the lead was called`.")
        for expected in left:
            within = expected.within_s
            limit = f" (within {format_duration(within)})" if within is not None else ""
            self._below("  expected ", f"{expected.what}{limit}")
            while not self._judge(expected.name, self._asked("  y, p or n > ")):
                pass
        self._say("What should change? Write one line for each change; an empty line ends the")
        self._say("exercise.")
        while text := self._asked("  change > "):
            self._try(partial(self.table.note, text, None, improves=True))

    def _judge(self, name: str, line: str) -> bool:
        word, _, rest = line.partition(" ")
        verdict = _WORDS.get(word.casefold())
        if verdict is None:
            self._say("  type y (done), p (partly) or n (not done)")
            return False
        head, _, tail = rest.strip().partition(" ")
        told = self.table.played.told.get(self.table.played.inject_of(name).name)
        try:
            after: float | None = parse_duration(head) if head else None
        except (Malformed, ValueError):
            after = None
        text = tail if after is not None else rest
        at = told + after if told is not None and after is not None else None
        return self._try(lambda: self.table.judge(name, verdict, text=text.strip(), elapsed_s=at))

    def _tell(self, inject: Inject) -> None:
        elapsed, self._prompted = self._elapsed(), ""
        self.table.tell(inject.name, elapsed)
        injects = self.table.played.exercise.injects
        at = clock_words(inject.at_s if elapsed is None else elapsed)
        to = f" for {inject.role}" if inject.role else ""
        self._say("")
        self._below(f"[{at}] ", f"news {injects.index(inject) + 1} of {len(injects)}{to}")
        self._below("  ", inject.tell)
        if about := concerns(inject):
            self._below("  about    ", about)
        self._say_to_do(inject)

    def _say_to_do(self, inject: Inject) -> None:
        number = self.table.played.number
        for expected in inject.expectations:
            if expected.run:
                how = f"drd playbook run {expected.run} --exercise {number}"
                limit = self._limit(expected)
                self._below("  to do    ", f"in another terminal, against a stand-in{limit}: {how}")

    def _limit(self, expected: Expectation) -> str:
        """Return in words the time until which a run must have ended; empty if there is none."""
        if expected.within_s is None or not self.table.played.speed:
            return ""
        return f", to its end within {format_duration(expected.within_s)} of real time"

    def _prompt(self, asked: Question | None) -> None:
        """Print the prompt, unless the same prompt is on the screen already."""
        wanted = asked.name if asked is not None else f"wait{len(self.table.played.told)}"
        if wanted == self._prompted:
            return
        self._prompted = wanted
        if asked is not None:
            self._ask(asked)
        elif not self.table.played.untold:
            self._say("  Press Enter when the run of the playbook has ended, or if nobody runs it.")
        elif not self.speed:
            self._say("  To see the next news: Enter. To see what you can type: /help")
        else:
            at = clock_words(self.table.played.untold[0].at_s)
            now = clock_words(self._elapsed() or 0.0)
            self._say(
                f"  it is {now}. The next news comes at {at}. To see it now: /next. To see what "
                "you can type: /help"
            )
        self._print("> ")

    def _ask(self, asked: Question) -> None:
        role = f" for {asked.role}" if asked.role else ""
        self._say("")
        self._below("  decision " if asked.is_decision else "  question ", f"{asked.ask}{role}")
        for number, option in enumerate(asked.options, start=1):
            self._below(f"        {number}  ", option)

    def _handled(self, line: str, asked: Question | None) -> None:
        text = line.strip()
        if text.startswith("/"):
            verb, _, rest = text[1:].partition(" ")
            self._verbs.get(verb.casefold(), self._help)(rest)
        elif not text:
            self._goes_on = asked is None and not (self.speed and self.table.played.untold)
        elif asked is not None:
            by, said = _speaker(text)
            self._try(lambda: self.table.answer(asked, said, self._elapsed(), by))
        else:
            self._note(text)

    # --- what people type after / ---

    def _note(self, text: str) -> None:
        by, said = _speaker(text)
        self._try(lambda: self.table.note(said, self._elapsed(), by=by))

    def _skip(self, _: str) -> None:
        asked = next(iter(self.table.played.open_questions), None)
        if asked is not None:
            self._try(lambda: self.table.answer(asked, "", self._elapsed()))

    def _next(self, _: str) -> None:
        """Show the next news at once, and set the clock to its time. After the last news, wait for
        no run of a playbook."""
        untold = self.table.played.untold
        self._goes_on = bool(untold) or not self.table.played.open_questions
        if untold and self.speed:
            self._base = max(self._elapsed() or 0.0, untold[0].at_s)
            self._began = time.monotonic()

    def _stop(self, _: str) -> None:
        raise Cancelled("interrupted")

    def _end(self, _: str) -> None:
        self._is_ended = True

    def _help(self, _: str) -> None:
        for head, text in HELP:
            self._below(f"  {head:<11} ", text)

    def _try(self, act: Callable[[], None]) -> bool:
        """Record what was typed. Print that it is recorded, or why drd cannot record it."""
        try:
            act()
        except UsageError as error:
            self._below("  ", f"not recorded: {error.message}. {error.hint}")
            return False
        self._say("  recorded")
        return True

    # --- the terminal ---

    def _asked(self, question: str) -> str:
        self._print(question)
        while (line := self._line()) is None:
            pass
        return line.strip()

    def _line(self) -> str | None:
        """Return a line that was typed; None after a while without one. Raises Cancelled for the
        end of input, and when the process is to end."""
        while b"\n" not in self._typed:
            readable, _, _ = select.select([sys.stdin], [], [], _TICK_S)
            process.check_cancelled()
            if sys.stdin not in readable:
                return None
            part = os.read(sys.stdin.fileno(), _LONGEST)
            if not part:
                self._say("")
                raise Cancelled("the input has ended")
            self._typed += part
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", "backslashreplace")

    def _say_begin(self) -> None:
        played = self.table.played
        again = " goes on" if played.told else ""
        self._below("", f"exercise {played.number}{again}: {played.exercise.title}")
        self._say("THIS IS AN EXERCISE. drd opens no incident and sends no message. Do not act")
        self._say("on real systems. An answer is safe when you see `recorded`.")
        self._say("To see what you can type: /help")
        if played.told:
            last = [one for one in played.exercise.injects if one.name in played.told][-1]
            self._below("  the last news was: ", last.tell)
            self._say_to_do(last)

    def _print(self, text: str) -> None:
        print(text, end="", flush=True, file=sys.stderr if self.beside else sys.stdout)

    def _say(self, text: str) -> None:
        output.say(text, beside=self.beside)

    def _below(self, head: str, text: str) -> None:
        output.say_below(head, escaped(text), beside=self.beside)


def _speaker(text: str) -> tuple[str, str]:
    """Return the speaker and the words: anna and `revoke it` of `@anna revoke it`. The speaker is
    empty without `@`: the person who types."""
    text = text.strip()
    if text.startswith("@") and " " in text:
        name, _, said = text[1:].partition(" ")
        return name, said.strip()
    return "", text
