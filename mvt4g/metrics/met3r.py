"""MEt3R under the name that other programs import: see ``video.met3r``."""

from mvt4g.metrics.video.met3r import MEt3R, WarpRGB5

__all__ = ["MEt3R", "WarpRGB5"]
