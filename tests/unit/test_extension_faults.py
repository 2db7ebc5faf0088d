"""Which errors are attributed to the package of an extension, and what becomes of them."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import pytest

from drd import extension_faults
from drd.cli.members_output import members_print_beside
from drd.config.daemon import load_settings
from drd.errors import Cancelled, ExtensionFailed, SourceMissing
from drd.extension_faults import (
    AtWork,
    at_work,
    attributed,
    fault,
    noted,
    require_json,
    require_type,
)
from drd.flows.alerts.direct import deliver_directly, hand_over
from drd.flows.host import readiness
from drd.flows.host.doctor import examine
from drd.kinds.files.kind import FilesKind
from drd.model.message import Message
from drd.notifiers import open_notifier
from drd.process.clock import SystemClock
from drd.registry import Extension
from drd.secrets import resolve
from tests.config_support import GOOD, problems
from tests.extension_support import EXAMPLES, install, packages_in, settings_of, use
from tests.flow_support import World
from tests.unit.test_extensions import STEPS, WITH_CHECK

OURS = Extension("drd-mine", "1.2.0")
RAISED = "the package drd-mine 1.2.0 raised KeyError: 'x'"
AUTHOR = (
    "report this to the author of drd-mine, with the traceback. To see it: "
    "journalctl -u drd, or run the command with DRD_LOG=info"
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


class Textless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Odd(BaseException):
    """No Exception."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Textless(), "Textless: (it has no text: its __str__ raised an error)"),
        (Odd("x"), "Odd: x"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("a\nb" + "x" * 600), f"ValueError: a; b{'x' * 496}…"),
    ],
)
def test_whatever_a_package_raises_is_reported_in_one_line(error: BaseException, said: str) -> None:
    with pytest.raises(ExtensionFailed) as caught, attributed("db", OURS):
        raise error
    assert caught.value.message == f"db: the package drd-mine 1.2.0 raised {said}"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled("by a person")])
def test_an_interrupt_is_not_a_fault(error: BaseException) -> None:
    with pytest.raises(type(error)), attributed("db", OURS):
        raise error


def test_a_value_of_another_type_names_the_member_of_a_package() -> None:
    assert require_type("x", str, "deliver", OURS) == "x"
    assert require_type(5, str, "deliver", None) == 5  # type: ignore[arg-type]
    with pytest.raises(ExtensionFailed) as caught:
        require_type(None, (list, tuple), "run of check odd", OURS)
    assert caught.value.message == (
        "run of check odd of the package drd-mine 1.2.0 returned NoneType, but must return "
        "list or tuple"
    )


def test_a_value_that_is_not_json_names_the_member_of_a_package() -> None:
    assert require_json({"a": (1, 2)}, "run", OURS) == {"a": [1, 2]}
    assert require_json({"a": (1, 2)}, "run", None) == {"a": (1, 2)}
    for value in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(ExtensionFailed, match=r"^run of the package drd-mine 1\.2\.0 "):
            require_json(value, "run", OURS)


NOTHING = (
    "deliver of channel logbook of the package drd-mine 1.2.0 returned NoneType, but must "
    "return str"
)
TEXTLESS = """
class T(Exception):
    def __str__(self):
        raise KeyError


def _raise(*_):
    raise T


Logbook.deliver = _raise
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Logbook.deliver = _broken", RAISED),
        (
            "Logbook.deliver = lambda *_: None",
            NOTHING,
        ),
        (
            TEXTLESS,
            "the package drd-mine 1.2.0 raised T: (it has no text: its __str__ raised an error)",
        ),
        (
            "def _raise(*_):\n    raise BaseException('x')\nLogbook.deliver = _raise",
            "the package drd-mine 1.2.0 raised BaseException: x",
        ),
    ],
    ids=["raises", "returns nothing", "without a text", "no Exception"],
)
def test_a_channel_that_breaks_names_its_package(
    packages: Path, tmp_path: Path, line: str, said: str
) -> None:
    broken(packages, "logbook", "notifiers", "logbook", line)
    text = f"extensions: [drd-mine]\nnotify: [{{kind: logbook, path: {tmp_path}/book}}]\n"
    (spec,) = load_settings(settings_of(tmp_path, text), explicit=True).channels
    data = {"event": "drill", "plan": "shop", "severity": "info", "title": "t", "text": "x"}
    more = {"alert": None, "run": None, "details": {}, "at": "2026-03-01T12:00:00Z"}
    message = Message.from_json({**data, **more})
    (attempt,) = deliver_directly(
        message, [spec], lambda s: open_notifier(s, resolve=pytest.fail), SystemClock()
    )
    assert attempt.error is not None
    assert attempt.error.message == said
    assert "the author of drd-mine" in attempt.error.hint


def test_a_broken_channel_has_the_traceback_as_its_remedy(packages: Path, tmp_path: Path) -> None:
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


def _odd(*_: object) -> NoReturn:
    raise ValueError("odd")


@pytest.fixture
def odd_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """This module counts as one of the package."""
    monkeypatch.setattr(
        extension_faults, "extension_of_module", lambda name: OURS if name == __name__ else None
    )


@pytest.mark.usefixtures("odd_package")
def test_a_probe_and_a_preflight_that_break_are_findings_beside_those_of_drd(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilesKind, "source", _odd)
    monkeypatch.setattr(FilesKind, "sandbox_findings", _odd)
    found = examine(world.services, world.plan, resolve)
    failed = {(f.code, f.subject): f.text for f in found if "odd" in f.text}
    assert failed == {
        (code, name): f"{name}: the package drd-mine 1.2.0 raised ValueError: odd"
        for code in ("source", "sandbox")
        for name in ("conf", "data")
    }
    assert {f.code for f in found} >= {"host-clock", "fence"}


@pytest.mark.usefixtures("odd_package")
def test_a_version_that_breaks_is_a_finding_of_readiness(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness.drill_readiness, "of_versions", _odd)
    report = readiness.evaluate(world.services, world.plan, resolve, trigger="manual")
    odd = [f.finding for f in report.findings if f.finding.code == "extension"]
    assert [(f.severity, f.text) for f in odd] == [
        ("error", "the package drd-mine 1.2.0 raised ValueError: odd")
    ]
    assert len(report.findings) > 5


@pytest.mark.usefixtures("odd_package")
def test_code_of_a_package_that_runs_is_named_by_what_its_thread_works_on() -> None:
    here = "test_code_of_a_package_that_runs_is_named_by_what_its_thread_works_on"
    assert at_work() == AtWork(f"{__name__}.{here}", OURS)
    with noted("step first"):
        with noted("step second"):
            assert at_work() == AtWork("step second", OURS)
        assert at_work() == AtWork("step first", OURS)


def test_nothing_is_at_work_without_packages() -> None:
    with noted("step first"):
        assert at_work() is None


def test_output_of_an_extension_is_kept_out_of_a_document(
    packages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "def say():\n    print('noise')"
    broken(packages, "contains", "checks", "contains", line)
    use(tmp_path, "extensions: [drd-mine]\n")
    say = import_module("mine").say
    with members_print_beside(True):
        say()
        print("document")
    with members_print_beside(False):
        say()
    assert capsys.readouterr() == ("document\nnoise\n", "noise\n")
