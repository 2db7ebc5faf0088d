"""A table-top exercise: what people are told, and when; what they are asked, and what is expected
of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """What people are asked. With `options` it is a decision, and `right` are the options that the
    exercise considers right. Without `options`, a right answer contains at least one of `words`.
    Without `right` and `words`, every answer is right. `within_s`: the seconds after the inject in
    which people should answer. `explain` says what people should learn."""

    name: str
    ask: str
    role: str = ""
    within_s: float | None = None
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    explain: str = ""

    @property
    def is_decision(self) -> bool:
        return bool(self.options)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What people should do after an inject. With `run`, the expectation is met by a run of that
    playbook during the exercise in which every step was executed. Without `run`, people say at the
    end whether it was met."""

    name: str
    what: str
    within_s: float | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class Inject:
    """One piece of news, `at_s` seconds after the exercise begins. `role` is who gets it; empty:
    all. It is about these `playbooks`, `plans` and `regimes`."""

    name: str
    at_s: float
    tell: str
    role: str = ""
    playbooks: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class Exercise:
    """`playbooks` are the playbooks that the exercise is about. `sources` are the public accounts
    from which it was made. `digest` is the digest of its text. `own`: the exercise belongs to this
    installation, not to drd."""

    name: str
    title: str
    about: str
    playbooks: tuple[str, ...]
    roles: tuple[str, ...]
    sources: tuple[str, ...]
    injects: tuple[Inject, ...]
    digest: str
    file: str
    own: bool

    @property
    def lasts_s(self) -> float:
        """Seconds from the begin to the last inject."""
        return self.injects[-1].at_s

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(q for inject in self.injects for q in inject.questions)

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        return tuple(e for inject in self.injects for e in inject.expectations)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield each playbook, plan and regime that the exercise names, as its sort and its
        name."""
        names = [("playbook", name) for name in self.playbooks]
        for inject in self.injects:
            names += [("playbook", name) for name in inject.playbooks]
            names += [("playbook", e.run) for e in inject.expectations if e.run]
            names += [("plan", name) for name in inject.plans]
            names += [("regime", name) for name in inject.regimes]
        yield from dict.fromkeys(names)
