"""`python -m hessview`: the command line."""

import sys

from hessview.cli import main

if __name__ == "__main__":
    sys.exit(main())
