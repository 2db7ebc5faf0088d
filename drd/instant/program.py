"""The file that starts the mounter: drd runs it as root, or the mounter's systemd unit runs it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from drd.instant.mounter import main

if __name__ == "__main__":
    main()
