"""Restore files by hand, with restic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os.path import normpath
from pathlib import PurePosixPath
from shlex import quote

from drd.kinds.files.settings import FilesSettings, FilesTarget
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
    of = f'"$(snapshot {name})"{_only(component)}'
    where = quote(target.path) if isinstance(target, FilesTarget) else f'"$PWD/{name}"'
    empty = f"""\
TARGET={where}
[[ ! -e $TARGET || -z $(ls -A -- "$TARGET") ]] || {{ echo "$TARGET is not empty"; false; }}
"""
    restore = f"""\
mkdir -p -m 755 -- "$TARGET"
{_restored(name, of, adopted=component.adopted)}"""
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
    passages = [
        Passage("The directory for the restored files must be missing or empty:", empty),
        Passage(
            "restic restores each file below the target under its absolute path. It restores "
            "the owners only if you are root.",
            restore,
            makes="rm -rf -- ${TARGET@Q}",
        ),
        Passage(
            "Compare the files with the digests that drd recorded at the backup:",
            compare,
            compares=True,
            there=f"[[ -n $(ls -A -- {where} 2> /dev/null) ]]",
        ),
    ]
    if not here:
        assert isinstance(component.settings, FilesSettings)
        move = _move(tuple(dict.fromkeys(map(normpath, component.settings.paths))), where)
        passages.append(move)
        where = where if move.adapt else "/"
    return ByHand(
        tuple(passages),
        values={"location": where, "path": where},
        environment=f"DRD_PATH={where}",
    )


def _restored(name: str, of: str, *, adopted: bool) -> str:
    """Return the commands that fill an empty $TARGET. Nobody else may run its programs with the
    rights of their owner before that is sure to be right: of a copy that another tool has made,
    nobody knows who put them there.
    """
    no_bits = 'find "$TARGET" -type f -perm /6000 -exec chmod ug-s -- {} +'
    if adopted:
        again = 'for file; do chown --reference="$file" -- "$file"; done'
        return f"""\
chmod 700 -- "$TARGET"
restic restore {of} --target "$TARGET"
find "$TARGET" '(' -type b -o -type c ')' -delete
{no_bits}
# The same owner again: that removes the capabilities of a program.
find "$TARGET" -type f -perm /111 -exec sh -c '{again}' sh {{}} +
chmod 755 -- "$TARGET"
"""
    return f"""\
SPARSE=() # a file with holes takes no more room than it took before
! fact {name} holes > /dev/null || SPARSE=(--sparse)
if [[ $EUID == 0 ]]; then
    restic restore {of} --target "$TARGET" "${{SPARSE[@]}}"
else  # all files are yours then: nobody may run them with your rights
    chmod 700 -- "$TARGET"
    restic restore {of} --target "$TARGET" "${{SPARSE[@]}}"
    {no_bits}
    chmod 755 -- "$TARGET"
fi
"""


def _only(component: Component) -> str:
    """A snapshot of another tool may hold more than this component."""
    if not component.adopted:
        return ""
    assert isinstance(component.settings, FilesSettings)
    return "".join(f" --include {quote(path)}" for path in component.settings.paths)


def _move(paths: Sequence[str], where: str) -> Passage:
    """Return the commands that put the paths restored in `where` in their places. A directory at
    the top, as /etc, belongs to the new system as well: a person chooses what to take from it.
    """
    parents = {path: str(PurePosixPath(path).parent) for path in paths}
    if "/" in parents.values():
        return Passage(
            f"These paths contain files of the new system as well: {', '.join(paths)}. Copy what "
            "you need from the restored files to its place, for example:",
            "".join(
                f'cp -a -- "$TARGET"{quote(path)}/NAME {quote(path)}/\n'
                if parent == "/"
                else f'cp -a -- "$TARGET"{quote(path)} {quote(parent)}/\n'
                for path, parent in parents.items()
            ),
            adapt=True,
        )
    names = " ".join(map(quote, paths))
    return Passage(
        "Stop the programs that use these files, then move the restored files to their places. "
        "Files that exist there now are kept beside the restored files, as PATH.before:",
        f"""\
TARGET={where}
for path in {names}; do
    [[ ! -e $path.restored && ! -L $path.restored ]] || # a move that was interrupted
        {{ echo "$path.restored exists: move it to $path, or away, first"; false; }}
    [[ -e $TARGET$path || -L $TARGET$path ]] || continue
    above=$(dirname -- "$path")
    [[ $(realpath -- "$TARGET$above") == "$(realpath -- "$TARGET")$above" ]] ||
        {{ echo "$path is reached through a link in $TARGET: look where it leads"; false; }}
    [[ ! -e $path.before && ! -L $path.before ]] ||
        {{ echo "$path.before exists: move it away first"; false; }}
    (umask 022 && mkdir -p -- "$above")
    mv -T -- "$TARGET$path" "$path.restored"
    if [[ -e $path || -L $path ]]; then mv -T -- "$path" "$path.before"; fi
    mv -T -- "$path.restored" "$path"
    echo "$path is back"
done
""",
        there=f"""(for path in {names}; do
        [[ ! -e {where}$path && ! -L {where}$path && ( -e $path || -L $path ) ]] || exit 1
    done)""",
    )
