"""Restore files by hand, with restic."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from drd.kinds.files.settings import FilesTarget
from drd.model.plan import Component, SecretRef
from drd.ports.by_hand import ByHand, Passage


def by_hand(
    component: Component,
    target: object | None,
    *,
    place: str,  # noqa: ARG001 - needs no file
    resolve: Callable[[SecretRef], str],  # noqa: ARG001 - nor a secret
) -> ByHand:
    name = component.name
    here = isinstance(target, FilesTarget)
    where = quote(target.path) if isinstance(target, FilesTarget) else f'"$PWD/{name}"'
    restore = f"""\
TARGET={where}
[[ ! -e $TARGET || -z $(ls -A -- "$TARGET") ]] || {{ echo "$TARGET is not empty"; false; }}
mkdir -p -m 755 -- "$TARGET"
if [[ $EUID == 0 ]]; then
    restic restore "$(snapshot {name})" --target "$TARGET"
else  # all files are yours then: nobody may run them with your rights
    chmod 700 -- "$TARGET"
    restic restore "$(snapshot {name})" --target "$TARGET"
    find "$TARGET" -type f -perm /6000 -exec chmod ug-s -- {{}} +
    chmod 755 -- "$TARGET"
fi
"""
    compare = f"""\
jq -r --arg target "$TARGET" '.components[] | select(.component == "{name}") | .fingerprint.entries
    | to_entries[] | select(.value.kind == "file" and .value.digest and (.value.volatile | not))
    | select(.key | contains("\\ufffd") | not)
    | "\\(.value.digest)  \\($target)\\(.key)"
    | if contains("\\n")
      then "\\\\" + gsub("\\\\\\\\"; "\\\\\\\\") | gsub("\\n"; "\\\\n") else . end
    ' manifest.json > {name}.digests
[[ ! -s {name}.digests ]] || sha256sum --check --quiet {name}.digests
echo "{name}: $(wc -l < {name}.digests) files as at the backup"
"""
    move = "" if here else " Then move the files from there to their places."
    text = (
        "restic restores the files under their absolute paths below the target, and their owners "
        f"only if you are root.{move}"
    )
    return ByHand(
        (
            Passage(text, restore),
            Passage("Compare the files with the digests of the source:", compare, compares=True),
        ),
        values={"location": where, "path": where},
        environment=f"DRD_PATH={where}",
    )
