"""Options of `drd resume`."""

from __future__ import annotations

from drd.cli.options import global_options
from drd.cli.parser import Verbs

EXAMPLES = """\
examples:
  drd resume 4f2a                        continue the recovery
  drd resume                             continue the only unfinished recovery or playbook

Finished steps are not repeated. The step that was interrupted starts again, and so does the failed
step that ended the recovery.
exit codes: as drd recover; 2 the recovery cannot be resumed, 11 a process is executing it."""


def add_parser(sub: Verbs) -> None:
    parser = sub.add_parser(
        "resume",
        description="Continue a recovery or a playbook that failed, that was cancelled, or whose "
        "process died (for example because the host went down).",
        epilog=EXAMPLES,
    )
    global_options(parser)
    parser.add_argument(
        "run",
        nargs="?",
        help="id of the run, or its beginning (default: the only recovery that is not finished, "
        "or the only playbook whose process died; drd asks you first)",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask for confirmation (drd asks only if you do not give the id of the run)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(handler="drd.cli.resume:run", by=None)
