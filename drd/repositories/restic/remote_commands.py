"""Ask an SSH server or rclone what restic itself does not ask: for the room, and for the right to
write."""

from __future__ import annotations

from drd import process
from drd.model.schemes import parse_sftp
from drd.process import Command, Completed, find_tool
from drd.repositories.restic.reach import Reach, ssh_options

ANSWER_S = 15.0


def sftp(url: str, reach: Reach, batch: str) -> Completed:
    """Run the commands of `batch` on the SSH server of `url`. Raises DrdError."""
    place = parse_sftp(url)
    words = ["-q", "-b", "-", "-P", str(place.port), *ssh_options(reach.files)]
    host = f"[{place.host}]" if ":" in place.host else place.host
    program = find_tool("sftp", package="openssh-client")
    # ssh closes what it inherits, so its parent's parent holds the files, as restic does otherwise.
    argv = ["/bin/sh", "-c", '"$@"; exit $?', "sh", program, *words, f"{place.user}@{host}"]
    command = Command(argv, files=reach.files, deadline_s=ANSWER_S, name="sftp")
    return process.run(command, stdin=batch.encode())


def quoted(path: str) -> str:
    """Quote a path for sftp, which otherwise takes `*`, `?` and `[` for patterns."""
    escaped = "".join(f"\\{c}" if c in '\\"*?[' else c for c in path)
    return f'"{escaped}"'


def rclone(reach: Reach, *words: str) -> Completed:
    """Run rclone with the remotes of the repository. Raises DrdError."""
    program = find_tool("rclone", package="rclone")
    argv = [program, *words, "--contimeout", "10s", "--retries", "1"]
    return process.run(Command(argv, env=reach.env, deadline_s=ANSWER_S, name="rclone"))


def above(path: str) -> str:
    """Return the directory above; empty above a relative path of one part."""
    directory = path.rstrip("/").rpartition("/")[0]
    return directory or ("/" if path.startswith("/") else "")
