"""A dump goes past drd: however large it is, drd's own process stays as small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.repository_support import founded, local_repository

PASSWORD = "p" * 20
RUN = """
import resource, sys
from drd.cli.main import main
code = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, code)
"""


def peak(base: Path, verb: str, plan: str) -> int:
    """Run a command, and return the largest size of drd's process in KiB."""
    words = [sys.executable, "-c", RUN, "--config", str(base / "drd.yaml"), verb, plan]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=True)
    _, size, code = done.stdout.splitlines()[-1].split()
    assert code == "0", done
    return int(size)


def test_a_large_dump_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    founded(local_repository(tmp_path, password=PASSWORD, name="repo"))
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "plans").mkdir()
    (tmp_path / "drd.yaml").write_text(
        f"state: sqlite:///{tmp_path}/state/drd.db\n"
        "plans: plans\nwork_dir: work\ncache_dir: cache\n"
    )
    sizes = {}
    for name, mib in (("small", 1), ("large", 400)):
        (tmp_path / f"plans/{name}.yaml").write_text(
            f"plan: {name}\nobjectives: {{rpo: 1h, rto: 1h}}\ncomponents:\n"
            f"  box: {{kind: command, dump: [sh, -c, 'yes {name} | head -c {mib}M'], "
            "restore: [sh, -c, 'cat > data']}\n"
            f"repositories:\n  primary: {{url: {tmp_path}/repo, "
            f"password: {{file: {tmp_path}/password}}}}\n"
            "checks:\n  - {name: there, kind: command, component: box, "
            "run: [sh, -c, 'test -s \"$DRD_PATH/data\"']}\n"
        )
        sizes[name] = [peak(tmp_path, verb, name) for verb in ("backup", "drill")]
    for small, large in zip(sizes["small"], sizes["large"], strict=True):
        assert large < small + (32 << 10), sizes
