"""`scripts/setup` installs for the demo what the demo runs, and nothing of what only tests need."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def setup(*words: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": path} if path else {})}
    environment.pop("PYTHON", None)  # which who runs the tests may have chosen by its whole path
    command = ["/bin/bash", ROOT / "scripts/setup", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def listed(*words: str, path: str | None = None) -> dict[str, str]:
    """Packages, each with `here` or `missing`."""
    found = setup("--list", *words, path=path)
    assert (found.returncode, found.stderr) == (0, "")
    return {package: state for state, package in map(str.split, found.stdout.splitlines())}


def test_the_demo_needs_only_what_it_runs() -> None:
    demo = listed("demo")
    assert set(demo) - {"python3"} == {"restic", "postgresql", "util-linux", "python3-venv"}
    tests = listed("test")
    assert set(demo) < set(tests)
    assert {"prometheus", "pgbouncer", "faketime", "ssss", "rclone", "jq", "fuse3"} < set(tests)
    assert listed() == tests


def test_a_program_that_is_not_on_the_path_is_listed_as_missing(tmp_path: Path) -> None:
    for name in ("dirname", "restic"):
        (tmp_path / name).symlink_to("/usr/bin/dirname")
    found = listed("demo", path=str(tmp_path))
    assert found["restic"] == "here"
    assert {p for p, state in found.items() if state == "missing"} >= {"util-linux", "python3"}


def test_make_demo_and_make_test_set_up_their_own_needs() -> None:
    for target in ("demo", "test"):
        command = ["make", "--dry-run", "--always-make", target]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        lines = [line for line in printed.stdout.splitlines() if "scripts/setup" in line]
        assert lines == [f"scripts/setup {target}"]


def test_setup_refuses_a_word_that_it_does_not_know() -> None:
    found = setup("--list", "bench")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("setup: unknown word: bench\n")


STUB = """#!/bin/bash
# Stands for apt-get, and for a Python whose pip never ends.
case "$*" in
*update*) ;;
*rclone*) until [[ -e pip-runs ]]; do sleep 0.01; done; exit 1 ;;
*ensurepip* | *version_info*) ;;
*-m\\ venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
*pip*) touch pip-runs; exec sleep 1000 ;;
*) echo 3.11 ;;
esac
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_packages_that_cannot_be_installed_end_pip(tmp_path: Path) -> None:
    for name in ("scripts", "bin"):
        (tmp_path / name).mkdir()
    text = (ROOT / "scripts/setup").read_text().replace("has rclone", "has no-such-program")
    (tmp_path / "scripts/setup").write_text(text)
    (tmp_path / "pyproject.toml").touch()
    for name in ("apt-get", "python3"):
        (tmp_path / "bin" / name).write_text(STUB)
        (tmp_path / "bin" / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHON": "python3"}
    # This waits for every process that holds the pipes of its output: pip, too.
    done = subprocess.run(
        ["/bin/bash", tmp_path / "scripts/setup"],
        capture_output=True, text=True, check=False, env=env, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "install --no-install-recommends rclone failed" in done.stderr
    assert not (tmp_path / ".venv/.installed").exists()
