"""The files to which runs of a playbook write new secrets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drd.model.new_secrets import declared_files, of_run, practised_file
from drd.model.runbook import Live, NewSecret, Step

NEW = NewSecret("/key", "/etc/drd/credentials/key")
PLAIN = Step("tell", "manual")
READS = Step("read", "http", live=Live(keep={"id": "/id"}))
ROTATES = Step("rotate", "http", live=Live(new_secret=NEW))


@pytest.mark.parametrize("practised", [True, False])
@pytest.mark.parametrize("step", [PLAIN, READS])
def test_a_step_without_a_new_secret_stays_as_it_is(step: Step, *, practised: bool) -> None:
    assert of_run(step, "4f2a", practised=practised) is step


def test_who_practises_writes_beside_the_declared_file() -> None:
    made = of_run(ROTATES, "4f2a", practised=True)
    beside = replace(NEW, file="/etc/drd/credentials/key.rehearsal-4f2a")
    assert made == replace(ROTATES, live=Live(new_secret=beside))
    assert practised_file(NEW.file, "4f2a") == beside.file


def test_a_real_run_writes_the_declared_file_and_keeps_the_one_before() -> None:
    made = of_run(ROTATES, "4f2a", practised=False)
    kept = replace(NEW, keeps="/etc/drd/credentials/key.before-4f2a")
    assert made == replace(ROTATES, live=Live(new_secret=kept))


def test_the_declared_files_are_those_of_the_steps_that_write_one() -> None:
    assert declared_files((PLAIN, READS, ROTATES)) == {NEW.file}
    assert declared_files((PLAIN, READS)) == set()
