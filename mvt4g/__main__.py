"""``python -m mvt4g``."""

import sys

from mvt4g.cli import main

if __name__ == "__main__":  # a spawned process may load this module
    sys.exit(main())
