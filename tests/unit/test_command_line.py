"""The command line itself: words that are wrong, help that helps, documents for machines."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from drd.cli.command_line import NOT_FOR_PEOPLE, SHOWN, VERBS, build_parser, with_usual_verb
from drd.cli.main import main, status_options
from drd.cli.verbs.families import MEMBERS

FOR_PEOPLE = [verb for verb in VERBS if verb not in NOT_FOR_PEOPLE]

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "drd.yaml").write_text(
        "state: sqlite:///state/drd.db\nplans: plans\nwork_dir: work\ncache_dir: cache\n"
    )
    (tmp_path / "plans").mkdir()
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    return tmp_path


WRONG = [
    (["bckup", "shop"], "unknown verb 'bckup'", "did you mean backup?"),
    (["back", "shop"], "unknown verb 'back'", "did you mean backup?"),
    (
        ["frobnicate"],
        "unknown verb 'frobnicate'",
        (
            "use one of: status, plan, doctor, backup, point, drill, recover, run, alert, "
            "repository, kit, service."
        ),
    ),
    (["run", "retyr", "4f2a"], "run: unknown verb 'retyr'", "did you mean retry?"),
    (
        ["restore", "shop"],
        "unknown verb 'restore'",
        "you probably want: drd recover PLAN --dry-run",
    ),
    (["rekey", "shop"], "unknown verb 'rekey'", "you probably want: drd repository rekey"),
    (
        ["export"],
        "unknown verb 'export'",
        "you probably want: drd incident export, drd records export or drd kit export",
    ),
    (
        ["points"],
        "points: the following arguments are required: plan",
        "run `drd points --help` for all options.",
    ),
    (
        ["ack", "4f2a", "/etc/hostname"],
        "ack: unexpected argument '/etc/hostname'",
        (
            "the shell replaces a pattern by names of files: put it in quotes, or run `drd ack "
            "--help` for all options."
        ),
    ),
    (
        ["recover", "shop", "--before", "2026-11-28", "03:00"],
        "recover: unexpected argument '03:00'",
        "put a time with a space in quotes, or run `drd recover --help` for all options.",
    ),
    (
        ["points", "shop", "2026-11-28", "03:00"],
        "points: unexpected argument '03:00'",
        "put a time with a space in quotes, or run `drd points --help` for all options.",
    ),
    (["plan", "chek"], "plan: unknown verb 'chek'", "did you mean check?"),
    (["completion", "tcsh"], "completion: unknown shell 'tcsh'", "use one of: bash, zsh, fish."),
    (
        ["backup", "shop", "--compnent", "x"],
        "backup: unknown option --compnent",
        "did you mean --component?",
    ),
    (
        ["recover", "shop", "--target", "t", "--over"],
        "recover: unknown option --over",
        "did you mean --overwrite?",
    ),
    (
        ["status", "shop", "billing"],
        "status: unexpected argument 'billing'",
        "run `drd status --help` for all options.",
    ),
    (
        ["hold", "shop", "4f2a", "--reason", "audit"],
        "hold: unexpected argument '4f2a'",
        (
            "give only the restore point: its id already names the plan. Or run `drd hold "
            "--help` for all options."
        ),
    ),
    (
        ["backup"],
        "backup: the following arguments are required: plan",
        "run `drd backup --help` for all options.",
    ),
    (
        ["runs", "--limit", "0"],
        "runs: argument --limit: invalid count value: '0'",
        "run `drd runs --help` for all options.",
    ),
    (
        ["catalogue", "rebuild"],
        "there is no plan in {home}/plans",
        (
            "copy the plan files of this host to that directory: the plans say which "
            "repositories drd has to read."
        ),
    ),
    (["doctor"], "there is no plan in {home}/plans", "write a plan with `drd plan new`."),
]


@pytest.mark.parametrize(("words", "fact", "hint"), WRONG)
def test_wrong_word_is_a_fact_with_a_remedy(
    words: list[str], fact: str, hint: str, home: Path, capsys: Output
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"drd: {fact.format(home=home)}\nHINT: {hint}\n")


@pytest.mark.parametrize(("words", "fact", "hint"), WRONG)
def test_wrong_word_with_json_is_a_document(
    words: list[str], fact: str, hint: str, home: Path, capsys: Output
) -> None:
    assert main([*words, "--json"]) == 2
    out, err = capsys.readouterr()
    error = {"message": fact.format(home=home), "hint": hint, "exit": 2}
    assert list(json.loads(out).items()) == [("schema", 1), ("error", error)]
    assert err == ""


def test_without_a_word_the_overview_is_shown_as_a_mistake(capsys: Output) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(f"  {verb} " in err for verb in SHOWN)


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--nagios", "--foo"],
        ["status", "--nagios", "--json"],
        ["--config", "/nowhere/drd.yaml", "status", "--nagios"],
        ["status", "nope", "--nagios"],
    ],
)
def test_monitoring_plugin_calls_its_own_trouble_unknown(words: list[str], capsys: Output) -> None:
    assert main(words) == 3
    out, err = capsys.readouterr()
    assert out.startswith("DRD UNKNOWN - ")
    assert out.count("\n") == 1
    assert err == ""


@pytest.mark.parametrize("text", ["planz: plans\n", "- plans\n", "plans\n"])
def test_status_refuses_a_drd_yaml_that_is_not_one(text: str, home: Path, capsys: Output) -> None:
    (home / "drd.yaml").write_text(text)
    assert main(["status"]) == 2
    assert f"drd: {home}/drd.yaml:1: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["plan", "schema"]])
def test_output_that_cannot_be_written_is_reported_in_one_line(words: list[str]) -> None:
    argv = [sys.executable, "-m", "drd", *words]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "drd: cannot write the output: no space left on device\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_change_no_exit_code(closed: str) -> None:
    argv = ["sh", "-c", f'"$0" -m drd status {closed}', sys.executable]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")


def test_bug_is_a_document_for_machines_and_a_traceback_for_us(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: argparse.Namespace) -> int:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("drd.cli.runs.run", broken)
    assert main(["runs", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["message"] == "internal error: ZeroDivisionError: by nothing"
    assert "Traceback" in err


@pytest.mark.parametrize(
    "error", [BlockingIOError(11, "try again"), RuntimeError("can't start new thread")]
)
def test_a_system_that_starts_nothing_more_is_not_a_bug(
    error: Exception, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("drd.cli.runs.run", starved)
    assert main(["runs"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(
        "drd: the system cannot start more processes or threads\nHINT: raise TasksMax="
    )


_SIGINT = "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"


@pytest.mark.parametrize(
    "interrupted",
    [_SIGINT, f"exec({_SIGINT!r})", f"try: {_SIGINT}\n    except BaseException: raise ValueError"],
    ids=["plainly", "in code made of a text, as dataclasses are", "and pydantic is confused"],
)
def test_ctrl_c_before_anything_was_begun_is_130(interrupted: str, tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "import os, signal, sys, time, drd.cli.runs; from drd.cli.main import main\n"
        f"def run(_):\n    {interrupted}\n"
        "drd.cli.runs.run = run; sys.argv = ['drd', 'runs']; sys.exit(main())"
    )
    argv = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "drd: cancelled\n")


def test_ctrl_c_while_modules_are_imported_is_130_without_a_traceback() -> None:
    script = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'drd.cli.main': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from drd.__main__ import start\n"
        "start()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "drd: cancelled\n")


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    nested = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for action in nested:
        for below in action.choices.values():
            yield below
            yield from _parsers(below)


def test_every_command_has_examples_and_a_help_that_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for columns in (100, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        for parser in _parsers(build_parser(FOR_PEOPLE, every=True)):
            text = parser.format_help()
            assert "examples:\n  drd " in text, parser.prog
            # A command is never broken, so that it can be copied.
            long = [line for line in text.splitlines() if len(line) > columns]
            assert columns == 80 or not long, parser.prog
            assert all(re.match(" {2,}(drd|--)", line) for line in long), parser.prog


def test_overview_fits_a_screen(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    shown = [line.split()[0] for line in lines if re.match("  [a-z]", line)]
    assert tuple(shown) == SHOWN
    assert len(shown) <= 12


def test_every_verb_is_in_the_overview_or_in_a_family_under_a_name_of_its_own() -> None:
    members = {verb for family in MEMBERS.values() for verb, _ in family.values()}
    assert members | set(SHOWN) == set(FOR_PEOPLE)
    assert set(MEMBERS) <= set(SHOWN)


@pytest.mark.parametrize(
    ("family", "name", "verb"),
    [(f, name, verb) for f, names in MEMBERS.items() for name, (verb, _) in names.items()],
)
def test_verb_of_a_family_has_the_options_of_its_older_name(
    family: str, name: str, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = []
    for words in ([family, name, "--help"], [verb, "--help"]):
        with pytest.raises(SystemExit):
            main(words)
        told.append(capsys.readouterr().out.partition("\n\n")[2])
    assert told[0] == told[1] != ""


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["run"], ["run", "list"]),
        (["alert"], ["alert", "list"]),
        (["-q", "run", "4f2a"], ["-q", "run", "show", "4f2a"]),
        (["run", "4f2a", "--json"], ["run", "show", "4f2a", "--json"]),
        (["run", "cancel", "4f2a"], ["run", "cancel", "4f2a"]),
        (["run", "--help"], ["run", "--help"]),
        (["backup", "run"], ["backup", "run"]),
    ],
)
def test_family_alone_lists_and_the_id_of_a_run_shows_it(
    words: list[str], meant: list[str]
) -> None:
    assert with_usual_verb(words) == meant


def test_words_after_an_option_belong_to_the_words_before_it() -> None:
    def words(line: str) -> list[str]:
        given = ["incident", *line.split()]
        return list(build_parser(["incident"]).parse_args(given).words)

    assert words("log 1 --at 01:50 text") == ["1", "text"]
    assert words("log --at 01:50 1 text") == ["1", "text"]
    assert words("log 1 --correct 8 text --reason why") == ["1", "text"]
    assert words("anchor 1 --reason why aware -2h") == ["1", "aware", "-2h"]


def test_too_many_words_ask_for_quotes(capsys: Output) -> None:
    assert main(["incident", "log", "1", "blocked", "--at", "01:50", "the", "key"]) == 2
    told = capsys.readouterr().err
    assert "incident log: the command needs 1 word, but got 3" in told
    assert "in quotes" in told


def test_word_after_an_option_fills_an_optional_argument(capsys: Output) -> None:
    assert build_parser(["runs"]).parse_args(["runs", "--limit", "5", "shop"]).plan == "shop"
    assert main(["runs", "--limit", "5", "shop", "more"]) == 2
    assert capsys.readouterr().err.startswith("drd: runs: unexpected argument 'more'\n")


@pytest.mark.parametrize(
    "flags",
    [f for n in range(5) for f in combinations(("--json", "--nagios", "--all", "--no-color"), n)],
)
def test_status_reads_its_flags_as_the_parser_does(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_ARGCOMPLETE", raising=False)
    words = ["status", *flags]
    options = status_options(words)
    if {"--json", "--nagios"} <= {*flags}:
        assert options is None  # the parser refuses them together
    else:
        assert options is not None
        assert vars(options) == vars(build_parser(words).parse_args(words))


@pytest.mark.parametrize("words", [[], ["status", "orders"], ["status", "-q"], ["points"]])
def test_other_command_lines_are_left_to_the_parser(words: list[str]) -> None:
    assert status_options(words) is None
