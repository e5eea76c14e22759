"""``python -m mvt4g``."""

import sys

from mvt4g.cli import main

sys.exit(main())
