"""`python -m drd`."""

import sys

from drd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
