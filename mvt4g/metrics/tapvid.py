"""TAP-Vid's scores under the name that other programs import: see ``tracks.tapvid``."""

from mvt4g.metrics.tracks.tapvid import TAPVid

__all__ = ["TAPVid"]
