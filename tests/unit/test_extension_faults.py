"""Which errors are attributed to the package of an extension, and what becomes of them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from drd.config.daemon import load_settings
from drd.errors import Cancelled, SourceMissing
from drd.extension_faults import attributed, fault
from drd.flows.alerts.outbox import hand_over
from drd.model.message import Message
from drd.notifiers import open_notifier
from drd.process.clock import SystemClock
from drd.registry import Extension
from tests.config_support import GOOD, problems
from tests.extension_support import EXAMPLES, install, packages_in, settings_of, use
from tests.unit.test_extensions import STEPS, WITH_CHECK

OURS = Extension("drd-mine", "1.2.0")
RAISED = "the package drd-mine 1.2.0 raised KeyError: 'x'"
AUTHOR = (
    "report this to the author of drd-mine, with the traceback: the daemon's log has it, and "
    "commands print it with DRD_LOG=info"
)
FITS = "import dataclasses\nSPEC = dataclasses.replace(SPEC, fits=_broken)"
BROKEN = "\n\ndef _broken(*_, **__):\n    raise KeyError('x')\n\n\n"


@pytest.fixture(autouse=True)
def packages(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with packages_in(short_tmp / "site", monkeypatch) as site:
        yield site


def broken(packages: Path, module: str, family: str, name: str, line: str) -> None:
    """The module of the example package as one of our own, with a line that breaks it."""
    code = (EXAMPLES / f"drd-example/drd_example/{module}.py").read_text()
    points = {f"drd.{family}": {name: "mine:SPEC"}}
    install(packages, "drd-mine", {"mine.py": f"{code}{BROKEN}{line}\n"}, points)


@pytest.mark.parametrize(
    "error", [SourceMissing("gone"), OSError(errno.ENOSPC, "full"), Cancelled("by a person")]
)
def test_errors_that_drd_knows_stay_what_they_are(error: BaseException) -> None:
    assert fault(error, "", OURS) is None
    with pytest.raises(type(error)), attributed("db", OURS):
        raise error


def test_errors_of_drd_itself_are_attributed_to_nobody() -> None:
    with pytest.raises(KeyError), attributed("db"):
        raise KeyError("x")


def test_a_setting_that_breaks_is_refused_on_its_line(packages: Path, tmp_path: Path) -> None:
    line = "ContainsCheck.model_validate = _broken"
    broken(packages, "contains", "checks", "contains", line)
    use(tmp_path, "extensions: [drd-mine]\n")
    (problem,) = problems(tmp_path, WITH_CHECK)
    assert (problem.path, problem.message) == ("checks[3]", RAISED)
    assert problem.line == WITH_CHECK[: WITH_CHECK.index("{name: motd")].count("\n") + 1
    assert problem.hint == f"{AUTHOR}."


@pytest.mark.parametrize(
    ("member", "line", "text"),
    [
        (("contains", "checks", "contains"), FITS, WITH_CHECK),
        (("note", "actions", "note"), "NoteSettings.contradictions = _broken", GOOD + STEPS),
    ],
    ids=["fits", "contradictions"],
)
def test_a_plan_that_makes_code_of_a_package_break_is_refused(
    packages: Path, tmp_path: Path, member: tuple[str, str, str], line: str, text: str
) -> None:
    broken(packages, *member, line)
    use(tmp_path, "extensions: [drd-mine]\n")
    (problem,) = problems(tmp_path, text)
    assert (problem.message, problem.hint) == (RAISED, AUTHOR)


def test_a_channel_that_breaks_names_its_package(packages: Path, tmp_path: Path) -> None:
    broken(packages, "logbook", "notifiers", "logbook", "Logbook.deliver = _broken")
    text = f"extensions: [drd-mine]\nnotify: [{{kind: logbook, path: {tmp_path}/book}}]\n"
    (spec,) = load_settings(settings_of(tmp_path, text), explicit=True).channels
    data = {"event": "drill", "plan": "shop", "severity": "info", "title": "t", "text": "x"}
    more = {"alert": None, "run": None, "details": {}, "at": "2026-03-01T12:00:00Z"}
    message = Message.from_json({**data, **more})
    attempt = hand_over(
        message, spec, lambda s: open_notifier(s, resolve=pytest.fail), SystemClock()
    )
    assert attempt.error is not None
    assert (attempt.error.message, attempt.error.hint) == (RAISED, AUTHOR)
