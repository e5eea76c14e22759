"""PCK under the name that other programs import: see ``tracks.pck``."""

from mvt4g.metrics.tracks.pck import PCK

__all__ = ["PCK"]
