"""What makes the kind `files` known."""

from drd.kinds.files.settings import FilesSettings, FilesTarget
from drd.ports.kinds import KindSpec

SPEC = KindSpec("files", FilesSettings, FilesTarget, holds="paths", comparison="files")
