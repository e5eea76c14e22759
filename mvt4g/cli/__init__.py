"""The command line; importing it costs nothing, so that ``--help`` answers at once."""

from mvt4g.cli.entry import main as main
