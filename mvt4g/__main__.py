"""``python -m mvt4g``."""

import sys

from mvt4g.cli import main

if __name__ == "__main__":  # spawned worker processes load this module too
    sys.exit(main())
