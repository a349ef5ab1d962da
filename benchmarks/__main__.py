"""``python -m benchmarks``; the command itself is in ``cli.py``."""

import sys

# The processes that are started read this file too, under another name. They are to
# import their own library only, and none of the others.
if __name__ == "__main__":
    from .cli import main

    sys.exit(main())
